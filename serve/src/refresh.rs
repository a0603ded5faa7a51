//! An index that changes on the disk is searched as it is then.

use crate::app::App;
use std::sync::Arc;

/// Looks whether another index stands in the place of the one that is searched, and opens it beside. Whoever asks meanwhile gets answers of the one before.
pub(crate) fn refresh(app: &Arc<App>) {
    if let Some((folder, stamp)) = app.searching.stale() {
        let app = app.clone();
        tokio::task::spawn_blocking(move || app.searching.renew(&folder, stamp, app.models()));
    }
}

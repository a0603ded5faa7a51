//! Which model this is ([`unisono_encoders::identity`]).

use crate::Result;
use std::path::Path;
pub(crate) use unisono_files::hex;

/// [`unisono_encoders::identity()`].
///
/// # Errors
/// As there.
pub fn identity(model: &Path) -> Result<String> {
    Ok(unisono_encoders::identity(model)?)
}

/// [`unisono_encoders::identity_with_fusion()`].
///
/// # Errors
/// As there.
pub fn identity_with_fusion(model: &Path) -> Result<String> {
    Ok(unisono_encoders::identity_with_fusion(model)?)
}

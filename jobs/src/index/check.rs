//! The self-check of a new index: what went in must be found.

use crate::search::top;
use crate::vectors::similarity;
use crate::{EmbedOptions, Embedded, Embedder, Error, Flow, Listing, Progress, Result, embed};

/// Items embedded again.
const ITEMS: usize = 32;
/// What their cosine with themselves must reach. Another batch adds in another order: 1e-6 is usual, 1e-4 is a mistake.
const SAME: f32 = 0.9999;
/// An item with a twin (the same picture under two names) may find the twin first, by no more than rounding.
const ROUNDING: f32 = 1e-5;

/// Embeds items spread over the index a second time, in other batches; each must be its own nearest neighbour. Returns
/// how many were looked at.
///
/// # Errors
/// [`Error::SelfCheck`] names the first item that is not found.
pub(super) fn finds_itself(
    embedder: &Embedder,
    embedded: &Embedded,
    options: &EmbedOptions,
    progress: &mut dyn FnMut(Progress) -> Flow,
) -> Result<usize> {
    let n = embedded.items.len();
    let rows: Vec<usize> = (0..n).step_by(n.div_ceil(ITEMS).max(1)).collect();
    let items = rows.iter().map(|row| embedded.items[*row].clone()).collect();
    let listing = Listing { items, ..Listing::default() };
    // Three at once: never the batches of the build, so that what depends on the neighbours in a batch shows.
    let options = EmbedOptions { batch: 3, max_skip: 0, ..*options };
    let again = embed(embedder, listing, &options, &mut |p| progress(Progress { stage: "self-check", ..p }))?;
    let vectors = &embedded.vectors;
    for (row, vector) in rows.iter().zip(again.vectors.rows()) {
        let id = &embedded.items[*row].id;
        let own = similarity(vector, &vectors.data[row * vectors.dim..(row + 1) * vectors.dim]);
        if own < SAME {
            return Err(Error::SelfCheck(format!(
                "{id} embedded twice has cosine {own:.6} with itself, expected at least {SAME}"
            )));
        }
        match top(&vectors.data, vector, 1, |_| true).first() {
            Some(best) if best.score <= own + ROUNDING => (),
            best => {
                let other = best.map_or("nothing", |hit| embedded.items[hit.index].id.as_str());
                return Err(Error::SelfCheck(format!("{id} is not its own nearest neighbour, {other} is")));
            }
        }
    }
    Ok(rows.len())
}

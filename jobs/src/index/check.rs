//! The self-check of a new index: what went in must be found.

use crate::{EmbedOptions, Embedder, Error, Flow, Items, Listing, Progress, Result, embed};
use unisono_encoders::Precision;
use unisono_index::{similarity, top};

/// Items embedded again.
const ITEMS: usize = 32;
/// What their cosine with themselves must reach, and by how much a twin (the same image under two names) may be found before them.
/// Another batch adds in another order: in single precision 1e-6 is usual and 1e-4 is a mistake; what is rounded to fewer bits may then
/// fall to the other side. With bytes nothing moves in most towers.
fn bounds(precision: Precision) -> (f32, f32) {
    match precision {
        Precision::Fp32 => (0.9999, 1e-5),
        Precision::Bf16 | Precision::Int8 => (0.999, 1e-3),
    }
}

/// Embeds items spread over the index a second time, in other batches; each must be its own nearest neighbour. Returns
/// how many were looked at.
///
/// # Errors
/// [`Error::SelfCheck`] names the first item that is not found.
pub(super) fn finds_itself(
    embedder: &Embedder,
    items: &Items,
    values: &[f32],
    options: &EmbedOptions,
    progress: &mut dyn FnMut(Progress) -> Flow,
) -> Result<usize> {
    let (n, dim) = (items.len(), embedder.dim());
    let rows: Vec<usize> = (0..n).step_by(n.div_ceil(ITEMS).max(1)).collect();
    let chosen = rows.iter().filter_map(|row| items.get(*row)).collect();
    let listing = Listing { items: chosen, ..Listing::default() };
    let id = |row: usize| items.get(row).map_or_else(String::new, |item| item.id);
    // Three at once: never the batches of the build, so that what depends on the neighbours in a batch shows.
    let options = EmbedOptions { batch: 3, max_skip: 0, ..*options };
    let again = embed(embedder, listing, &options, &mut |p| progress(Progress { stage: "self-check", ..p }))?;
    let (same, rounding) = bounds(embedder.precision());
    for (row, vector) in rows.iter().zip(again.vectors.rows()) {
        let own = similarity(vector, &values[row * dim..(row + 1) * dim]);
        if own < same {
            return Err(Error::SelfCheck(format!(
                "{} embedded twice has cosine {own:.6} with itself, expected at least {same}",
                id(*row)
            )));
        }
        match top(values, vector, 1, |_| true).first() {
            Some(best) if best.score <= own + rounding => (),
            best => {
                let other = best.map_or_else(|| "nothing".to_owned(), |hit| id(hit.index));
                return Err(Error::SelfCheck(format!(
                    "{} is not its own nearest neighbour, {other} is",
                    id(*row)
                )));
            }
        }
    }
    Ok(rows.len())
}

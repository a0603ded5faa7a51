//! What a model learns by: a list of terms, each with a weight, as a recipe's `[[objective]]` states them. A term is a file:
//!
//! | kind | learns | needs |
//! |---|---|---|
//! | [`contrastive`](Contrastive) | each item finds its own among the batch | two towers |
//! | [`sigmoid`](Sigmoid) | each pair of items belongs together or does not | two towers, a bias |
//! | [`distill`](Distill) | what a teacher says of the batch | a teacher's vectors |
//! | [`structure`](Structure) | what is near in a frozen tower's space stays near | its features |
//! | [`caption`](Caption) | the next token of a text about what is seen or heard | a stack that writes |
//! | [`match`](Match) | true pairs told from hard negatives | a matching head |

mod batch;
mod caption;
mod contrastive;
mod direction;
mod distill;
mod fused;
mod geometry;
mod items;
mod matching;
mod negatives;
mod pair;
mod positives;
mod refuse;
mod sigmoid;
mod softmax;
mod structure;
mod sum;
mod term;
mod tiled;
mod widths;

pub use batch::{Batch, Losses, Part};
pub use caption::{Caption, caption_loss};
pub use contrastive::Contrastive;
pub use distill::{Distance, Distill};
pub use items::{Fixed, Items, TowerTokens, View};
pub use matching::{Match, MatchPairs, match_loss};
pub use negatives::hard_negatives;
pub use pair::Pair;
pub use sigmoid::Sigmoid;
pub use structure::Structure;
pub use sum::{Able, Objective};
pub use term::Term;

//! What a model learns by: a list of terms, each with a weight, as a recipe's `[[objective]]` states them. A term is a file:
//!
//! | kind | learns | needs |
//! |---|---|---|
//! | [`contrastive`](Contrastive) | each item finds its own among the batch | two towers |
//! | [`sigmoid`](Sigmoid) | each pair of items belongs together or does not | two towers, a bias |
//! | [`caption`](Caption) | the next token of a text about what is seen or heard | a stack that writes |
//! | [`match`](Match) | true pairs told from hard negatives | a matching head |

mod batch;
mod caption;
mod contrastive;
mod fused;
mod items;
mod matching;
mod negatives;
mod pair;
mod refuse;
mod sigmoid;
mod sum;
mod term;

pub use batch::{Batch, Losses, Part};
pub use caption::{Caption, caption_loss};
pub use contrastive::Contrastive;
pub use items::{Items, TowerTokens, View};
pub use matching::{Match, MatchPairs, match_loss};
pub use negatives::hard_negatives;
pub use pair::Pair;
pub use sigmoid::Sigmoid;
pub use sum::Objective;
pub use term::Term;

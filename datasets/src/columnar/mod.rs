//! Tables by columns, whatever file they lie in: what a column is, a piece of one in memory, and a file as a table that threads share.

mod cache;
mod leaf;
mod piece;
mod store;
mod table;

pub(crate) use leaf::{Kind, Leaf};
pub(crate) use piece::{Piece, Slot, Value, Values};
pub(crate) use store::{Cut, Nulls, Place, Store, Where, again};
pub(crate) use table::{Kept, Table};

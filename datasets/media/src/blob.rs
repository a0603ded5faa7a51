//! What a medium is opened from: a file, a part of a file, a row's value in a table, or bytes in memory. Whoever decodes need not know which.

mod disk;
mod opened;
mod place;
mod row;
mod written;

pub use disk::Lent;
pub(crate) use disk::OnDisk;
pub use opened::Opened;
pub use place::Blob;
pub use row::Rows;

#[cfg(test)]
#[path = "tests/blob.rs"]
mod tests;

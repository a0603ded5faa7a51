//! Files: opened only where they are regular, read within a [`Budget`], written whole or not at all, and one writer at a time.
//!
//! Folders are shared with others: a name that can be guessed may be a link that somebody laid, a name from a manifest may be a pipe that
//! never ends. So temporary names are random and made with `O_EXCL`, and what is opened is looked at after it was opened, not before.

mod alive;
mod budget;
mod cache;
mod caught;
mod clean;
mod error;
mod folder;
mod ledger;
mod lock;
mod name;
mod own;
mod printable;
mod read;
mod scratch;
mod set;
mod stamp;
mod temporary;
mod write;

pub use alive::abandon;
pub use budget::{Budget, Left};
pub use cache::cache_folder;
pub use caught::caught;
pub use clean::{clean, line};
pub use error::{Error, Result};
pub use folder::{folder_beside, left_beside, place_folder, real_folder, replace_folder, sweep};
#[doc(hidden)]
pub use ledger::signed;
pub use ledger::{DAMAGED, Ledger, Sum, Verdict, hex};
pub use lock::Lock;
pub use name::{safe_name, short_sum};
pub use own::{is_empty_folder, move_own, only_holds, open_own, own_folder, rewrite_own};
pub use printable::{Printable, printable};
pub use read::{open, read, read_json, read_text};
pub use scratch::Scratch;
pub use set::set;
pub use stamp::Stamp;
pub use write::{Pending, write, write_atomic, write_json};

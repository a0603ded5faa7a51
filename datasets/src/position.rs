//! Reading at a place of a file that threads share.

use std::fs::File;
use std::io::Result;

/// Fills the buffer from a place on.
#[cfg(unix)]
pub(crate) fn read(file: &File, buffer: &mut [u8], at: u64) -> Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, at)
}

/// Fills the buffer from a place on.
#[cfg(windows)]
pub(crate) fn read(file: &File, mut buffer: &mut [u8], mut at: u64) -> Result<()> {
    while !buffer.is_empty() {
        let n = std::os::windows::fs::FileExt::seek_read(file, buffer, at)?;
        if n == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        (buffer, at) = (&mut buffer[n..], at + n as u64);
    }
    Ok(())
}

/// So many bytes from a place on.
pub(crate) fn bytes(file: &File, at: u64, length: usize) -> Result<Vec<u8>> {
    let mut buffer = vec![0; length];
    read(file, &mut buffer, at).map(|()| buffer)
}

//! A file as a body, read as its reader takes it: a slow one holds a quarter of a megabyte and no thread.

use axum::body::{Body, Bytes};
use hyper::body::{Body as HttpBody, Frame};
use std::io::Read;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc::{Receiver, channel};
use unisono_media::Opened;

/// Bytes that are read at once.
const PART: u64 = 128 << 10;

type Part = Result<Bytes, std::io::Error>;

struct Fed(Receiver<Part>);

impl HttpBody for Fed {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        self.0.poll_recv(context).map(|part| part.map(|part| part.map(Frame::data)))
    }
}

/// So many bytes from where the file stands.
pub(crate) fn body(mut file: Opened, mut left: u64) -> Body {
    let (sender, receiver) = channel::<Part>(1);
    tokio::spawn(async move {
        while left > 0 {
            let read = tokio::task::spawn_blocking(move || {
                let mut part = Vec::new();
                let read = file.by_ref().take(left.min(PART)).read_to_end(&mut part);
                (file, read.map(|_| part))
            });
            let Ok((back, read)) = read.await else { return };
            file = back;
            let part = match read {
                // It was cut meanwhile: what was promised cannot be given.
                Ok(part) if part.is_empty() => Err(std::io::ErrorKind::UnexpectedEof.into()),
                Ok(part) => Ok(Bytes::from(part)),
                Err(e) => Err(e),
            };
            left = part.as_ref().map_or(0, |part| left - part.len() as u64);
            if sender.send(part).await.is_err() {
                return;
            }
        }
    });
    Body::new(Fed(receiver))
}

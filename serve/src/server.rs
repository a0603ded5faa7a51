//! Listening, answering, and ending in order.

use crate::app::App;
use crate::{Error, Result, api, guard};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::future::Future;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;

/// Threads that read and write connections; whatever takes time is done elsewhere.
const THREADS: usize = 2;
/// How long nothing is accepted when the system has no more files.
const PAUSE: Duration = Duration::from_millis(50);

/// An address that is listened at.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    addr: SocketAddr,
}

impl Server {
    /// Takes the address; nobody is answered yet. Port 0 is any free one.
    ///
    /// # Errors
    /// It is no address, or somebody has it.
    pub fn bind(addr: &str) -> Result<Self> {
        let refused = |source| Error::Address { addr: addr.to_owned(), source };
        let all: Vec<SocketAddr> = addr.to_socket_addrs().map_err(refused)?.collect();
        let listener = TcpListener::bind(all.as_slice()).map_err(refused)?;
        listener.set_nonblocking(true).map_err(refused)?;
        let addr = listener.local_addr().map_err(refused)?;
        Ok(Self { listener, addr })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Answers until `end` comes: then no more is accepted, what is being answered has [`Settings::grace`](crate::Settings::grace) to be done, and the
    /// models' threads end. Tells `ready` when it begins.
    ///
    /// # Errors
    /// The system has no threads.
    pub fn run(self, app: App, end: impl Future<Output = ()>, ready: impl FnOnce()) -> Result<()> {
        more_files();
        let app = Arc::new(app);
        let runtime = runtime(app.settings.workers)?;
        runtime.block_on(self.answer(app.clone(), end, ready))?;
        // Blocking reads of a file that is gone are not waited for.
        runtime.shutdown_timeout(Duration::from_secs(1));
        app.end();
        Ok(())
    }

    async fn answer(self, app: Arc<App>, end: impl Future<Output = ()>, ready: impl FnOnce()) -> Result<()> {
        let listener =
            tokio::net::TcpListener::from_std(self.listener).map_err(Error::system("the listener"))?;
        let layer = axum::middleware::from_fn_with_state(app.clone(), guard::guard);
        let service = TowerToHyperService::new(api::routes(app.clone()).layer(layer));
        let (graceful, room) = (GracefulShutdown::new(), Arc::new(Semaphore::new(app.settings.connections)));
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(app.settings.patience).max_buf_size(64 << 10);
        ready();
        tokio::pin!(end);
        loop {
            let accept = async {
                let Ok(room) = room.clone().acquire_owned().await else { return None };
                Some((listener.accept().await, room))
            };
            let (accepted, held) = tokio::select! {
                () = &mut end => break,
                accepted = accept => match accepted {
                    Some(accepted) => accepted,
                    None => break,
                },
            };
            let Ok((stream, _)) = accepted else {
                // No more files, or a client that left at once.
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            // Answers are small, and somebody waits for each.
            drop(stream.set_nodelay(true));
            leave(&stream, app.settings.timeout.max(app.settings.patience));
            let connection = graceful.watch(http.serve_connection(TokioIo::new(stream), service.clone()));
            let app = app.clone();
            tokio::spawn(async move {
                app.metrics.connections.fetch_add(1, Ordering::Relaxed);
                // A client that left, was too slow, or spoke no HTTP: nobody is left to tell.
                drop(connection.await);
                app.metrics.connections.fetch_sub(1, Ordering::Relaxed);
                drop(held);
            });
        }
        drop(listener);
        app.close();
        // Whoever is not done by then is left.
        drop(tokio::time::timeout(app.settings.grace, graceful.shutdown()).await);
        Ok(())
    }
}

/// A client that takes nothing of its answer for so long is left: the answer would be held for it for ever.
fn leave(stream: &tokio::net::TcpStream, after: Duration) {
    #[cfg(target_os = "linux")]
    drop(socket2::SockRef::from(stream).set_tcp_user_timeout(Some(after)));
    #[cfg(not(target_os = "linux"))]
    let _ = (stream, after);
}

/// The threads of connections, and those that decode.
pub(crate) fn runtime(workers: usize) -> Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(THREADS).thread_name("serve").enable_all();
    // Decoders, files that are read for slow clients, and jobs of scenes.
    builder.max_blocking_threads(workers.saturating_add(32));
    builder.build().map_err(Error::system("threads"))
}

/// As many open files as the system lets this process have: a connection is one.
fn more_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let now = getrlimit(Resource::Nofile);
    // Where it is refused, connections beyond the old number wait.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: now.maximum, maximum: now.maximum });
}

/// Comes when the process is asked to end: SIGTERM or SIGINT. Where the system has no room for handlers, never.
pub async fn signals() {
    use tokio::signal::unix::{SignalKind, signal};
    match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        (Ok(mut terminate), Ok(mut interrupt)) => tokio::select! {
            _ = terminate.recv() => (),
            _ = interrupt.recv() => (),
        },
        _ => std::future::pending().await,
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_takes_nothing_is_left() {
        runtime(1).unwrap().block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let client = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            leave(&client, Duration::from_secs(7));
            let after = socket2::SockRef::from(&client).tcp_user_timeout().unwrap();
            assert_eq!(after, Some(Duration::from_secs(7)));
        });
    }
}

//! The accept loop: bounded, with options set on each socket, every task tracked.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use crate::domain::limits::{ACCEPT_PAUSE, HEAD_BYTES, HEAD_TIMEOUT, SEND_BUFFER_BYTES};
use crate::http::{Hurry, PeerAddr};
use crate::transport::PatientStream;
use crate::ws::Socket;

pub(super) struct Accepting {
    pub(super) listener: TcpListener,
    pub(super) router: Router,
    pub(super) tracker: TaskTracker,
    pub(super) stop: CancellationToken,
    /// How long a write may wait for its reader.
    pub(super) stall: Duration,
    /// Sockets open at once; further ones wait in the kernel's queue.
    pub(super) sockets: usize,
}

impl Accepting {
    /// Until the stop; then the listener is closed.
    pub(super) async fn run(self) {
        let sockets = Arc::new(Semaphore::new(self.sockets.min(Semaphore::MAX_PERMITS)));
        loop {
            let next = async {
                let permit = Arc::clone(&sockets).acquire_owned().await.ok()?;
                Some((self.listener.accept().await, permit))
            };
            let Some(Some((accepted, permit))) = self.stop.run_until_cancelled(next).await else {
                return;
            };
            match accepted {
                Ok((socket, peer)) => {
                    set_options(&socket);
                    // The stop hurries all, the end of a stream its own connection.
                    let hurry = self.stop.child_token();
                    let socket = PatientStream::new(socket, self.stall, hurry.clone());
                    let told = Told { peer, hurry, counted: Socket(Arc::new(permit)) };
                    let task = serve(socket, told, self.router.clone(), self.stop.clone());
                    self.tracker.spawn(task);
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

/// Frames leave at once, and what waits for a slow reader waits where it is counted.
fn set_options(socket: &TcpStream) {
    let nodelay = socket.set_nodelay(true);
    let buffer = SockRef::from(socket).set_send_buffer_size(SEND_BUFFER_BYTES);
    if let Err(error) = nodelay.and(buffer) {
        tracing::debug!(%error, "socket options");
    }
}

/// What each request is told of its connection.
struct Told {
    peer: SocketAddr,
    hurry: CancellationToken,
    counted: Socket,
}

/// One connection of HTTP/1.1, until it ends or becomes a WebSocket.
async fn serve(socket: PatientStream, told: Told, router: Router, stop: CancellationToken) {
    let service = service_fn(|mut request: Request<Incoming>| {
        request.extensions_mut().insert(PeerAddr(told.peer));
        request.extensions_mut().insert(Hurry(told.hurry.clone()));
        request.extensions_mut().insert(told.counted.clone());
        router.clone().oneshot(request.map(Body::new))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(socket), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::limits::KERNEL_SEND_BYTES;

    #[tokio::test]
    async fn the_kernel_keeps_no_more_than_it_may() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (socket, _) = listener.accept().await.unwrap();
        set_options(&socket);
        assert!(SockRef::from(&socket).send_buffer_size().unwrap() <= KERNEL_SEND_BYTES);
        assert!(socket.nodelay().unwrap());
    }
}

//! One connection: a single task in which two things go on side by side. Inbound reads frames and
//! acts on them strictly in order; delivery hands on what the joined rooms have. They share a
//! [`Session`] and end together.
//!
//! What goes on now and then is boxed: it would make every idle connection's task as large as it is
//! itself.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use tokio::io::AsyncRead;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Utf8Bytes;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::heartbeats::{Heartbeats, Watched};
use super::rooms::Rooms;
use super::state::State;
use super::watch::Watches;
use crate::app::{App, Caller};
use crate::domain::limits::{CLOSE_LINGER, CLOSE_LINGER_BYTES, READ_BUFFER_BYTES, READ_TOGETHER};
use crate::domain::{Identity, Refusal};
use crate::hub::Connection;
use crate::protocol::{CloseCode, Hello, HelloLimits, ServerFrame, close_frame};
use crate::transport::{Budget, Inbound, MessageReader, Outbound, ReadEnd, ReaderOptions};

/// What all sessions share.
#[derive(Debug)]
pub struct Sessions {
    pub app: Arc<App>,
    /// Every session's task.
    pub tracker: TaskTracker,
    /// Cancelled when the server stops: nothing more is read.
    pub stop: CancellationToken,
    /// Frames being acted upon; the stop lets them end while the store still takes messages.
    pub acting: TaskTracker,
    /// Bytes waiting for all connections, and bytes of unfinished messages from them.
    pub output: Arc<Budget>,
    pub input: Arc<Budget>,
    /// To be run by one task.
    pub heartbeats: Arc<Heartbeats>,
}

impl Sessions {
    #[must_use]
    pub fn new(app: Arc<App>) -> Arc<Self> {
        let limits = &app.settings.limits;
        Arc::new(Self {
            tracker: TaskTracker::new(),
            stop: CancellationToken::new(),
            acting: TaskTracker::new(),
            output: Budget::new(limits.waiting_bytes_total),
            input: Budget::new(limits.partial_input_bytes),
            heartbeats: Arc::new(Heartbeats::new(limits, app.clock.clone())),
            app,
        })
    }
}

/// One connection's state, shared by what goes on in its task.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) app: Arc<App>,
    pub(super) connection: Arc<Connection>,
    pub(super) caller: std::sync::Mutex<Caller>,
    pub(super) state: std::sync::Mutex<State>,
    pub(super) rooms: Rooms,
    pub(super) watches: std::sync::Mutex<Watches>,
    pub(super) heartbeats: Arc<Heartbeats>,
    pub(super) watched: Arc<Watched>,
}

/// Serves a socket got back from an HTTP upgrade.
pub(super) fn serve_tcp(
    sessions: Arc<Sessions>,
    socket: TcpStream,
    read_already: &[u8],
    token: Option<String>,
) -> impl Future<Output = ()> + use<> {
    let (read, write) = socket.into_split();
    let limit = sessions.app.settings.limits.waiting_bytes;
    let outbound = Outbound::tcp(write, limit, Arc::clone(&sessions.output));
    serve(sessions, read, read_already, outbound, token)
}

/// Serves a connection from behind the upgrade to its end, over any stream.
pub fn serve<R: AsyncRead + Unpin>(
    sessions: Arc<Sessions>,
    stream: R,
    read_already: &[u8],
    outbound: Arc<Outbound>,
    token: Option<String>,
) -> impl Future<Output = ()> + use<R> {
    let received = Arc::new(AtomicU64::new(0));
    let options = ReaderOptions {
        message_bytes: sessions.app.settings.limits.frame_bytes,
        input: Arc::clone(&sessions.input),
        received: Arc::clone(&received),
    };
    let mut reader = MessageReader::new(stream, read_already, Arc::clone(&outbound), options);
    let opening = Box::pin(open(Arc::clone(&sessions), Arc::clone(&outbound), token, received));
    async move {
        let end = match opening.await {
            Ok(session) => {
                let end = session.run(&mut reader, &sessions).await;
                drop(session);
                end
            }
            Err(code) => Some(code),
        };
        sessions.app.hub.metrics.closed(end);
        if let Some(code) = end {
            outbound.send_last(close_frame(code));
        }
        // Whoever still sends would otherwise see a reset before it has read the last frame.
        let goodbye = async {
            if outbound.drain_to(0).await.is_ok() && end.is_some() {
                outbound.end();
                reader.discard(CLOSE_LINGER_BYTES).await;
            }
        };
        let _ = Box::pin(tokio::time::timeout(CLOSE_LINGER, goodbye)).await;
    }
}

/// Finds out who it is and registers the connection, or says with which code to refuse it.
async fn open(
    sessions: Arc<Sessions>,
    outbound: Arc<Outbound>,
    token: Option<String>,
    received: Arc<AtomicU64>,
) -> Result<Box<Session>, CloseCode> {
    let app = &sessions.app;
    let token = token.ok_or(CloseCode::Unauthorized)?;
    let identity = app.authenticate(&token).await.map_err(|refusal| close_code(&refusal))?;
    let connection = app
        .hub
        .connections
        .register(identity.user_id, identity.session, Arc::clone(&outbound))
        .ok_or(CloseCode::TryAgainLater)?;
    // Whoever stops the server closes what is registered, once; this one may be behind that.
    if sessions.stop.is_cancelled() {
        app.hub.connections.unregister(connection.id);
        return Err(CloseCode::Restart);
    }
    // Asked again behind the registration: a sign-out before it is seen here, one after it finds
    // the connection.
    if let Err(refusal) = app.authenticate(&token).await {
        app.hub.connections.unregister(connection.id);
        return Err(close_code(&refusal));
    }
    outbound.send(hello(app, &identity).encode());
    let watched = sessions.heartbeats.watch(&connection, received, identity.expires_at);
    let caller = Caller { identity, connection: Some(Arc::clone(&connection)) };
    Ok(Box::new(Session {
        app: Arc::clone(app),
        connection,
        caller: std::sync::Mutex::new(caller),
        state: std::sync::Mutex::new(State::default()),
        rooms: Rooms::default(),
        watches: std::sync::Mutex::default(),
        heartbeats: Arc::clone(&sessions.heartbeats),
        watched,
    }))
}

fn close_code(refusal: &Refusal) -> CloseCode {
    match refusal {
        Refusal::Unauthorized => CloseCode::Unauthorized,
        _ => CloseCode::Internal,
    }
}

fn hello(app: &App, identity: &Identity) -> ServerFrame<'static> {
    let limits = &app.settings.limits;
    ServerFrame::Hello(Hello {
        version: 1,
        user_id: identity.user_id.get(),
        log: app.settings.log.to_string(),
        heartbeat_ms: limits.heartbeat_seconds * 1_000,
        limits: HelloLimits {
            message_bytes: limits.message_bytes,
            frame_bytes: limits.frame_bytes,
            rooms_per_connection: limits.rooms_per_connection,
            unacknowledged: limits.unacknowledged,
        },
    })
}

impl Session {
    /// Until the connection ends. `Some`: with this code; `None`: the peer ended it.
    async fn run<R: AsyncRead + Unpin>(
        &self,
        reader: &mut MessageReader<R>,
        sessions: &Sessions,
    ) -> Option<CloseCode> {
        tokio::select! {
            biased;
            code = self.connection.closed() => Some(code),
            () = self.connection.outbound.drive() => None,
            // Takes one turn at a time; who sends without end would take all there are.
            never = self.delivery() => match never {},
            code = self.inbound(reader, sessions) => code,
        }
    }

    /// Reads and acts, one frame after the other.
    async fn inbound<R: AsyncRead + Unpin>(
        &self,
        reader: &mut MessageReader<R>,
        sessions: &Sessions,
    ) -> Option<CloseCode> {
        loop {
            self.watched.set_reading(false);
            if !self.has_room() {
                Box::pin(self.room()).await;
            }
            self.watched.set_reading(true);
            let message = tokio::select! {
                biased;
                () = sessions.stop.cancelled() => {
                    self.watched.set_reading(false);
                    std::future::pending().await
                }
                message = reader.next() => message,
            };
            self.watched.set_reading(false);
            match message {
                Ok(Inbound::Text(text)) => {
                    let (texts, end) = self.what_is_there(text, reader);
                    let _acting = sessions.acting.token();
                    if let Err(code) = Box::pin(self.act(&texts)).await {
                        return Some(code);
                    }
                    if let Some(end) = end {
                        return read_end(end);
                    }
                }
                Ok(Inbound::Control) => {}
                Err(end) => return read_end(end),
            }
        }
    }

    /// Whether it may be read what a frame asks for.
    fn has_room(&self) -> bool {
        self.connection.uncommitted() < self.app.settings.limits.unacknowledged
            && !self.connection.outbound.is_full()
    }

    async fn room(&self) {
        self.connection.window_below(self.app.settings.limits.unacknowledged).await;
        // Its answers would have nowhere to go. A failed socket shows when it is read.
        let _ = self.connection.outbound.drain_if_full().await;
    }

    /// What came together with `first`, as far as the window allows, and whether that was all.
    fn what_is_there<R>(
        &self,
        first: Utf8Bytes,
        reader: &mut MessageReader<R>,
    ) -> (Vec<Utf8Bytes>, Option<ReadEnd>) {
        let window = self.app.settings.limits.unacknowledged;
        let most = window.saturating_sub(self.connection.uncommitted()).min(READ_TOGETHER);
        let (mut bytes, mut texts) = (first.len(), vec![first]);
        while texts.len() < most && bytes < READ_BUFFER_BYTES {
            match reader.at_hand() {
                Some(Ok(Inbound::Text(text))) => {
                    bytes += text.len();
                    texts.push(text);
                }
                // A goodbye is answered behind what was said before it.
                Some(Ok(Inbound::Control)) | None => break,
                Some(Err(end)) => return (texts, Some(end)),
            }
        }
        (texts, None)
    }

    /// Hands on what the rooms have, whenever the bell rings.
    async fn delivery(&self) -> Infallible {
        loop {
            self.connection.rung().await;
            while Box::pin(self.pump()).await {
                // A part of the log each: then everybody else on this thread has a turn, however
                // many there are that catch up.
                tokio::task::yield_now().await;
            }
        }
    }
}

impl Drop for Session {
    /// However it ended.
    fn drop(&mut self) {
        self.app.hub.connections.unregister(self.connection.id);
        self.heartbeats.unwatch(&self.watched);
        self.leave_all();
    }
}

fn read_end(end: ReadEnd) -> Option<CloseCode> {
    match end {
        ReadEnd::Closed | ReadEnd::Gone => None,
        ReadEnd::Protocol => Some(CloseCode::Protocol),
        ReadEnd::NotUtf8 => Some(CloseCode::NotUtf8),
        ReadEnd::TooBig => Some(CloseCode::TooBig),
        ReadEnd::Binary => Some(CloseCode::Unsupported),
        ReadEnd::NoInputBudget => Some(CloseCode::TryAgainLater),
    }
}

//! One stream of events: a subscription like a socket's, pulled by whoever writes the answer. What
//! the client does not take is not asked for, so that a slow one costs a cursor and one chunk.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::unfold;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::Http;
use super::extract::Asker;
use super::problem::Problem;
use crate::app::App;
use crate::domain::limits::{EVENTS_CHUNK_BYTES, LONE_PART_BYTES, STORAGE_RETRY};
use crate::domain::{Millis, Refusal, Seq};
use crate::hub::{Connection, Gone, Step, Subscription};
use crate::protocol::{
    COMMENT_LINE, CloseCode, ServerFrame, append_log_events, named_event, retry_line,
};
use crate::transport::{Outbound, Share};

/// A stream's place among the open connections, given back when dropped.
#[derive(Debug)]
pub(super) struct Registered {
    app: Arc<App>,
    pub(super) connection: Arc<Connection>,
    _watch: Option<DropGuard>,
}

impl Registered {
    /// Counts the stream as one of its user's connections. `hurry`: cancelled when it is to end,
    /// since a client that reads nothing would not let it.
    pub(super) async fn open(
        http: &Http,
        listener: &Asker,
        hurry: Option<CancellationToken>,
    ) -> Result<Self, Problem> {
        let (user, session) = (listener.identity.user_id, listener.identity.session);
        let connections = &http.app.hub.connections;
        let Some(connection) = connections.register(user, session, Outbound::closed()) else {
            let full = "the server has as many connections as it takes";
            return Err(Problem::from(Refusal::Overloaded).saying(full));
        };
        let watch = hurry.map(|hurry| watch(&connection, hurry));
        let registered = Self { app: Arc::clone(&http.app), connection, _watch: watch };
        // Asked again behind the registration: a sign-out before it is seen here, one after it
        // finds the connection.
        http.app.authenticate(&listener.token).await?;
        Ok(registered)
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.app.hub.connections.unregister(self.connection.id);
    }
}

/// Until the guard is dropped: hurries the socket when somebody asks for the connection's end.
fn watch(connection: &Arc<Connection>, hurry: CancellationToken) -> DropGuard {
    let done = CancellationToken::new();
    let connection = Arc::clone(connection);
    let watching = async move {
        connection.closed().await;
        hurry.cancel();
    };
    tokio::spawn(done.clone().run_until_cancelled_owned(watching));
    done.drop_guard()
}

#[derive(Debug)]
pub(super) struct EventStream {
    http: Http,
    registered: Registered,
    subscription: Subscription,
    /// What was given out and not taken yet.
    waiting: Arc<Share>,
    /// When its token ends.
    expires_at: Millis,
    /// What comes first, until it is given out.
    opening: Option<Bytes>,
    ended: bool,
}

impl EventStream {
    pub(super) fn new(
        http: Http,
        registered: Registered,
        subscription: Subscription,
        expires_at: Millis,
        opening: Bytes,
    ) -> Self {
        let opening = Some(opening);
        let waiting = Share::of(&http.streams.output);
        Self { http, registered, subscription, waiting, expires_at, opening, ended: false }
    }

    pub(super) fn into_chunks(self) -> impl Stream<Item = Result<Bytes, Infallible>> {
        unfold(self, |mut stream| async { stream.next().await.map(|chunk| (Ok(chunk), stream)) })
    }

    /// The next lines, when there are some; `None`: it is over.
    async fn next(&mut self) -> Option<Bytes> {
        if self.ended {
            return None;
        }
        if let Some(opening) = self.opening.take() {
            return Some(opening);
        }
        let left = self.expires_at.saturating_sub(self.http.app.clock.now());
        if left == 0 {
            return None;
        }
        let pause = self.http.streams.keep_alive.min(Duration::from_millis(left));
        let readiness = self.http.readiness.clone();
        let connection = Arc::clone(&self.registered.connection);
        tokio::select! {
            biased;
            () = readiness.drained() => Some(self.comes_back()),
            code = connection.closed() => match code {
                CloseCode::Unauthorized => None,
                _ => Some(self.comes_back()),
            },
            chunk = self.chunk() => Some(chunk),
            // The end of the token, too: it shows at the next call.
            () = tokio::time::sleep(pause) => Some(Bytes::from_static(COMMENT_LINE)),
        }
    }

    /// The last lines of a stream that the client may open again.
    fn comes_back(&mut self) -> Bytes {
        self.ended = true;
        retry_line(self.registered.connection.reconnect_after())
    }

    /// Waits for something to tell. It can be dropped at every wait: what was taken from the
    /// subscription is given out before the next one.
    async fn chunk(&mut self) -> Bytes {
        self.waiting.room().await;
        let mut lines = Vec::new();
        while lines.len() < self.most() {
            match self.subscription.step() {
                Step::Send(frames) => append_log_events(&mut lines, &frames),
                Step::CaughtUp => {}
                // There is something to give out before it waits, reads or ends.
                _ if !lines.is_empty() => break,
                Step::Idle => self.registered.connection.rung().await,
                Step::ReadLog { after, upto } => lines = self.read(after, upto).await,
                Step::Gone(gone) => return self.left(gone),
            }
        }
        self.waiting.hold(lines)
    }

    /// Bytes to put together for one write.
    fn most(&self) -> usize {
        if self.waiting.is_short() { LONE_PART_BYTES } else { EVENTS_CHUNK_BYTES }
    }

    async fn read(&mut self, after: Seq, upto: Seq) -> Vec<u8> {
        let mut lines = Vec::new();
        let short = self.waiting.is_short();
        let part = {
            let _turn = self.http.app.hub.log.turn().await;
            self.http.app.log_part(self.subscription.room(), after, upto, short).await
        };
        match part {
            Ok(part) => append_log_events(&mut lines, &self.subscription.page(part)),
            // Storage fails, of which the log tells, or the room is gone, of which this stream is
            // about to hear. The subscription stays where it is.
            Err(_) => tokio::time::sleep(STORAGE_RETRY).await,
        }
        lines
    }

    fn left(&mut self, gone: Gone) -> Bytes {
        self.ended = true;
        let (room_id, reason) = (self.subscription.room().id().get(), Some(gone.reason()));
        named_event("left", None, &ServerFrame::Left { room_id, reason, reference: None })
    }
}

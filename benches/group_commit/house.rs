//! A server without its sockets: the use cases, the rooms, the writer's thread.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parlor::app::{App, Caller, Parts, Settings, Signup};
use parlor::auth::Origins;
use parlor::clock::Clock;
use parlor::domain::{
    Delivery, Identity, Limits, MessageBody, MessageId, Role, RoomRef, SessionId, Username,
};
use parlor::hub::{Connection, Hub, News};
use parlor::metrics::Metrics;
use parlor::store::{CommitMode, DrivenWriter, WriteQueue, Writer, WriterEnd, WriterThread};
use parlor::transport::{Budget, Outbound};
use tokio::task::JoinHandle;

use super::Failure;
use super::fill::{CACHE_BYTES, body, new_database, options, room_id, user};

/// The bounds of a small box; the rates are off, since one user sends for all.
fn limits() -> Limits {
    Limits { messages_per_second: 0, cache_bytes: CACHE_BYTES, ..Limits::default() }
}

#[derive(Debug)]
pub struct House {
    app: Arc<App>,
    queue: WriteQueue,
    /// The writer, and the task that takes in what it commits.
    running: std::sync::Mutex<Option<(WriterThread, JoinHandle<()>)>>,
    pub commits: Arc<AtomicU64>,
    window: usize,
    body: MessageBody,
    identity: Identity,
    rooms: u64,
}

impl House {
    pub fn open(directory: &Path, rooms: u64, commit: CommitMode) -> Result<Arc<Self>, Failure> {
        let (writer, reader, opened) = Writer::open(&options(directory, commit), &new_database())?;
        let limits = limits();
        let metrics = Metrics::new();
        let (driven, queue, health) = DrivenWriter::new(writer, &limits, &metrics);
        let hub = Hub::new(reader.clone(), queue.clone(), opened.boot, &limits, &metrics);
        let (news, commits) = News::channel(&hub);
        let count = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&count);
        let tell = move |committed, busy| {
            counted.fetch_add(1, Ordering::Relaxed);
            news.tell(committed, busy);
        };
        let thread = WriterThread::start(driven, tell, |_| {})?;
        let commits = tokio::spawn(commits.take_in());
        let parts = Parts {
            hub,
            clock: Clock::system(),
            reader,
            queue: queue.clone(),
            health,
            token_secret: opened.secret,
        };
        let window = limits.unacknowledged;
        let settings = Settings {
            limits,
            log: opened.log,
            signup: Signup::Open,
            token_ttl: Duration::from_hours(1),
            delivery: Delivery::Immediate,
            origins: Origins::default(),
            setup_code: None,
        };
        let identity = Identity {
            user_id: user()?,
            username: Username::parse("sender").map_err(|error| error.to_string())?,
            role: Role::Member,
            session: SessionId(1),
            expires_at: u64::MAX,
        };
        Ok(Arc::new(Self {
            app: App::new(parts, settings),
            running: std::sync::Mutex::new(Some((thread, commits))),
            queue,
            commits: count,
            window,
            body: body()?,
            identity,
            rooms,
        }))
    }

    /// A connection whose socket takes everything.
    pub fn caller(&self, number: u64) -> Caller {
        let budget = Budget::new(usize::MAX);
        let outbound = Outbound::stream(tokio::io::sink(), usize::MAX, budget);
        let driven = Arc::clone(&outbound);
        tokio::spawn(async move { driven.drive().await });
        let connection = Some(Connection::new(number, outbound));
        Caller { identity: self.identity.clone(), connection }
    }

    pub async fn post(
        &self,
        caller: &Caller,
        room: u64,
        id: Option<MessageId>,
    ) -> Result<(), Failure> {
        let posted = self.app.post(caller, room_id(room)?, self.body.clone(), id).await;
        posted.map(|_| ()).map_err(|refusal| format!("refused: {refusal:?}").into())
    }

    /// Waits until `caller` may send one more.
    pub async fn window(&self, caller: &Caller) {
        if let Some(connection) = &caller.connection {
            connection.window_below(self.window).await;
        }
    }

    /// Waits for the last ack.
    pub async fn acknowledged(&self, caller: &Caller) {
        if let Some(connection) = &caller.connection {
            connection.window_below(1).await;
        }
    }

    /// How many messages there are on disk.
    pub async fn stored(&self) -> Result<u64, Failure> {
        let mut stored = 0;
        for room in 1..=self.rooms {
            let view = self.app.room(RoomRef::Id(room_id(room)?)).await;
            stored += view.map_err(|refusal| format!("{refusal:?}"))?.count;
        }
        Ok(stored)
    }

    pub async fn close(&self) -> Result<(), Failure> {
        let running = self.running.lock().ok().and_then(|mut running| running.take());
        let (thread, commits) = running.ok_or("closed twice")?;
        self.queue.close();
        let end = tokio::task::spawn_blocking(move || thread.join()).await?;
        commits.await?;
        if end == WriterEnd::Clean { Ok(()) } else { Err(format!("the writer: {end:?}").into()) }
    }

    pub async fn load_rooms(&self, rooms: u64) -> Result<(), Failure> {
        for room in 1..=rooms {
            self.app.hub.room(room_id(room)?).await?;
        }
        Ok(())
    }
}

//! The whole order of start and stop.

mod accept;
mod background;
mod files;
mod first_account;
mod listeners;
mod metrics;
mod tasks;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::app::{self, App};
use crate::auth::{Origins, RandomError, random};
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::Millis;
use crate::domain::limits::{HTTP_CONNECTIONS, STOP_DEADLINE};
use crate::http::{self, Readiness, Streams};
use crate::hub::{Hub, News, NewsReceiver};
use crate::metrics::Metrics;
use crate::store::{
    DrivenWriter, NewDatabase, OpenError, Opened, Reader, StoreOptions, WriteQueue, Writer,
    WriterEnd, WriterThread,
};
use crate::web;
use crate::ws::{self, Sessions};

use listeners::Listeners;
use tasks::Tasks;

pub use background::take_pulses;
pub use first_account::FirstAccount;

/// Why the server does not start; one line.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("{0}")]
    Open(#[from] OpenError),
    #[error("cannot listen on {addr}: {source}")]
    Listen { addr: SocketAddr, source: std::io::Error },
    #[error("cannot listen for metrics on {addr}: {source}")]
    ListenForMetrics { addr: SocketAddr, source: std::io::Error },
    #[error("cannot start the writer's thread: {0}")]
    Thread(std::io::Error),
    #[error("{0}")]
    Random(#[from] RandomError),
    #[error("opening the database did not end: {0}")]
    Aborted(String),
}

/// Why a stop was not a clean one; one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StopError {
    #[error("storage failed: what was not acknowledged may be lost, nothing else")]
    Storage,
    #[error("a fault in the server: commits were not made known; nothing acknowledged is lost")]
    Untold,
    #[error("a fault in the server: a background task ended; nothing acknowledged is lost")]
    Task,
    #[error("the stop took too long and was cut short; nothing acknowledged is lost")]
    Deadline,
}

/// A started server. Dropping it without [`Self::run_until`] is a crash.
#[derive(Debug)]
pub struct Server {
    addr: SocketAddr,
    metrics_addr: Option<SocketAddr>,
    first_account: FirstAccount,
    readiness: Readiness,
    sessions: Arc<Sessions>,
    queue: WriteQueue,
    writer: WriterThread,
    writer_ended: oneshot::Receiver<WriterEnd>,
    /// Ends once the writer has and everything it told is taken in.
    commits: tokio::task::JoinHandle<()>,
    /// Cancelled if that task ends before its time: what is stored would be acknowledged no more.
    untold: CancellationToken,
    /// Cancelled if a task ends without which the server is not whole.
    failed: CancellationToken,
    /// Those of plain HTTP.
    http: Tasks,
    /// What goes on from time to time, and the page of metrics.
    background: Tasks,
}

impl Server {
    /// Opens the database, counts this start in it, and only then listens.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let started_at = Clock::system().now();
        let mut limits = config.limits.clone();
        let options = StoreOptions::directory(config.data.clone(), limits.cache_bytes);
        let (writer, reader, opened) = open(options).await?;
        let (wished, metrics) = (config.listen, config.metrics);
        let opening = Listeners::open(wished, metrics.listen, metrics.may_be_taken());
        let listeners = match opening.await {
            Ok(listeners) => listeners,
            Err(error) => {
                // Nothing has happened yet: the next start need not take this for a crash.
                let _ = writer.close();
                return Err(error);
            }
        };
        limits.connections = files::leave_connections(limits.connections);
        let (addr, metrics_addr) = (listeners.addr, listeners.metrics_addr);
        let metrics = Metrics::new();
        let (driven, queue, health) = DrivenWriter::new(writer, &limits, &metrics);
        let hub = Hub::new(reader.clone(), queue.clone(), opened.boot, &limits, &metrics);
        let (news, commits) = News::channel(&hub);
        let (ended, writer_ended) = oneshot::channel();
        let report = move |end| _ = ended.send(end);
        let thread = WriterThread::start(driven, move |told, busy| news.tell(told, busy), report);
        let thread = thread.map_err(StartError::Thread)?;
        let untold = CancellationToken::new();
        let commits = tokio::spawn(take_in(commits, untold.clone().drop_guard()));
        let first_account = FirstAccount::of(opened.has_accounts, config.auth.signup)?;
        let settings = app::Settings {
            limits,
            log: opened.log,
            signup: config.auth.signup,
            token_ttl: config.auth.token_ttl,
            delivery: config.rooms.delivery,
            origins: origins(&config, addr),
            setup_code: first_account.setup_code(),
        };
        let configured = config.auth.secret.map(|secret| secret.as_bytes().to_vec());
        let parts = app::Parts {
            hub,
            clock: Clock::system(),
            reader,
            queue: queue.clone(),
            health,
            token_secret: configured.unwrap_or(opened.secret),
        };
        let app = App::new(parts, settings);
        let failed = CancellationToken::new();
        let server = Self {
            addr,
            metrics_addr,
            first_account,
            readiness: Readiness::default(),
            sessions: Sessions::new(Arc::clone(&app)),
            queue,
            writer: thread,
            writer_ended,
            commits,
            untold,
            http: Tasks::new(&failed),
            background: Tasks::new(&failed),
            failed,
        };
        server.spawn(listeners, &app, started_at);
        if opened.restored {
            tracing::warn!("the database is a copy put back: clients are told to begin anew");
        }
        tracing::info!(%addr, boot = opened.boot, clean = opened.clean, "listening");
        Ok(server)
    }

    fn spawn(&self, listeners: Listeners, app: &Arc<App>, started_at: Millis) {
        let streams = Streams::new(Arc::clone(&self.sessions.output));
        let router = http::finish(
            http::router(Arc::clone(app), self.readiness.clone(), streams)
                .merge(web::router(app.settings.origins.public.as_ref()))
                .merge(ws::router(Arc::clone(&self.sessions))),
            &app.hub.metrics,
            &app.settings.origins,
        );
        let accepting = accept::Accepting {
            listener: listeners.main,
            router,
            tracker: self.http.tracker.clone(),
            stop: self.http.stop.clone(),
            stall: Duration::from_secs(app.settings.limits.write_stall_seconds),
            sockets: app.settings.limits.connections.saturating_add(HTTP_CONNECTIONS),
        };
        self.http.spawn("accepting", accepting.run());
        let heartbeats = background::take_pulses(Arc::clone(&self.sessions.heartbeats));
        self.background.spawn_endless("heartbeats", heartbeats);
        let presence = background::tell_presence(Arc::clone(&app.hub));
        self.background.spawn_endless("presence", presence);
        let watchers = background::tell_watchers(Arc::clone(&app.hub));
        self.background.spawn_endless("watchers", watchers);
        self.background.spawn_endless("housekeeping", background::keep_house(Arc::clone(app)));
        if let Some(listener) = listeners.metrics {
            let scraped = metrics::Scraped {
                sessions: Arc::clone(&self.sessions),
                queue: self.queue.clone(),
                readiness: self.readiness.clone(),
                started_at,
            };
            let serving = metrics::serve(listener, scraped, self.background.stop.clone());
            self.background.spawn("metrics", serving);
        }
    }

    /// The address that it really listens on.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where it serves its metrics, if it does.
    #[must_use]
    pub fn metrics_addr(&self) -> Option<SocketAddr> {
        self.metrics_addr
    }

    #[must_use]
    pub fn first_account(&self) -> FirstAccount {
        self.first_account.clone()
    }

    /// Serves until `stop` is done, then stops: what was accepted is committed and acknowledged,
    /// the connections are told to come back, and the database is marked as closed in good order.
    pub async fn run_until(mut self, stop: impl Future<Output = ()>) -> Result<(), StopError> {
        tokio::select! {
            () = stop => {}
            _ = &mut self.writer_ended => return Err(StopError::Storage),
            () = self.untold.cancelled() => return Err(StopError::Untold),
            () = self.failed.cancelled() => {}
        }
        tracing::info!("stopping");
        let (untold, failed) = (self.untold.clone(), self.failed.clone());
        let deadline = Instant::now() + STOP_DEADLINE;
        match tokio::time::timeout_at(deadline, self.stop()).await {
            Ok(_) if untold.is_cancelled() => Err(StopError::Untold),
            Ok(WriterEnd::Clean) if failed.is_cancelled() => Err(StopError::Task),
            Ok(WriterEnd::Clean) => {
                tracing::info!("stopped");
                Ok(())
            }
            Ok(WriterEnd::Unmarked | WriterEnd::Failed) => Err(StopError::Storage),
            Err(_) => Err(StopError::Deadline),
        }
    }

    async fn stop(self) -> WriterEnd {
        let connections = &self.sessions.app.hub.connections;
        self.readiness.drain();
        self.http.stop.cancel();
        connections.announce_restart();
        self.sessions.stop.cancel();
        // What is under way gets its answer, which may take a commit; but nobody's slow connection
        // holds up the rest.
        self.sessions.acting.close();
        let under_way = async {
            self.http.end().await;
            self.sessions.acting.wait().await;
        };
        let _ = tokio::time::timeout(STOP_DEADLINE / 2, under_way).await;
        self.queue.close();
        let end = tokio::task::spawn_blocking(|| self.writer.join()).await;
        // Acks of the last commit are out when this has ended.
        let _ = self.commits.await;
        connections.close_for_restart();
        self.sessions.tracker.close();
        self.sessions.tracker.wait().await;
        // They hold the database's directory; whoever starts next may do so at once.
        self.background.end().await;
        end.unwrap_or(WriterEnd::Failed)
    }
}

async fn open(options: StoreOptions) -> Result<(Writer, Reader, Opened), StartError> {
    let new = NewDatabase { log: random::log_id()?, secret: random::secret()? };
    tokio::task::spawn_blocking(move || Writer::open(&options, &new))
        .await
        .map_err(|error| StartError::Aborted(error.to_string()))?
        .map_err(StartError::Open)
}

fn origins(config: &Config, addr: SocketAddr) -> Origins {
    Origins {
        public: config.public_url.clone(),
        allowed: config.allowed_origins.clone(),
        local: addr.ip().is_loopback(),
    }
}

/// Until the writer has ended. After a panic `untold` says that it came to no good end.
async fn take_in(commits: NewsReceiver, untold: DropGuard) {
    commits.take_in().await;
    untold.disarm();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::MetricsConfig;

    fn config(data: &std::path::Path) -> Config {
        Config {
            listen: "127.0.0.1:0".parse().unwrap(),
            data: data.to_owned(),
            metrics: MetricsConfig { listen: None },
            ..Config::default()
        }
    }

    /// Once the writer went on committing, and nobody was ever acknowledged anything again.
    #[tokio::test]
    async fn a_server_that_cannot_tell_of_commits_ends_with_an_error() {
        for stopped in [false, true] {
            let directory = tempfile::tempdir().unwrap();
            let server = Server::start(config(directory.path())).await.unwrap();
            server.commits.abort();
            let stop = async {
                if !stopped {
                    std::future::pending::<()>().await;
                }
            };
            assert_eq!(server.run_until(stop).await, Err(StopError::Untold));
        }
    }

    /// Once connections that had died, or whose tokens had ended, would have stayed for ever.
    #[tokio::test]
    async fn a_server_that_is_not_whole_stops_in_good_order_and_with_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let server = Server::start(config(directory.path())).await.unwrap();
        server.background.spawn_endless("test", async { panic!("a fault") });
        let end = server.run_until(std::future::pending());
        let end = tokio::time::timeout(Duration::from_mins(1), end).await;
        assert_eq!(end, Ok(Err(StopError::Task)));
        let cache = Config::default().limits.cache_bytes;
        let options = StoreOptions::directory(directory.path().to_owned(), cache);
        assert!(open(options).await.unwrap().2.clean);
    }
}

//! The server put together by hand, so that a test can stop the news of commits on their way.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parlor::app::{App, Parts, Settings, Signup};
use parlor::auth::Origins;
use parlor::clock::Clock;
use parlor::domain::{Delivery, Limits, LogId};
use parlor::http::{self, Readiness, Streams};
use parlor::hub::Hub;
use parlor::metrics::Metrics;
use parlor::server;
use parlor::store::{DrivenWriter, NewDatabase, StoreOptions, WriteQueue, Writer, WriterThread};
use parlor::transport::PatientStream;
use parlor::ws::{self, Sessions};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::support::Person;

/// `before_news`: called behind each commit, on the writer's thread, before anybody hears of it.
pub fn app(
    directory: &Path,
    limits: &Limits,
    before_news: impl Fn() + Send + 'static,
) -> (Arc<App>, WriteQueue, WriterThread) {
    let store = StoreOptions::directory(directory, 1 << 20);
    let new = NewDatabase { log: LogId(1), secret: [1; 32] };
    let (writer, reader, opened) = Writer::open(&store, &new).unwrap();
    let metrics = Metrics::new();
    let (driven, queue, health) = DrivenWriter::new(writer, limits, &metrics);
    let hub = Hub::new(reader.clone(), queue.clone(), opened.boot, limits, &metrics);
    let tell = {
        let hub = Arc::clone(&hub);
        move |committed, _| {
            before_news();
            hub.committed(&committed);
        }
    };
    let thread = WriterThread::start(driven, tell, |_| {}).unwrap();
    let parts = Parts {
        hub,
        clock: Clock::system(),
        reader,
        queue: queue.clone(),
        health,
        token_secret: opened.secret,
    };
    let settings = Settings {
        limits: limits.clone(),
        log: opened.log,
        signup: Signup::Open,
        token_ttl: Duration::from_hours(1),
        delivery: Delivery::Immediate,
        origins: Origins::default(),
        setup_code: None,
    };
    (App::new(parts, settings), queue, thread)
}

/// Lets the news of commits pass, or not.
pub struct Gate {
    /// Commits whose news may pass.
    passes: Mutex<u64>,
    opened: Condvar,
}

impl Default for Gate {
    /// Open.
    fn default() -> Self {
        Self { passes: Mutex::new(u64::MAX), opened: Condvar::default() }
    }
}

impl Gate {
    pub fn set(&self, closed: bool) {
        self.let_pass(if closed { 0 } else { u64::MAX });
    }

    pub fn let_pass(&self, commits: u64) {
        *self.passes.lock().unwrap_or_else(PoisonError::into_inner) = commits;
        self.opened.notify_all();
    }

    pub fn pass(&self) {
        let passes = self.passes.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.opened.wait_while(passes, |passes| *passes == 0);
        let mut passes = waited.unwrap_or_else(PoisonError::into_inner);
        if *passes != u64::MAX {
            *passes -= 1;
        }
    }
}

/// A server whose disk can be made to take its time.
pub struct Inside {
    pub addr: SocketAddr,
    gate: Arc<Gate>,
    _directory: TempDir,
}

impl Inside {
    pub async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let limits = Limits { sign_ins_per_minute: 0, messages_per_second: 0, ..Limits::default() };
        let gate = Arc::new(Gate::default());
        let passing = Arc::clone(&gate);
        let (app, _, _) = app(directory.path(), &limits, move || passing.pass());
        let sessions = Sessions::new(Arc::clone(&app));
        tokio::spawn(server::take_pulses(Arc::clone(&sessions.heartbeats)));
        let streams = Streams::new(Arc::clone(&sessions.output));
        let metrics = Arc::clone(&app.hub.metrics);
        let router = http::router(app, Readiness::default(), streams);
        let router =
            http::finish(router.merge(ws::router(sessions)), &metrics, &Origins::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let router = router.clone();
                let service = service_fn(move |request: hyper::Request<Incoming>| {
                    router.clone().oneshot(request.map(Body::new))
                });
                let io = TokioIo::new(PatientStream::new(
                    socket,
                    Duration::from_mins(1),
                    CancellationToken::new(),
                ));
                let connection = http1::Builder::new().serve_connection(io, service);
                tokio::spawn(connection.with_upgrades());
            }
        });
        Self { addr, gate, _directory: directory }
    }

    pub async fn person(&self, username: &str) -> Person {
        Person::sign_up(self.addr, username).await
    }

    /// From here on no commit returns.
    pub fn hold(&self) {
        self.gate.set(true);
    }

    /// The one that waits returns, and no other.
    pub fn release_one(&self) {
        self.gate.let_pass(1);
    }

    pub fn release(&self) {
        self.gate.set(false);
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.release();
    }
}

//! The HTTP edge over a real store: every request goes through the whole router.

mod accounts;
mod cookie;
mod cors;
mod document;
mod edge;
mod events;
mod logs;
mod messages;
mod rooms;
mod tokens;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::{Readiness, Streams};
use crate::app::{App, Parts, Settings, SetupCode, Signup};
use crate::auth::{Origins, random};
use crate::clock::Clock;
use crate::domain::{Delivery, Limits};
use crate::hub::Hub;
use crate::metrics::Metrics;
use crate::store::{DrivenWriter, NewDatabase, StoreOptions, Writer, WriterThread};
use crate::transport::Budget;

const NOW: u64 = 1_790_000_000_000;
const PASSWORD: &str = "correct horse battery";
const TTL: Duration = Duration::from_hours(1);

/// What a test may want otherwise.
struct Options {
    limits: Limits,
    signup: Signup,
    setup_code: Option<String>,
    origins: Origins,
    delivery: Delivery,
    /// Of streams of events.
    keep_alive: Duration,
    /// Called on the writer's thread after each commit.
    after_commit: Box<dyn FnMut() + Send>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            limits: Limits { sign_ins_per_minute: 0, ..Limits::default() },
            signup: Signup::Open,
            setup_code: None,
            origins: Origins::default(),
            delivery: Delivery::Immediate,
            keep_alive: Duration::from_hours(1),
            after_commit: Box::new(|| {}),
        }
    }
}

struct TestApp {
    router: Router,
    clock: Clock,
    readiness: Readiness,
    secret: Vec<u8>,
    queue: crate::store::WriteQueue,
    /// Bytes that wait for readers of streams.
    output: Arc<Budget>,
    _directory: tempfile::TempDir,
}

impl TestApp {
    fn new() -> Self {
        Self::with(Options::default())
    }

    fn with(options: Options) -> Self {
        let Options { limits, signup, setup_code, origins, delivery, keep_alive, after_commit } =
            options;
        let mut after_commit = after_commit;
        let directory = tempfile::tempdir().unwrap();
        let store = StoreOptions::directory(directory.path(), 1024 * 1024);
        let new = NewDatabase { log: random::log_id().unwrap(), secret: random::secret().unwrap() };
        let (writer, reader, opened) = Writer::open(&store, &new).unwrap();
        let metrics = Metrics::new();
        let (driven, queue, health) = DrivenWriter::new(writer, &limits, &metrics);
        let hub = Hub::new(reader.clone(), queue.clone(), opened.boot, &limits, &metrics);
        let told = {
            let hub = Arc::clone(&hub);
            move |committed, _| {
                hub.committed(&committed);
                after_commit();
            }
        };
        WriterThread::start(driven, told, |_| {}).unwrap();
        let clock = Clock::manual(NOW);
        let parts = Parts {
            hub,
            clock: clock.clone(),
            reader,
            queue: queue.clone(),
            health,
            token_secret: opened.secret.clone(),
        };
        let settings = Settings {
            limits,
            log: opened.log,
            signup,
            token_ttl: TTL,
            delivery,
            origins: origins.clone(),
            setup_code: setup_code.map(SetupCode),
        };
        let app = App::new(parts, settings);
        let readiness = Readiness::default();
        let output = Budget::new(1 << 20);
        let streams = Streams { output: Arc::clone(&output), keep_alive };
        let router = super::router(app, readiness.clone(), streams);
        let router = super::finish(router, &metrics, &origins);
        let secret = opened.secret;
        Self { router, clock, readiness, secret, queue, output, _directory: directory }
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let json = serde_json::from_slice(&body).unwrap_or(Value::Null);
        let answer = Answer { status: head.status, headers: head.headers, json };
        if method != Method::HEAD {
            document::holds(&method, &path, &answer);
        }
        answer
    }

    async fn call(&self, method: Method, path: &str, token: &str, body: Option<Value>) -> Answer {
        self.send(request(method, path, token, body)).await
    }

    async fn get(&self, path: &str, token: &str) -> Answer {
        self.call(Method::GET, path, token, None).await
    }

    async fn post(&self, path: &str, token: &str, body: Value) -> Answer {
        self.call(Method::POST, path, token, Some(body)).await
    }

    async fn delete(&self, path: &str, token: &str) -> Answer {
        self.call(Method::DELETE, path, token, None).await
    }

    /// Signs up and gives the token.
    async fn sign_up(&self, name: &str) -> String {
        let body = json!({"username": name, "password": PASSWORD});
        let answer = self.post("/api/v1/signup", "", body).await;
        assert_eq!(answer.status, 201, "{}", answer.json);
        answer.json["token"].as_str().unwrap().to_owned()
    }

    /// Makes a room and gives its id.
    async fn room(&self, token: &str, name: &str) -> u64 {
        let answer = self.post("/api/v1/rooms", token, json!({"name": name})).await;
        assert_eq!(answer.status, 201, "{}", answer.json);
        answer.json["room"]["roomId"].as_u64().unwrap()
    }
}

/// Without a token if it is empty.
fn request(method: Method, path: &str, token: &str, body: Option<Value>) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    if !token.is_empty() {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    match body {
        Some(body) => request
            .header("content-type", "application/json")
            .body(Body::from(body.to_string()))
            .unwrap(),
        None => request.body(Body::empty()).unwrap(),
    }
}

#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    /// `null`, where there is none.
    json: Value,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Whether it is this problem, whole and consistent.
    #[track_caller]
    fn is_problem(&self, status: u16, code: &str) {
        assert_eq!((self.status.as_u16(), &self.json["code"]), (status, &json!(code)), "{self:?}");
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(self.json["status"], status);
        assert_eq!(self.json["type"], "about:blank");
        assert_eq!(self.json["requestId"], self.header("x-request-id"));
        assert!(!self.json["title"].as_str().unwrap().is_empty());
        assert!(!self.json["detail"].as_str().unwrap().is_empty());
        let retryable = matches!(code, "rate_limited" | "overloaded" | "unavailable");
        let wait = self.header("retry-after").parse::<u64>().ok();
        assert_eq!(wait.is_some_and(|seconds| seconds > 0), retryable);
        assert_eq!(self.header("www-authenticate") == "Bearer", status == 401);
        assert_eq!(self.json.get("errors").is_some(), code == "invalid");
    }

    /// Whether it is `invalid`, for exactly these fields.
    #[track_caller]
    fn is_invalid(&self, fields: &[&str]) {
        self.is_problem(422, "invalid");
        let errors = self.json["errors"].as_array().unwrap();
        let named: Vec<_> = errors.iter().map(|error| error["field"].as_str().unwrap()).collect();
        assert_eq!(named, fields, "{}", self.json);
        assert!(errors.iter().all(|error| !error["message"].as_str().unwrap().is_empty()));
    }
}

//! A server on a port of its own and in a directory of its own, and clients that know only the
//! protocol. Every wait has an end: what does not come within [`PATIENCE`] fails the test.

use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use parlor::config::{Config, MetricsConfig};
use parlor::server::{FirstAccount, Server};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub use crate::socket::Socket;

/// Long enough for a machine that is busy with other things; nothing waits it out that passes.
pub const PATIENCE: Duration = Duration::from_mins(1);
pub const PASSWORD: &str = "correct horse";

/// Fails the test when `what` does not happen.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let Ok(value) = tokio::time::timeout(PATIENCE, future).await else {
        panic!("waited in vain for {what}");
    };
    value
}

/// A server in this process.
pub struct Parlor {
    pub addr: SocketAddr,
    /// Where it serves its metrics, if a test asked for that.
    pub metrics: Option<SocketAddr>,
    /// What the first account takes, if it takes one.
    pub setup_code: Option<String>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), parlor::server::StopError>>,
    directory: Directory,
}

enum Directory {
    Own(TempDir),
    Given(PathBuf),
}

impl Directory {
    fn path(&self) -> &Path {
        match self {
            Self::Own(directory) => directory.path(),
            Self::Given(path) => path,
        }
    }
}

impl Parlor {
    /// With the defaults, but without the rates that would slow a test down.
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        Self::start_in(Directory::Own(directory), change).await
    }

    /// The same, with somebody who has made a room; gives its id too.
    pub async fn with_room() -> (Self, Person, u64) {
        let server = Self::start().await;
        let ann = server.person("ann").await;
        let room = ann.room("General").await;
        (server, ann, room)
    }

    /// In a directory that outlives the server.
    pub async fn start_at(data: &Path, change: impl FnOnce(&mut Config)) -> Self {
        Self::start_in(Directory::Given(data.to_owned()), change).await
    }

    async fn start_in(directory: Directory, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config {
            listen: "127.0.0.1:0".parse().expect("an address"),
            data: directory.path().to_owned(),
            metrics: MetricsConfig { listen: None },
            ..Config::default()
        };
        config.limits.sign_ins_per_minute = 0;
        config.limits.messages_per_second = 0;
        change(&mut config);
        let server = Server::start(config).await.expect("the server starts");
        let (addr, metrics) = (server.addr(), server.metrics_addr());
        let setup_code = match server.first_account() {
            FirstAccount::SetupCode(code) => Some(code),
            FirstAccount::Exists | FirstAccount::Closed => None,
        };
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(server.run_until(async {
            let _ = stopped.await;
        }));
        Self { addr, metrics, setup_code, stop, task, directory }
    }

    /// Stops in good order.
    pub async fn stop(self) {
        let _ = self.stop.send(());
        within("the stop", self.task).await.expect("no panic").expect("a clean stop");
    }

    /// Stops and starts again over the same data.
    pub async fn restart(self) -> Self {
        let Self { stop, task, directory, .. } = self;
        let _ = stop.send(());
        within("the stop", task).await.expect("no panic").expect("a clean stop");
        Self::start_in(directory, |_| {}).await
    }

    pub fn api(&self) -> Api {
        Api::new(self.addr)
    }

    /// Signs somebody up.
    pub async fn person(&self, username: &str) -> Person {
        Person::sign_up(self.addr, username).await
    }
}

/// Speaks HTTP, with a token or without.
#[derive(Clone)]
pub struct Api {
    addr: SocketAddr,
    client: reqwest::Client,
    token: Option<String>,
}

/// An answer over HTTP; `json` is null where the body is empty or something else.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub json: Value,
}

impl Answer {
    /// The names of the fields at fault, in order.
    pub fn fields(&self) -> Vec<&str> {
        let errors = self.json["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        errors.iter().filter_map(|error| error["field"].as_str()).collect()
    }

    pub fn code(&self) -> &str {
        self.json["code"].as_str().unwrap_or_default()
    }
}

impl Api {
    pub fn new(addr: SocketAddr) -> Self {
        let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build();
        Self { addr, client: client.expect("a client"), token: None }
    }

    pub fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// `path` below `/api/v1`.
    pub fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.request_root(method, &format!("/api/v1{path}"))
    }

    fn request_root(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = method.parse().expect("a method");
        let url = format!("http://{}{path}", self.addr);
        let request = self.client.request(method, url);
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub async fn send(request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.bytes().await.expect("a body");
        Answer { status, headers, json: serde_json::from_slice(&body).unwrap_or(Value::Null) }
    }

    pub async fn get(&self, path: &str) -> Answer {
        Self::send(self.request("GET", path)).await
    }

    /// The whole path.
    pub async fn get_root(&self, path: &str) -> Answer {
        Self::send(self.request_root("GET", path)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        Self::send(self.request("DELETE", path)).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        Self::send(self.request("POST", path).json(body)).await
    }
}

/// Someone with an account and a token.
#[derive(Clone)]
pub struct Person {
    pub addr: SocketAddr,
    pub user_id: u64,
    pub username: String,
    pub token: String,
    pub api: Api,
}

impl Person {
    pub async fn sign_up(addr: SocketAddr, username: &str) -> Self {
        let body = json!({"username": username, "password": PASSWORD});
        let answer = Api::new(addr).post("/signup", &body).await;
        assert_eq!(answer.status, 201, "{:?}", answer.json);
        Self::of(addr, &answer)
    }

    /// The same person with another token.
    pub async fn sign_in(addr: SocketAddr, username: &str) -> Self {
        let body = json!({"username": username, "password": PASSWORD});
        let answer = Api::new(addr).post("/signin", &body).await;
        assert_eq!(answer.status, 200, "{:?}", answer.json);
        Self::of(addr, &answer)
    }

    fn of(addr: SocketAddr, answer: &Answer) -> Self {
        let token = answer.json["token"].as_str().expect("a token").to_owned();
        Self {
            addr,
            user_id: answer.json["user"]["userId"].as_u64().expect("an id"),
            username: answer.json["user"]["username"].as_str().expect("a name").to_owned(),
            api: Api::new(addr).with_token(&token),
            token,
        }
    }

    /// The same person, token and all, towards a server that was started again.
    pub fn at(&self, addr: SocketAddr) -> Self {
        let api = Api::new(addr).with_token(&self.token);
        Self { addr, api, ..self.clone() }
    }

    /// Makes a room; gives its id.
    pub async fn room(&self, name: &str) -> u64 {
        let answer = self.api.post("/rooms", &json!({"name": name})).await;
        assert_eq!(answer.status, 201, "{:?}", answer.json);
        answer.json["room"]["roomId"].as_u64().expect("a room's id")
    }

    /// Says something over HTTP and waits until it is durable; gives its seq.
    pub async fn say(&self, room: u64, message: &str) -> u64 {
        let path = format!("/rooms/{room}/messages");
        let answer = self.api.post(&path, &json!({"message": message})).await;
        assert_eq!(answer.status, 201, "{:?}", answer.json);
        answer.json["seq"].as_u64().expect("a seq")
    }

    /// All messages of a room, by pages.
    pub async fn history(&self, room: u64) -> Vec<Value> {
        let mut messages = Vec::new();
        let mut after = 0;
        loop {
            let path = format!("/rooms/{room}/messages?after={after}&limit=200");
            let answer = self.api.get(&path).await;
            assert_eq!(answer.status, 200, "{:?}", answer.json);
            let page = answer.json["messages"].as_array().expect("messages").clone();
            messages.extend(page);
            if answer.json["hasMore"] == false {
                return messages;
            }
            after = messages.last().expect("a message")["seq"].as_u64().expect("a seq");
        }
    }

    /// A socket behind its `hello`.
    pub async fn connect(&self) -> Socket {
        let mut socket = Socket::open(self.addr, &format!("/ws?token={}", self.token)).await;
        socket.expect("hello").await;
        socket
    }

    /// A socket that has joined `room`, behind the snapshot of who is there.
    pub async fn enter(&self, room: u64) -> Socket {
        let mut socket = self.connect().await;
        socket.join(room).await;
        socket
    }
}

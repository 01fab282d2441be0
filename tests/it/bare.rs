//! A server without its listener: the very sessions and routes, over pipes or sockets that a test
//! holds both ends of, and what they hold in view.

use std::path::Path;
use std::sync::Arc;

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use parlor::app::{App, CreateRoomRequest, SignUpRequest};
use parlor::domain::{Identity, Limits, MessageBody, Password, RoomName, Username};
use parlor::http::{Readiness, Streams, finish, router};
use parlor::hub::{Post, PublishError, Room};
use parlor::server;
use parlor::store::{WriteQueue, WriterThread};
use parlor::transport::Outbound;
use parlor::ws::{Sessions, serve};
use tokio::io::DuplexStream;
use tokio::net::{TcpListener, TcpStream};

use crate::inside::{Gate, app};

pub struct Bare {
    pub app: Arc<App>,
    pub sessions: Arc<Sessions>,
    gate: Arc<Gate>,
    queue: WriteQueue,
    writer: Option<WriterThread>,
}

impl Bare {
    /// Over what `directory` holds.
    pub fn start(directory: &Path, limits: &Limits) -> Self {
        let gate = Arc::new(Gate::default());
        let passing = Arc::clone(&gate);
        let (app, queue, writer) = app(directory, limits, move || passing.pass());
        let sessions = Sessions::new(Arc::clone(&app));
        tokio::spawn(server::take_pulses(Arc::clone(&sessions.heartbeats)));
        Self { app, sessions, gate, queue, writer: Some(writer) }
    }

    /// Everything that was published is on disk. Sessions must have ended.
    pub fn stop(mut self) {
        self.queue.close();
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }

    /// From here on the writer gets no further than the end of its next commit, of which nobody
    /// hears.
    pub fn hold_writer(&self) {
        self.gate.set(true);
    }

    pub fn release_writer(&self) {
        self.gate.set(false);
    }

    /// Signs somebody up; gives a token.
    pub async fn sign_up(&self, username: &str) -> (Identity, String) {
        let request = SignUpRequest {
            username: Username::parse(username).unwrap(),
            password: Password::parse("correct horse").unwrap(),
            display_name: None,
            setup_code: None,
            may_be_first: true,
        };
        let signed_in = self.app.sign_up(request, "127.0.0.1".parse().unwrap()).await.unwrap();
        let token = signed_in.token.token;
        (self.app.authenticate(&token).await.unwrap(), token)
    }

    pub async fn room(&self, creator: &Identity, name: &str) -> Arc<Room> {
        let name = RoomName::parse(name).unwrap();
        let request = CreateRoomRequest { name, slug: None, delivery: None };
        let view = self.app.create_room(creator, request).await.unwrap();
        self.app.live_room(view.room.room_id).await.unwrap()
    }

    /// Says `text` in `room`, through no connection, once the lanes let it through.
    pub async fn say(room: &Room, author: &Identity, text: &str) {
        loop {
            room.passable().await;
            let body = MessageBody::parse(text, text.len()).unwrap();
            let (user, username) = (author.user_id, author.username.as_str().into());
            match room.publish(Post { user, username, body, from: None }, None, 1) {
                Err(PublishError::Crowded) => {}
                published => break assert!(published.is_ok(), "{published:?}"),
            }
        }
    }

    /// A session at the other end of a pipe that holds `bytes`. `said`: what it has read already.
    pub fn pipe(&self, token: &str, bytes: usize, said: Vec<u8>) -> DuplexStream {
        let (client, server) = tokio::io::duplex(bytes);
        let (read, write) = tokio::io::split(server);
        let limit = self.app.settings.limits.waiting_bytes;
        let outbound = Outbound::stream(write, limit, Arc::clone(&self.sessions.output));
        let (sessions, token) = (Arc::clone(&self.sessions), token.to_owned());
        self.sessions.tracker.spawn(async move {
            serve(sessions, read, &said, outbound, Some(token)).await;
        });
        client
    }

    /// A session at the other end of a TCP connection.
    pub async fn socket(&self, token: &str) -> TcpStream {
        let (client, server) = connected().await;
        let (read, write) = server.into_split();
        let limit = self.app.settings.limits.waiting_bytes;
        let outbound = Outbound::tcp(write, limit, Arc::clone(&self.sessions.output));
        let (sessions, token) = (Arc::clone(&self.sessions), token.to_owned());
        self.sessions.tracker.spawn(async move {
            serve(sessions, read, &[], outbound, Some(token)).await;
        });
        client
    }

    /// A connection that is served HTTP.
    pub async fn http(&self) -> TcpStream {
        let (client, server) = connected().await;
        let streams = Streams::new(Arc::clone(&self.sessions.output));
        let router = router(Arc::clone(&self.app), Readiness::default(), streams);
        let router = finish(router, &self.app.hub.metrics, &self.app.settings.origins);
        tokio::spawn(async move {
            let service = TowerToHyperService::new(router);
            http1::Builder::new().serve_connection(TokioIo::new(server), service).await
        });
        client
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        self.release_writer();
    }
}

async fn connected() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    client.set_nodelay(true).unwrap();
    (client, listener.accept().await.unwrap().0)
}

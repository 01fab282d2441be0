//! A WebSocket client that keeps the rules.

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::support::within;

/// A WebSocket client.
pub struct Socket {
    stream: WebSocketStream<TcpStream>,
}

impl Socket {
    pub async fn open(addr: SocketAddr, path: &str) -> Self {
        let tcp = TcpStream::connect(addr).await.expect("a connection");
        tcp.set_nodelay(true).expect("an option");
        let url = format!("ws://{addr}{path}");
        let (stream, _) = within("the upgrade", tokio_tungstenite::client_async(url, tcp))
            .await
            .expect("an upgrade");
        Self { stream }
    }

    pub async fn send(&mut self, frame: &Value) {
        self.send_text(&frame.to_string()).await;
    }

    pub async fn send_text(&mut self, text: &str) {
        self.send_message(Message::text(text)).await;
    }

    pub async fn send_message(&mut self, message: Message) {
        within("room to send", self.stream.send(message)).await.expect("an open socket");
    }

    /// Sends without waiting for the socket to take it.
    pub async fn feed(&mut self, frame: &Value) {
        let message = Message::text(frame.to_string());
        within("room to send", self.stream.feed(message)).await.expect("an open socket");
    }

    pub async fn flush(&mut self) {
        within("room to send", self.stream.flush()).await.expect("an open socket");
    }

    /// The next frame, whatever it is.
    pub async fn recv(&mut self) -> Value {
        // The server's pings do not prolong the wait.
        let text = async {
            loop {
                match self.next().await {
                    Ok(Message::Text(text)) => return text,
                    Ok(Message::Close(close)) => panic!("closed: {close:?}"),
                    Ok(_) => {}
                    Err(error) => panic!("no frame: {error}"),
                }
            }
        };
        serde_json::from_str(&within("a frame", text).await).expect("a frame is JSON")
    }

    async fn next(&mut self) -> Result<Message, Error> {
        self.stream.next().await.unwrap_or(Err(Error::ConnectionClosed))
    }

    /// The next frame of this type; presence and typing of others may come in between, and nothing
    /// else.
    pub async fn expect(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.recv().await;
            if frame["type"] == kind {
                return frame;
            }
            let aside = frame["type"] == "presence" || frame["type"] == "typing";
            assert!(aside, "wanted {kind}, got {frame}");
        }
    }

    /// The next frame of this type, whatever comes before it.
    pub async fn find(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.recv().await;
            if frame["type"] == kind {
                return frame;
            }
        }
    }

    /// Sends a frame with a `ref` of its own and gives the answer that repeats it.
    pub async fn ask(&mut self, mut frame: Value) -> Value {
        frame["ref"] = json!("asked");
        self.send(&frame).await;
        loop {
            let answer = self.recv().await;
            if answer["ref"] == "asked" {
                return answer;
            }
        }
    }

    /// Joins and takes the snapshot of who is there; gives `joined`.
    pub async fn join(&mut self, room: u64) -> Value {
        self.send(&json!({"type": "join_room", "roomId": room})).await;
        let joined = self.expect("joined").await;
        let snapshot = self.find("presence").await;
        assert_eq!(snapshot["snapshot"], true, "{snapshot}");
        joined
    }

    pub async fn chat(&mut self, room: u64, message: &str) {
        self.send(&json!({"type": "chat", "roomId": room, "message": message})).await;
    }

    pub async fn chat_with_id(&mut self, room: u64, message: &str, id: &str) {
        let frame = json!({"type": "chat", "roomId": room, "message": message, "id": id});
        self.send(&frame).await;
    }

    /// Proves that everything sent before has been acted upon; gives what came meanwhile.
    pub async fn settle(&mut self) -> Vec<Value> {
        self.send(&json!({"type": "ping", "ref": "settle"})).await;
        let mut frames = Vec::new();
        loop {
            let frame = self.recv().await;
            if frame["type"] == "pong" && frame["ref"] == "settle" {
                return frames;
            }
            frames.push(frame);
        }
    }

    /// Reads to the end; gives the close code, if one was sent.
    pub async fn close_code(&mut self) -> Option<u16> {
        let mut code = None;
        let end = async {
            loop {
                match self.next().await {
                    Ok(Message::Close(close)) => code = close.map(|close| close.code.into()),
                    Ok(_) => {}
                    Err(_) => return,
                }
            }
        };
        within("the end", end).await;
        code
    }

    pub async fn close(mut self) {
        let _ = self.stream.close(None).await;
        let _ = self.close_code().await;
    }

    /// The stream itself, for what a well-behaved client would not do.
    pub fn stream(&mut self) -> &mut WebSocketStream<TcpStream> {
        &mut self.stream
    }
}

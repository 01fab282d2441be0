//! Members that know only the protocol.

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use crate::{Failure, MESSAGE_BYTES, PATIENCE};

/// Each of many clients needs room for a few messages only.
const BUFFER_BYTES: usize = 4 * 1024;

/// A WebSocket connection.
pub struct Member(WebSocketStream<TcpStream>);

#[derive(Deserialize)]
pub struct Frame<'a> {
    #[serde(rename = "type")]
    pub kind: &'a str,
    pub seq: Option<u64>,
    pub message: Option<&'a str>,
}

impl Member {
    pub async fn connect(addr: SocketAddr, token: &str) -> Result<Self, Failure> {
        Self::over(TcpStream::connect(addr).await?, token).await
    }

    /// Over a connection that was made already.
    pub async fn over(socket: TcpStream, token: &str) -> Result<Self, Failure> {
        let addr = socket.peer_addr()?;
        socket.set_nodelay(true)?;
        let config = WebSocketConfig::default().read_buffer_size(BUFFER_BYTES);
        let url = format!("ws://{addr}/ws?token={token}");
        let shake = tokio_tungstenite::client_async_with_config(url, socket, Some(config));
        let (stream, _) = tokio::time::timeout(PATIENCE, shake).await??;
        let mut member = Self(stream);
        member.wait_for("hello").await?;
        Ok(member)
    }

    pub async fn enter(addr: SocketAddr, token: &str, room: u64) -> Result<Self, Failure> {
        let mut member = Self::connect(addr, token).await?;
        member.join(room).await?;
        Ok(member)
    }

    pub async fn join(&mut self, room: u64) -> Result<(), Failure> {
        self.send(&json!({"type": "join_room", "roomId": room})).await?;
        self.wait_for("joined").await
    }

    /// Says a message with this number and waits until it is on disk.
    pub async fn say(&mut self, room: u64, number: usize) -> Result<(), Failure> {
        let text = format!("{number:<MESSAGE_BYTES$}");
        let id = format!("quiet-{number:08}");
        let frame = json!({"type": "chat", "roomId": room, "message": text, "id": id});
        self.send(&frame).await?;
        self.wait_for("ack").await
    }

    pub async fn send(&mut self, frame: &Value) -> Result<(), Failure> {
        Ok(self.0.send(Message::text(frame.to_string())).await?)
    }

    pub async fn wait_for(&mut self, kind: &str) -> Result<(), Failure> {
        loop {
            let text = tokio::time::timeout(PATIENCE, self.text()).await??;
            let frame: Frame<'_> = serde_json::from_str(&text)?;
            match frame.kind {
                found if found == kind => return Ok(()),
                "error" => return Err(format!("waiting for {kind}: {text}").into()),
                _ => {}
            }
        }
    }

    pub async fn text(&mut self) -> Result<String, Failure> {
        loop {
            match self.0.next().await.ok_or("the connection ended")?? {
                Message::Text(text) => return Ok(text.as_str().to_owned()),
                Message::Close(close) => return Err(format!("closed: {close:?}").into()),
                _ => {}
            }
        }
    }
}

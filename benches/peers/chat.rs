//! The usual chat: a broadcast channel, and for each member a task that receives one message and
//! sends it, and another that reads. A member that is too slow for the channel loses messages.

use axum::Router;
use axum::extract::State;
use axum::extract::ws::{Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::get;
use axum::serve::ListenerExt;
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpListener;
use tokio::sync::broadcast::{self, error::RecvError};

/// Messages that the room remembers for who is slow.
const CHANNEL_MESSAGES: usize = 100;

type Room = broadcast::Sender<Utf8Bytes>;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let (room, _) = broadcast::channel(CHANNEL_MESSAGES);
    let app = Router::new().route("/ws", get(upgrade)).with_state(room);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("listens on {}", listener.local_addr()?);
    // As all the others do; otherwise the kernel would hold small messages back.
    let listener = listener.tap_io(|socket| drop(socket.set_nodelay(true)));
    axum::serve(listener, app).await
}

async fn upgrade(upgrade: WebSocketUpgrade, State(room): State<Room>) -> Response {
    upgrade.on_upgrade(|socket| member(socket, room))
}

async fn member(socket: WebSocket, room: Room) {
    let (mut sender, mut receiver) = socket.split();
    let mut messages = room.subscribe();
    let sending = tokio::spawn(async move {
        loop {
            let text = match messages.recv().await {
                Ok(text) => text,
                Err(RecvError::Lagged(_)) => continue,
                Err(RecvError::Closed) => return,
            };
            if sender.send(Message::Text(text)).await.is_err() {
                return;
            }
        }
    });
    while let Some(Ok(message)) = receiver.next().await {
        if let Message::Text(text) = message {
            let _ = room.send(text);
        }
    }
    sending.abort();
}

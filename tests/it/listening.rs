//! What tests do with the frames that a socket hears.

use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::support::{Socket, within};

impl Socket {
    /// The next `count` chats, whatever comes in between.
    pub async fn chats(&mut self, count: usize) -> Vec<Value> {
        let mut chats = Vec::with_capacity(count);
        while chats.len() < count {
            chats.push(self.find("chat").await);
        }
        chats
    }

    /// The chats up to and with the one of this text.
    pub async fn chats_until(&mut self, text: &str) -> Vec<Value> {
        let mut chats = Vec::new();
        loop {
            let chat = self.find("chat").await;
            let last = chat["message"] == text;
            chats.push(chat);
            if last {
                return chats;
            }
        }
    }

    /// The next frame of one of these types.
    pub async fn find_any(&mut self, kinds: &[&str]) -> Value {
        loop {
            let frame = self.recv().await;
            if kinds.iter().any(|kind| frame["type"] == *kind) {
                return frame;
            }
        }
    }

    /// The next frame, or the code in the close frame; `None` at the end.
    pub async fn next_or_code(&mut self) -> Option<Result<Value, u16>> {
        let next = async {
            loop {
                match self.stream().next().await? {
                    Ok(Message::Text(text)) => {
                        return Some(Ok(serde_json::from_str(&text).expect("a frame is JSON")));
                    }
                    Ok(Message::Close(close)) => return close.map(|close| Err(close.code.into())),
                    Ok(_) => {}
                    Err(_) => return None,
                }
            }
        };
        within("a frame", next).await
    }

    /// Joins with `after`; gives `joined`.
    pub async fn join_after(&mut self, room: u64, after: u64) -> Value {
        self.send(&json!({"type": "join_room", "roomId": room, "after": after})).await;
        self.expect("joined").await
    }

    /// Sends one frame and gives the error that answers it.
    pub async fn refused(&mut self, frame: &Value) -> Value {
        self.send(frame).await;
        self.expect("error").await
    }

    /// Says `count` things at once, numbered behind `prefix`.
    pub async fn say_many(&mut self, room: u64, prefix: &str, count: usize) {
        for n in 0..count {
            let message = format!("{prefix}{n}");
            self.feed(&json!({"type": "chat", "roomId": room, "message": message})).await;
        }
        self.flush().await;
    }
}

pub fn seqs(messages: &[Value]) -> Vec<u64> {
    messages.iter().map(|message| message["seq"].as_u64().expect("a seq")).collect()
}

pub fn texts(messages: &[Value]) -> Vec<&str> {
    messages.iter().map(|message| message["message"].as_str().expect("a text")).collect()
}

/// The fields named by an error, sorted.
pub fn faults(error: &Value) -> Vec<&str> {
    let errors = error["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut fields: Vec<_> = errors.iter().filter_map(|error| error["field"].as_str()).collect();
    fields.sort_unstable();
    fields
}

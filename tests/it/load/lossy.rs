//! A server that knows just enough of the protocol to break it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use tokio_tungstenite::tungstenite::Message;

/// What it does to one of its members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mischief {
    None,
    /// One message never comes.
    Lose,
    /// One comes twice.
    Double,
    /// One comes behind the next.
    Swap,
    /// One comes under a seq that nobody else was told.
    Renumber,
    /// One is heard and never acknowledged.
    Mute,
    /// It deletes nothing.
    Keep,
}

/// Seqs rise by so much, so that there are some between them.
const STEP: u64 = 10;
/// The message to which it happens, by seq. At the default rate, others come behind it.
const VICTIM: u64 = 5 * STEP;

pub struct Lossy {
    pub addr: SocketAddr,
}

struct Shared {
    mischief: Mischief,
    seq: AtomicU64,
    connections: AtomicUsize,
    said: broadcast::Sender<(u64, String)>,
}

impl Lossy {
    /// Serves for as long as the test runs.
    pub async fn start(mischief: Mischief) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (said, _) = broadcast::channel(1024);
        let (seq, connections) = (AtomicU64::new(0), AtomicUsize::new(0));
        let shared = Arc::new(Shared { mischief, seq, connections, said });
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(Arc::clone(&shared), socket));
            }
        });
        Self { addr }
    }
}

async fn serve(shared: Arc<Shared>, socket: TcpStream) {
    let mut start = [0; 7];
    while socket.peek(&mut start).await.unwrap_or(start.len()) < start.len() {
        tokio::task::yield_now().await;
    }
    if &start == b"GET /ws" {
        talk(&shared, socket).await;
    } else {
        answer(&shared, socket).await;
    }
}

/// One HTTP request; its body is not looked at.
async fn answer(shared: &Shared, mut socket: TcpStream) {
    let mut head = Vec::new();
    let mut buffer = [0; 4096];
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        match socket.read(&mut buffer).await {
            Ok(count @ 1..) => head.extend_from_slice(&buffer[..count]),
            _ => return,
        }
    }
    let head = String::from_utf8_lossy(&head);
    let (status, body) = match head.split_whitespace().next() {
        Some("DELETE") if shared.mischief == Mischief::Keep => {
            ("500 Internal Server Error", json!({"code": "internal", "detail": "no"}))
        }
        Some("DELETE") => ("204 No Content", Value::Null),
        _ if head.contains("/signup") => {
            ("201 Created", json!({"user": {"role": "member"}, "token": "t"}))
        }
        _ => ("201 Created", json!({"room": {"roomId": 1}})),
    };
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let _ = socket.write_all(answer.as_bytes()).await;
}

/// One member; the second to connect is the one to whom it happens.
async fn talk(shared: &Shared, socket: TcpStream) {
    let mut stream = tokio_tungstenite::accept_async(socket).await.unwrap();
    let place = shared.connections.fetch_add(1, Ordering::Relaxed);
    let mischief = if place == 1 { shared.mischief } else { Mischief::None };
    let limits = json!({"messageBytes": 1000, "unacknowledged": 100});
    let hello = json!({"type": "hello", "version": 1, "limits": limits});
    stream.send(Message::text(hello.to_string())).await.unwrap();
    let mut said = shared.said.subscribe();
    let mut held = None;
    loop {
        let frames = tokio::select! {
            message = stream.next() => {
                let Some(Ok(Message::Text(text))) = message else { return };
                hears(shared, &serde_json::from_str(&text).unwrap())
            }
            event = said.recv() => {
                let Ok((seq, text)) = event else { return };
                tells(mischief, seq, &text, &mut held)
            }
        };
        for frame in frames {
            if stream.send(Message::text(frame.to_string())).await.is_err() {
                return;
            }
        }
    }
}

fn hears(shared: &Shared, frame: &Value) -> Vec<Value> {
    if frame["type"] == "join_room" {
        return vec![json!({"type": "joined", "roomId": 1, "head": 0})];
    }
    let seq = shared.seq.fetch_add(STEP, Ordering::Relaxed) + STEP;
    let message = frame["message"].as_str().unwrap().to_owned();
    shared.said.send((seq, message)).unwrap();
    if shared.mischief == Mischief::Mute && seq == VICTIM {
        return vec![];
    }
    vec![json!({"type": "ack", "roomId": 1, "id": frame["id"], "seq": seq})]
}

fn tells(mischief: Mischief, seq: u64, text: &str, held: &mut Option<Value>) -> Vec<Value> {
    let chat = |seq| json!({"type": "chat", "roomId": 1, "seq": seq, "message": text});
    match mischief {
        Mischief::Lose if seq == VICTIM => vec![],
        Mischief::Double if seq == VICTIM => vec![chat(seq), chat(seq)],
        // It still rises, so that only the others know.
        Mischief::Renumber if seq == VICTIM => vec![chat(seq + 1)],
        Mischief::Swap if seq == VICTIM => {
            *held = Some(chat(seq));
            vec![]
        }
        _ => std::iter::once(chat(seq)).chain(held.take()).collect(),
    }
}

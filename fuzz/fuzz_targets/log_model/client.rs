//! A client of the room: what it holds, and what it makes of the frames that it gets.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use parlor::domain::Seq;
use parlor::hub::{Connection, Subscription};
use parlor::transport::{Budget, Outbound};
use serde_json::Value;

/// The far end of a connection.
#[derive(Clone, Default)]
pub struct Wire(Arc<Mutex<Vec<u8>>>);

impl tokio::io::AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.0.lock().expect("nothing panics in here").extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Wire {
    pub fn connection(&self, id: u64) -> Arc<Connection> {
        Connection::new(id, Outbound::stream(self.clone(), 1 << 20, Budget::new(1 << 20)))
    }

    /// The frames that `connection` was sent through it.
    pub fn take(&self, connection: &Connection) -> Vec<Value> {
        crate::life::finish(connection.outbound.drain_to(0)).expect("it takes everything");
        parse(&std::mem::take(&mut *self.0.lock().expect("nothing panics in here")))
    }
}

/// The JSON of each text frame.
pub fn parse(mut frames: &[u8]) -> Vec<Value> {
    let mut parsed = Vec::new();
    while let [_, length, rest @ ..] = frames {
        let (length, rest) = match (length, rest) {
            (126, [high, low, rest @ ..]) => (u16::from_be_bytes([*high, *low]), rest),
            _ => (u16::from(*length), rest),
        };
        let (frame, rest) = rest.split_at(length.into());
        parsed.push(serde_json::from_slice(frame).expect("JSON"));
        frames = rest;
    }
    parsed
}

/// Comes and goes; what it holds outlives the server.
#[derive(Default)]
pub struct Client {
    pub subscription: Option<Subscription>,
    pub cursor: Seq,
    /// It holds what came after this.
    from: Seq,
    held: BTreeMap<Seq, String>,
}

impl Client {
    /// `joined` has come. `resumed`: it goes on from its cursor.
    pub fn joined(&mut self, subscription: Subscription, after: Option<Seq>, head: Seq) {
        self.subscription = Some(subscription);
        if after != Some(self.cursor) {
            self.held.clear();
            self.from = after.map_or(head, |after| after.min(head));
        }
        self.cursor = after.map_or(head, |after| after.min(head));
        self.held.retain(|seq, _| *seq <= head);
    }

    /// `chat` has come: whatever it holds behind the event before was never stored.
    pub fn heard(&mut self, seq: Seq, prev: Option<Seq>, text: String) {
        assert!(seq > self.cursor, "{seq} comes behind {}", self.cursor);
        self.cursor = seq;
        if let Some(prev) = prev {
            self.held.retain(|held, _| *held <= prev);
        }
        self.held.insert(seq, text);
    }

    /// It holds exactly `log`, from where it began.
    pub fn check<'a>(&self, log: impl Iterator<Item = (Seq, &'a str)>) {
        let expected: Vec<_> = log.filter(|(seq, _)| *seq > self.from).collect();
        let held: Vec<_> = self.held.iter().map(|(seq, text)| (*seq, text.as_str())).collect();
        assert_eq!(held, expected, "what a client holds from {}", self.from);
    }
}

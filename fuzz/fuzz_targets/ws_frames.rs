//! What a client sends after the upgrade, through the reader and the session state that serve real
//! sockets. However the bytes are cut on their way, the same messages come out, with the same
//! decisions and the same end.

#![no_main]

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::task::{Context, Poll};

use libfuzzer_sys::fuzz_target;
use parlor::domain::Limits;
use parlor::transport::{Budget, Inbound, MessageReader, Outbound, ReadEnd, ReaderOptions};
use parlor::ws::{Action, State};
use tokio::io::{AsyncRead, ReadBuf};

/// Small, so that the fuzzer reaches it.
const MESSAGE_BYTES: usize = 6_000;

fuzz_target!(|input: (u64, u8, Vec<u8>)| {
    let (cuts, already, bytes) = input;
    let whole = run(&bytes, 0, None);
    let cut = run(&bytes, usize::from(already).min(bytes.len()), Some(cuts));
    assert_eq!(whole, cut, "the way in which the bytes were cut changed what they say");
});

/// What came of it: each message's action, why it ended, how much was answered by itself.
type Outcome = (Vec<Action>, ReadEnd, u64);

/// The first `already` bytes came with the request; the rest in pieces, or at once without `cuts`.
fn run(bytes: &[u8], already: usize, cuts: Option<u64>) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let stream = Pieces { rest: &bytes[already..], cuts, pending: false };
        let outbound = Outbound::stream(tokio::io::sink(), 1 << 20, Budget::new(1 << 20));
        let input = Budget::new(1 << 20);
        let options = ReaderOptions {
            message_bytes: MESSAGE_BYTES,
            input: Arc::clone(&input),
            received: Arc::new(AtomicU64::new(0)),
        };
        let mut reader =
            MessageReader::new(stream, &bytes[..already], Arc::clone(&outbound), options);
        let mut state = State::default();
        let limits = Limits { rooms_per_connection: 2, ..Limits::default() };
        let mut actions = Vec::new();
        let end = loop {
            match reader.next().await {
                Ok(Inbound::Text(text)) => {
                    assert!(text.len() <= MESSAGE_BYTES);
                    let action = state.on_text(&text, &limits).1;
                    // Every room is there, and every message is taken.
                    let mut error = None;
                    match &action {
                        Action::Join(join) => state.joined(join.room),
                        Action::Leave { room } => state.left(*room),
                        Action::Refuse(refused) => error = Some(refused.code),
                        _ => {}
                    }
                    actions.push(action);
                    if state.answered(error).is_some() {
                        break ReadEnd::Closed;
                    }
                }
                Ok(Inbound::Control) => {}
                Err(end) => break end,
            }
        };
        drop(reader);
        assert_eq!(input.used(), 0, "the budget of unfinished messages leaks");
        (actions, end, outbound.queued())
    })
}

struct Pieces<'a> {
    rest: &'a [u8],
    cuts: Option<u64>,
    pending: bool,
}

impl AsyncRead for Pieces<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut length = self.rest.len().min(buffer.remaining());
        if let Some(cuts) = &mut self.cuts {
            // Any sequence that depends on the input will do.
            *cuts = cuts.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let random = usize::try_from(*cuts >> 40).unwrap_or(0);
            length = length.min(1 + random % 37);
            if random % 3 == 0 && !self.pending {
                self.pending = true;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
        self.pending = false;
        let (piece, rest) = self.rest.split_at(length);
        buffer.put_slice(piece);
        self.rest = rest;
        Poll::Ready(Ok(()))
    }
}

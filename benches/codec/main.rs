//! What one message costs where it is nothing but bytes: unmasked, decoded, encoded, stamped.
//!
//! `cargo bench --bench codec -- --runs 31`
//!
//! Each step is run for a moment, many times, and the median is told: a loop of our own says that
//! as well as a library, and takes the arguments that all benchmarks take.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program of its own")]

#[path = "../field/arguments.rs"]
mod arguments;

use std::hint::black_box;
use std::io::{Cursor, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use arguments::Arguments;
use parlor::domain::{Limits, MessageBody, MessageId, RoomId, Stamp, UserId};
use parlor::protocol::{ChatDraft, ServerFrame, decode};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocket, WebSocketConfig};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Of a message's text.
const MESSAGE_BYTES: usize = 100;
/// Of a run.
const MOMENT: Duration = Duration::from_millis(10);
/// Frames in a buffer from which they are unmasked.
const FRAMES: usize = 64;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("codec: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Failure> {
    let mut runs = 21;
    Arguments::read(|name, value| {
        match name {
            "--runs" => runs = value.number()?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    let text = "x".repeat(MESSAGE_BYTES);
    let body = MessageBody::parse(&text, MESSAGE_BYTES)?;
    let (room, user, id) = (RoomId::new(1)?, UserId::new(42)?, MessageId::parse("k3v9-000001")?);
    let stamp = Stamp { seq: 123_456, at: 1_790_000_000_000, count: 123_456, prev: None };
    let plain = format!(r#"{{"type":"chat","roomId":1,"message":"{text}"}}"#);
    let named = format!(r#"{{"type":"chat","roomId":1,"message":"{text}","id":"k3v9-000001"}}"#);
    let escaped = plain.replace("xxxxx", r#"\"\n\u00e9"#);
    let limits = Limits::default();
    let masked = masked(&plain)?;
    let draft = |id| ChatDraft::new(room, user, "member42", &body, id);

    println!("\nnanoseconds for a message of {MESSAGE_BYTES} bytes, medians of {runs} runs:");
    let tell = |name: &str, nanoseconds: f64| println!("{name:44}{nanoseconds:>8.0}");
    tell("a client's frame, unmasked", measure(runs, || unmask(&masked)) / count(FRAMES));
    tell("a client's chat, decoded", measure(runs, || decode(black_box(&plain), &limits)));
    tell("the same with an id", measure(runs, || decode(black_box(&named), &limits)));
    tell("the same with escapes", measure(runs, || decode(black_box(&escaped), &limits)));
    tell("a chat frame, all but its stamp", measure(runs, || draft(black_box(None))));
    tell("the same, stamped", measure(runs, || draft(black_box(None)).stamp(&stamp)));
    tell("the same with an id", measure(runs, || draft(black_box(Some(&id))).stamp(&stamp)));
    let ack = || ServerFrame::ack(room, black_box(&id), 123_456, 1_790_000_000_000, false);
    tell("an ack", measure(runs, || ack().encode()));
    Ok(())
}

/// Nanoseconds of each call, the median of the runs.
fn measure<T>(runs: usize, mut call: impl FnMut() -> T) -> f64 {
    let mut time = |calls: u32| {
        let began = Instant::now();
        for _ in 0..calls {
            black_box(call());
        }
        began.elapsed()
    };
    // As many calls as a moment has.
    let mut calls = 1;
    while time(calls) < MOMENT {
        calls *= 2;
    }
    let mut times: Vec<f64> =
        (0..runs).map(|_| time(calls).as_secs_f64() * 1e9 / f64::from(calls)).collect();
    times.sort_by(f64::total_cmp);
    times[runs / 2]
}

/// The bytes of many frames with this text, as a client sends them.
fn masked(text: &str) -> Result<Vec<u8>, Failure> {
    let mut bytes = Cursor::new(Vec::new());
    let mut client = WebSocket::from_raw_socket(&mut bytes, Role::Client, None);
    for _ in 0..FRAMES {
        client.write(text.into())?;
    }
    client.flush()?;
    drop(client);
    bytes.flush()?;
    Ok(bytes.into_inner())
}

/// Reads them all.
fn unmask(bytes: &[u8]) -> usize {
    let config = WebSocketConfig::default().read_buffer_size(bytes.len());
    let socket = Cursor::new(black_box(bytes.to_vec()));
    let mut server = WebSocket::from_raw_socket(socket, Role::Server, Some(config));
    (0..FRAMES).filter_map(|_| server.read().ok()).map(|message| message.len()).sum()
}

#[expect(clippy::cast_precision_loss, reason = "a figure to read")]
fn count(number: usize) -> f64 {
    number as f64
}

//! Holds the page for users, `protocol.md`, against the code: its limits, examples and fields.
//! Its tables of codes are held where the codes are.

use std::ops::RangeInclusive;

use super::{ErrorCode, decode};
use crate::domain::{Limits, limits};

const PAGE: &str = include_str!("protocol.md");

/// The lines of the fenced blocks of one language, a block each.
fn blocks(language: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut fences = PAGE.split("\n```");
    fences.next();
    // Between two fences stands a block, then text, and so on.
    while let (Some(block), text) = (fences.next(), fences.next()) {
        assert!(text.is_some(), "an unfinished block");
        let (of, block) = block.split_once('\n').unwrap();
        if of == language {
            blocks.push(block.to_owned());
        }
    }
    blocks
}

fn frames(sender: &str) -> Vec<String> {
    let blocks = blocks("text");
    let lines = blocks.iter().flat_map(|block| block.lines());
    lines.filter_map(|line| line.strip_prefix(sender)).map(str::to_owned).collect()
}

/// The first cells of the rows of all tables.
fn has_row(first: &str, second: &str) -> bool {
    let start = format!("| {first} | {second} |");
    PAGE.lines().any(|line| line.starts_with(&start))
}

#[test]
fn every_limit_stands_there_with_its_default() {
    // Every field by name: a new one does not compile until it is listed here.
    let Limits {
        message_bytes,
        frame_bytes,
        rooms_per_connection,
        connections_per_user,
        connections,
        messages_per_second,
        message_burst,
        sign_ins_per_minute,
        unacknowledged,
        writer_queue_messages,
        writer_queue_bytes,
        waiting_bytes,
        waiting_bytes_total,
        partial_input_bytes,
        cache_bytes,
        heartbeat_seconds,
        write_stall_seconds,
        storage_patience_seconds,
    } = Limits::default();
    let rows = [
        ("message_bytes", message_bytes.to_string()),
        ("frame_bytes", frame_bytes.to_string()),
        ("rooms_per_connection", rooms_per_connection.to_string()),
        ("connections_per_user", connections_per_user.to_string()),
        ("connections", connections.to_string()),
        ("messages_per_second", messages_per_second.to_string()),
        ("message_burst", message_burst.to_string()),
        ("sign_ins_per_minute", sign_ins_per_minute.to_string()),
        ("unacknowledged", unacknowledged.to_string()),
        ("writer_queue_messages", writer_queue_messages.to_string()),
        ("writer_queue_bytes", writer_queue_bytes.to_string()),
        ("waiting_bytes", waiting_bytes.to_string()),
        ("waiting_bytes_total", waiting_bytes_total.to_string()),
        ("partial_input_bytes", partial_input_bytes.to_string()),
        ("cache_bytes", cache_bytes.to_string()),
        ("heartbeat_seconds", heartbeat_seconds.to_string()),
        ("write_stall_seconds", write_stall_seconds.to_string()),
        ("storage_patience_seconds", storage_patience_seconds.to_string()),
    ];
    for (key, default) in rows {
        assert!(has_row(&format!("`{key}`"), &default), "protocol.md: no row {key} {default}");
    }
}

#[test]
fn fixed_bounds_stand_there() {
    let rows = [
        ("fields of one JSON object", limits::JSON_FIELDS),
        ("faults listed in `errors`", limits::FIELD_ERRORS),
        ("bytes of a request's body", limits::BODY_BYTES),
        ("bytes of a request's head", limits::HEAD_BYTES),
        ("bytes of a token", limits::TOKEN_BYTES),
        ("bytes of a message's `id`", limits::MESSAGE_ID_BYTES),
        ("bytes of a `ref`", limits::REF_BYTES),
        ("entries of one page", usize::try_from(*limits::PAGE_ITEMS.end()).unwrap()),
        ("bytes of message text on one page", limits::PAGE_BYTES),
        ("sessions of one account", limits::SESSIONS_PER_USER),
        ("people whose names `presence` tells", limits::PRESENCE_NAMES),
        ("rooms of one `rooms` frame", limits::WATCH_ROOMS),
        ("changed rooms that a watcher may be behind", limits::WATCH_CHANGES),
        ("erroneous frames in a row", usize::try_from(limits::BAD_FRAMES).unwrap()),
        (
            "seconds of silence before a comment in a stream of events",
            usize::try_from(limits::EVENTS_KEEP_ALIVE.as_secs()).unwrap(),
        ),
    ];
    for (what, bound) in rows {
        assert!(has_row(what, &bound.to_string()), "protocol.md: no row {what} {bound}");
    }
}

#[test]
fn lengths_of_what_people_write_stand_there() {
    let stands = |field: &str, range: RangeInclusive<usize>| {
        let rule = format!("{field}: {} to {}", range.start(), range.end());
        assert!(PAGE.contains(&rule), "protocol.md does not say {rule}");
    };
    stands("`username`", limits::USERNAME_CHARACTERS);
    stands("`password`", limits::PASSWORD_CHARACTERS);
    stands("`displayName`", limits::DISPLAY_NAME_CHARACTERS);
    stands("`name`", limits::ROOM_NAME_CHARACTERS);
    stands("`slug`", limits::SLUG_CHARACTERS);
}

#[test]
fn every_example_of_a_client_is_a_frame() {
    let frames = frames("> ");
    assert!(frames.len() >= 8);
    for frame in frames {
        let decoded = decode(&frame, &Limits::default());
        assert!(decoded.frame.is_ok(), "{frame}: {decoded:?}");
    }
}

#[test]
fn every_example_of_the_server_is_json_of_a_known_type() {
    let known = [
        "hello",
        "joined",
        "left",
        "chat",
        "ack",
        "typing",
        "presence",
        "rooms",
        "refreshed",
        "pong",
        "error",
        "reconnect",
    ];
    let mut seen = Vec::new();
    for frame in frames("< ") {
        let json: serde_json::Value = serde_json::from_str(&frame).unwrap();
        let kind = json["type"].as_str().unwrap().to_owned();
        assert!(known.contains(&kind.as_str()), "{frame}");
        if kind == "error" {
            let of_code = |code: &ErrorCode| code.as_str() == json["code"];
            let code = ErrorCode::ALL.into_iter().find(of_code).expect("a known code");
            assert_eq!(json["retryable"], code.retryable(), "{frame}");
        }
        seen.push(kind);
    }
    for kind in known {
        assert!(seen.iter().any(|seen| seen == kind), "no example of {kind}");
    }
}

#[test]
fn every_json_example_is_json() {
    let blocks = blocks("json");
    assert!(blocks.len() >= 4);
    for block in blocks {
        let json: Result<serde_json::Value, _> = serde_json::from_str(&block);
        assert!(json.is_ok(), "{block}: {json:?}");
    }
}

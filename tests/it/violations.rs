//! Bytes that break RFC 6455, and messages that this protocol has no use for: the peer reads the
//! reason in a close frame, and then the end of the stream, never a reset.

use serde_json::json;

use crate::raw::{CLOSE, PING, Raw, TEXT, masked};
use crate::support::Parlor;

/// Fragments of one message, in order.
fn fragments(payloads: &[&[u8]]) -> Vec<u8> {
    let last = payloads.len() - 1;
    let frame = |(n, payload): (usize, &&[u8])| {
        let fin = if n == last { 0x80 } else { 0 };
        masked(fin | u8::from(n == 0), payload)
    };
    payloads.iter().enumerate().flat_map(frame).collect()
}

/// A frame's head that announces `length` bytes, and no more.
fn announced(length: u64) -> Vec<u8> {
    [&[TEXT, 0x80 | 127], length.to_be_bytes().as_slice(), &[1, 2, 3, 4]].concat()
}

fn violations() -> Vec<(&'static str, Vec<u8>, u16)> {
    let half = vec![b'x'; 40_000];
    vec![
        ("an unmasked frame", b"\x81\x02{}".to_vec(), 1002),
        ("a reserved bit", masked(TEXT | 0x40, b"{}"), 1002),
        ("another reserved bit", masked(TEXT | 0x10, b"{}"), 1002),
        ("a reserved opcode", masked(0x83, b"{}"), 1002),
        ("a reserved control opcode", masked(0x8B, b""), 1002),
        ("a fragmented ping", masked(PING & 0x7F, b""), 1002),
        ("a fragmented close", masked(CLOSE & 0x7F, b""), 1002),
        ("a ping that is too long", masked(PING, &[0; 126]), 1002),
        ("a continuation of nothing", masked(0x80, b"{}"), 1002),
        ("a text within a text", [masked(0x01, b"{"), masked(TEXT, b"{}")].concat(), 1002),
        ("a close of one byte", masked(CLOSE, b"\x03"), 1002),
        ("a close code that is none", masked(CLOSE, &999_u16.to_be_bytes()), 1002),
        ("a binary message", masked(0x82, b"{\"type\":\"ping\"}"), 1003),
        ("an empty binary message", masked(0x82, b""), 1003),
        ("no UTF-8", masked(TEXT, b"{\"type\":\"ping\",\"ref\":\"\xff\"}"), 1007),
        ("a surrogate", masked(TEXT, b"\xed\xa0\x80"), 1007),
        ("half a character", masked(TEXT, b"\xc3"), 1007),
        ("half a character at the end of all fragments", fragments(&[b"a", b"\xc3"]), 1007),
        ("one byte too many", masked(TEXT, &vec![b' '; 65_537]), 1009),
        ("too many bytes in fragments", fragments(&[&half, &half]), 1009),
        ("a giant announced", announced(1 << 40), 1009),
        ("the largest announced", announced(i64::MAX as u64), 1009),
    ]
}

#[tokio::test]
async fn each_violation_is_closed_with_its_code() {
    let server = Parlor::start_with(|config| config.limits.connections_per_user = 100).await;
    let ann = server.person("ann").await;
    for (what, bytes, code) in violations() {
        println!("{what}");
        let mut raw = Raw::connect(&ann).await;
        raw.write(&bytes).await;
        assert_eq!(raw.close_code().await, Some(code), "{what}");
    }
}

#[tokio::test]
async fn who_goes_on_sending_still_reads_the_close() {
    let server = Parlor::start_with(|config| config.limits.connections_per_user = 100).await;
    let ann = server.person("ann").await;
    let chatter = masked(TEXT, br#"{"type":"ping"}"#).repeat(2_000);
    for (what, bytes, code) in violations() {
        println!("{what}");
        let mut raw = Raw::connect(&ann).await;
        raw.write(&bytes).await;
        raw.write_in_vain(&chatter).await;
        assert_eq!(raw.close_code().await, Some(code), "{what}");
    }
}

#[tokio::test]
async fn what_came_before_a_violation_has_had_its_effect() {
    let (_server, ann, room) = Parlor::with_room().await;
    let mut raw = Raw::enter(&ann, room).await;
    let said = json!({"type": "chat", "roomId": room, "message": "before", "id": "c1"});
    let never = json!({"type": "chat", "roomId": room, "message": "behind"});
    let bytes = [
        masked(TEXT, said.to_string().as_bytes()),
        masked(0x82, b""),
        masked(TEXT, never.to_string().as_bytes()),
    ];
    raw.write(&bytes.concat()).await;
    assert_eq!(raw.close_code().await, Some(1003));
    let stored = ann.history(room).await;
    assert_eq!((stored.len(), &stored[0]["message"]), (1, &json!("before")));
}

#[tokio::test]
async fn the_largest_frame_is_still_a_frame() {
    let server = Parlor::start().await;
    let ann = server.person("ann").await;
    let mut raw = Raw::connect(&ann).await;
    let frame = json!({"type": "ping", "ref": "r", "padding": ""}).to_string();
    let padding = "x".repeat(65_536 - frame.len());
    let frame = json!({"type": "ping", "ref": "r", "padding": padding}).to_string();
    assert_eq!(frame.len(), 65_536);
    raw.frame(TEXT, frame.as_bytes()).await;
    assert_eq!(raw.find("pong").await["ref"], "r");
    let (start, end) = frame.as_bytes().split_at(30_000);
    raw.write(&fragments(&[start, end])).await;
    assert_eq!(raw.find("pong").await["ref"], "r");
}

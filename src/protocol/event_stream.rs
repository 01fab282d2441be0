//! Server-sent events: the lines in which a stream over HTTP tells what a socket tells in frames.

use bytes::Bytes;
use serde::Deserialize;

use super::frame::texts;
use super::server::{ServerFrame, write_json};
use crate::domain::{Millis, Seq};

/// Says nothing, but shows that the other end is there.
pub const COMMENT_LINE: &[u8] = b":\n\n";

/// An event that is called by its frame's type. `id`: where a client is that has got it.
#[must_use]
pub fn named_event(name: &str, id: Option<Seq>, frame: &ServerFrame<'_>) -> Bytes {
    let mut lines = format!("event: {name}\n").into_bytes();
    if let Some(id) = id {
        lines.extend_from_slice(format!("id: {id}\n").as_bytes());
    }
    lines.extend_from_slice(b"data: ");
    write_json(&mut lines, frame);
    lines.extend_from_slice(b"\n\n");
    lines.into()
}

/// How long to wait before coming back.
#[must_use]
pub fn retry_line(after: Millis) -> Bytes {
    format!("retry: {after}\n\n").into()
}

/// Appends those of `frames` that are part of the room's log: whatever has a seq, which becomes the
/// event's id. The JSON has no line ends: its encoder escapes them.
pub fn append_log_events(lines: &mut Vec<u8>, frames: &[u8]) {
    #[derive(Deserialize)]
    struct Place {
        seq: Option<Seq>,
    }
    for json in texts(frames) {
        if let Ok(Place { seq: Some(seq) }) = serde_json::from_slice(json) {
            lines.extend_from_slice(format!("id: {seq}\ndata: ").as_bytes());
            lines.extend_from_slice(json);
            lines.extend_from_slice(b"\n\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{MessageBody, RoomId, Stamp, UserId};
    use crate::protocol::ChatDraft;

    fn chat(seq: Seq, text: &str) -> Bytes {
        let (room, user) = (RoomId::new(1).unwrap(), UserId::new(3).unwrap());
        let body = MessageBody::parse(text, 1_000).unwrap();
        let draft = ChatDraft::new(room, user, "ann", &body, None);
        draft.stamp(&Stamp { seq, at: 7, count: seq, prev: None })
    }

    #[test]
    fn what_has_a_seq_becomes_an_event_and_nothing_else_does() {
        let typing = ServerFrame::Typing { room_id: 1, user_id: 3, username: "ann" }.encode();
        let frames = [chat(8, "a\nb"), typing, chat(9, r#","seq":5,"#)].concat();
        let mut lines = Vec::new();
        append_log_events(&mut lines, &frames);
        let expected = concat!(
            "id: 8\n",
            r#"data: {"type":"chat","roomId":1,"userId":3,"username":"ann","message":"a\nb","#,
            r#""seq":8,"at":7}"#,
            "\n\nid: 9\n",
            r#"data: {"type":"chat","roomId":1,"userId":3,"username":"ann","#,
            r#""message":",\"seq\":5,","seq":9,"at":7}"#,
            "\n\n",
        );
        assert_eq!(String::from_utf8(lines).unwrap(), expected);
    }

    #[test]
    fn an_event_has_its_name_and_may_have_an_id() {
        let left = ServerFrame::Left { room_id: 1, reason: Some("deleted"), reference: None };
        let json = r#"{"type":"left","roomId":1,"reason":"deleted"}"#;
        assert_eq!(named_event("left", None, &left), format!("event: left\ndata: {json}\n\n"));
        let lines = format!("event: left\nid: 5\ndata: {json}\n\n");
        assert_eq!(named_event("left", Some(5), &left), lines);
        assert_eq!(retry_line(1_840), "retry: 1840\n\n");
    }
}

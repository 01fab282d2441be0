//! What the server says on a socket. Each frame is encoded once, into bytes ready for any socket.

use bytes::Bytes;
use serde::Serialize;

use super::text_frame;
use super::{Echo, ErrorCode};
use crate::domain::{ChatEvent, Invalid, MessageId, RoomId};

/// Every frame but `chat`, which [`super::ChatDraft`] writes.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum ServerFrame<'a> {
    Hello(Hello),
    Joined(Joined<'a>),
    Left {
        room_id: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<&'static str>,
        #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
        reference: Option<&'a str>,
    },
    Ack {
        room_id: u64,
        id: &'a str,
        seq: u64,
        at: u64,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        duplicate: bool,
    },
    Typing {
        room_id: u64,
        user_id: u64,
        username: &'a str,
    },
    Presence(Presence<'a>),
    Rooms(RoomsFrame<'a>),
    Refreshed {
        expires_at: u64,
        #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
        reference: Option<&'a str>,
    },
    Pong {
        #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
        reference: Option<&'a str>,
    },
    Error(ErrorFrame<'a>),
    Reconnect {
        after_ms: u64,
    },
}

/// The first frame of every connection.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Hello {
    pub version: u32,
    pub user_id: u64,
    pub log: String,
    pub heartbeat_ms: u64,
    pub limits: HelloLimits,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HelloLimits {
    pub message_bytes: usize,
    pub frame_bytes: usize,
    pub rooms_per_connection: usize,
    pub unacknowledged: usize,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Joined<'a> {
    pub room_id: u64,
    pub head: u64,
    pub first: u64,
    pub count: u64,
    pub delivery: &'static str,
    /// Where there is no `hello` that tells it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub reset: bool,
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<&'a str>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Presence<'a> {
    pub room_id: u64,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub snapshot: bool,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub joined: &'a [Person<'a>],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub left: &'a [Person<'a>],
    pub count: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Person<'a> {
    pub user_id: u64,
    pub username: &'a str,
}

/// Of the list of all rooms: all of them, or what has changed.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RoomsFrame<'a> {
    /// Whatever was told before is replaced.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub snapshot: bool,
    /// More of the same answer follow.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub has_more: bool,
    pub rooms: Vec<ListedRoom<'a>>,
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<&'a str>,
}

/// A room as it is, or that it is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListedRoom<'a> {
    pub room_id: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slug: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub head: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub gone: bool,
}

impl ListedRoom<'_> {
    #[must_use]
    pub fn gone(room_id: u64) -> Self {
        Self { room_id, slug: None, name: None, head: None, count: None, gone: true }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ErrorFrame<'a> {
    code: &'static str,
    message: &'a str,
    retryable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    room_id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    reference: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<WireFieldError<'a>>,
}

#[derive(Debug, Serialize)]
struct WireFieldError<'a> {
    field: &'a str,
    message: &'a str,
}

impl<'a> ServerFrame<'a> {
    #[must_use]
    pub fn ack(room: RoomId, id: &'a MessageId, seq: u64, at: u64, duplicate: bool) -> Self {
        Self::Ack { room_id: room.get(), id: id.as_str(), seq, at, duplicate }
    }

    #[must_use]
    pub fn error(
        code: ErrorCode,
        message: &'a str,
        retry_after_ms: Option<u64>,
        echo: &'a Echo,
        faults: &'a Invalid,
    ) -> Self {
        let field = |error: &'a crate::domain::FieldError| WireFieldError {
            field: &error.field,
            message: &error.message,
        };
        Self::Error(ErrorFrame {
            code: code.as_str(),
            message,
            retryable: code.retryable(),
            retry_after_ms,
            room_id: echo.room_id,
            id: echo.id.as_deref(),
            reference: echo.reference.as_deref(),
            errors: faults.errors().iter().map(field).collect(),
        })
    }

    /// The frame as bytes for a socket.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        text_frame(160, |buffer| write_json(buffer, self))
    }
}

/// One event as pages of history show it: a `chat` frame without `type`.
#[must_use]
pub fn chat_json(room: RoomId, username: &str, event: &ChatEvent) -> serde_json::Value {
    let mut json = serde_json::json!({
        "roomId": room.get(),
        "seq": event.stamp.seq,
        "userId": event.user_id.get(),
        "username": username,
        "message": event.body.as_str(),
        "at": event.stamp.at,
    });
    if let Some(id) = &event.id {
        json["id"] = id.as_str().into();
    }
    if let Some(prev) = event.stamp.prev {
        json["prev"] = prev.into();
    }
    json
}

/// Our own types have no map keys but strings and no fallible `Serialize`, and a `Vec` takes all.
pub(super) fn write_json(buffer: &mut Vec<u8>, value: &impl Serialize) {
    #[expect(clippy::expect_used, reason = "see above: there is nothing left that can fail")]
    serde_json::to_writer(buffer, value).expect("own types serialise");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(frame: &ServerFrame<'_>) -> serde_json::Value {
        let bytes = frame.encode();
        let header = if bytes[1] < 126 { 2 } else { 4 };
        serde_json::from_slice(&bytes[header..]).unwrap()
    }

    #[test]
    fn absent_fields_are_left_out() {
        let left = ServerFrame::Left { room_id: 1, reason: None, reference: None };
        assert_eq!(json(&left), serde_json::json!({"type": "left", "roomId": 1}));
        let id = MessageId::parse("c1").unwrap();
        let ack = ServerFrame::ack(RoomId::new(1).unwrap(), &id, 58, 7, false);
        assert_eq!(
            json(&ack),
            serde_json::json!({"type": "ack", "roomId": 1, "id": "c1", "seq": 58, "at": 7})
        );
        let pong = ServerFrame::Pong { reference: Some("r") };
        assert_eq!(json(&pong), serde_json::json!({"type": "pong", "ref": "r"}));
    }

    #[test]
    fn joined_and_presence_have_the_documented_shape() {
        let joined = ServerFrame::Joined(Joined {
            room_id: 1,
            head: 57,
            first: 1,
            count: 57,
            delivery: "immediate",
            log: None,
            reset: true,
            reference: Some("r"),
        });
        assert_eq!(
            json(&joined),
            serde_json::json!({"type": "joined", "roomId": 1, "head": 57, "first": 1, "count": 57,
                "delivery": "immediate", "reset": true, "ref": "r"})
        );
        let presence = ServerFrame::Presence(Presence {
            room_id: 1,
            snapshot: false,
            joined: &[Person { user_id: 3, username: "ann" }],
            left: &[],
            count: 2,
        });
        assert_eq!(
            json(&presence),
            serde_json::json!({"type": "presence", "roomId": 1,
                "joined": [{"userId": 3, "username": "ann"}], "count": 2})
        );
    }

    #[test]
    fn rooms_are_told_as_they_are_or_as_gone() {
        let den = ListedRoom {
            room_id: 1,
            slug: Some("den"),
            name: Some("Den"),
            head: Some(0),
            count: Some(0),
            gone: false,
        };
        let rooms = vec![den, ListedRoom::gone(2)];
        let told = RoomsFrame { snapshot: true, has_more: true, rooms, reference: Some("r") };
        assert_eq!(
            json(&ServerFrame::Rooms(told)),
            serde_json::json!({"type": "rooms", "snapshot": true, "hasMore": true, "ref": "r",
                "rooms": [{"roomId": 1, "slug": "den", "name": "Den", "head": 0, "count": 0},
                    {"roomId": 2, "gone": true}]})
        );
        let told = RoomsFrame { snapshot: false, has_more: false, rooms: vec![], reference: None };
        assert_eq!(
            json(&ServerFrame::Rooms(told)),
            serde_json::json!({"type": "rooms", "rooms": []})
        );
    }

    #[test]
    fn errors_say_what_they_answer_and_every_fault() {
        let mut faults = Invalid::default();
        faults.push("roomId", "is required");
        let echo = Echo { room_id: None, id: None, reference: Some("r1".to_owned()) };
        let error = ServerFrame::error(ErrorCode::Invalid, "no", None, &echo, &faults);
        assert_eq!(
            json(&error),
            serde_json::json!({"type": "error", "code": "invalid", "message": "no",
                "retryable": false, "ref": "r1",
                "errors": [{"field": "roomId", "message": "is required"}]})
        );
        let none = Invalid::default();
        let error = ServerFrame::error(ErrorCode::RateLimited, "wait", Some(20), &echo, &none);
        assert_eq!(json(&error)["retryAfterMs"], 20);
        assert_eq!(json(&error)["retryable"], true);
    }
}

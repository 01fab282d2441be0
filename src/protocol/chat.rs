//! The `chat` frame, the one that is written often: everything but its stamp is encoded outside the
//! room's lock, the stamp is spliced in under it, and the bytes are shared by all members.

use bytes::Bytes;
use serde::Serialize;

use super::frame::{begin_text_frame, finish_text_frame};
use crate::domain::{MessageBody, MessageId, RoomId, Stamp, UserId};

/// The longest tail: `,"seq":…,"at":…,"prev":…}` with three numbers of twenty digits.
const TAIL_BYTES: usize = 96;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Head<'a> {
    r#type: &'static str,
    room_id: u64,
    user_id: u64,
    username: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
}

/// A chat frame that lacks its stamp.
#[derive(Debug)]
pub struct ChatDraft {
    buffer: Vec<u8>,
}

impl ChatDraft {
    #[must_use]
    pub fn new(
        room: RoomId,
        user: UserId,
        username: &str,
        body: &MessageBody,
        id: Option<&MessageId>,
    ) -> Self {
        let message = body.as_str();
        let mut buffer = begin_text_frame(128 + username.len() + message.len() + TAIL_BYTES);
        let head = Head {
            r#type: "chat",
            room_id: room.get(),
            user_id: user.get(),
            username,
            message,
            id: id.map(MessageId::as_str),
        };
        super::server::write_json(&mut buffer, &head);
        // Without its closing brace: the stamp follows.
        buffer.pop();
        Self { buffer }
    }

    /// About how long the frame will be.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a draft is never empty")]
    pub fn len(&self) -> usize {
        self.buffer.len() + TAIL_BYTES
    }

    /// The whole frame, ready for every member's socket.
    #[must_use]
    pub fn stamp(mut self, stamp: &Stamp) -> Bytes {
        self.number(b",\"seq\":", stamp.seq);
        self.number(b",\"at\":", stamp.at);
        if let Some(prev) = stamp.prev {
            self.number(b",\"prev\":", prev);
        }
        self.buffer.push(b'}');
        finish_text_frame(self.buffer)
    }

    fn number(&mut self, name: &[u8], value: u64) {
        self.buffer.extend_from_slice(name);
        super::server::write_json(&mut self.buffer, &value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamped_draft_is_one_json_object_with_every_field() {
        let body = MessageBody::parse("say \"hi\"\n🦀", 100).unwrap();
        let id = MessageId::parse("c\"1").unwrap();
        let draft = ChatDraft::new(
            RoomId::new(1).unwrap(),
            UserId::new(3).unwrap(),
            "ann",
            &body,
            Some(&id),
        );
        let frame = draft.stamp(&Stamp { seq: 58, at: 1_700_000_000_000, count: 9, prev: Some(4) });
        let json: serde_json::Value = serde_json::from_slice(&frame[4..]).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "type": "chat", "roomId": 1, "seq": 58, "userId": 3, "username": "ann",
                "message": "say \"hi\"\n🦀", "at": 1_700_000_000_000_u64, "id": "c\"1", "prev": 4,
            })
        );
    }
}

//! What a connection's frames lead to. No I/O: a test or a fuzzer can drive it.

use crate::domain::limits::BAD_FRAMES;
use crate::domain::{Invalid, Limits, MessageBody, MessageId, Refusal, RoomId};
use crate::protocol::{self, ClientFrame, CloseCode, Decoded, Echo, ErrorCode, JoinRoom};

/// What the session is to do about a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Join a room it is not in.
    Join(JoinRoom),
    /// Join a room it is in: with `after` from there on, otherwise nothing changes.
    JoinAgain(JoinRoom),
    Leave {
        room: RoomId,
    },
    Post {
        room: RoomId,
        body: MessageBody,
        id: Option<MessageId>,
    },
    Typing {
        room: RoomId,
    },
    /// Something was said to a room that was not joined: find out whether there is one.
    NotJoined {
        room: RoomId,
    },
    Refresh {
        token: String,
    },
    Watch,
    Pong,
    Refuse(Refused),
}

/// An error frame's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub code: ErrorCode,
    pub message: String,
    pub retry_after: Option<u64>,
    pub faults: Invalid,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        let code = ErrorCode::from(&refusal);
        let (message, retry_after) = (refusal.to_string(), refusal.retry_after());
        let faults =
            if let Refusal::Invalid(faults) = refusal { faults } else { Invalid::default() };
        Self { code, message, retry_after, faults }
    }
}

/// What a connection has said so far, as far as it matters.
#[derive(Debug, Default)]
pub struct State {
    /// In order.
    joined: Vec<RoomId>,
    /// Erroneous frames in a row.
    bad: u32,
}

impl State {
    /// Decodes a text message and decides. `Echo` is what the answer repeats.
    #[must_use]
    pub fn on_text(&self, text: &str, limits: &Limits) -> (Echo, Action) {
        let Decoded { echo, frame } = protocol::decode(text, limits);
        let action = match frame {
            Ok(frame) => self.on_frame(frame, limits),
            Err(error) => Action::Refuse(Refused {
                code: error.code,
                message: error.message,
                retry_after: None,
                faults: error.faults,
            }),
        };
        (echo, action)
    }

    fn on_frame(&self, frame: ClientFrame, limits: &Limits) -> Action {
        let in_room = |room: &RoomId| self.joined.binary_search(room).is_ok();
        match frame {
            ClientFrame::JoinRoom(join) if in_room(&join.room) => Action::JoinAgain(join),
            ClientFrame::JoinRoom(_) if self.joined.len() >= limits.rooms_per_connection => {
                let limit = limits.rooms_per_connection;
                Action::Refuse(Refusal::TooManyRooms { limit }.into())
            }
            ClientFrame::JoinRoom(join) => Action::Join(join),
            ClientFrame::LeaveRoom { room } if in_room(&room) => Action::Leave { room },
            ClientFrame::LeaveRoom { .. } => Action::Refuse(Refusal::NotInRoom.into()),
            ClientFrame::Chat { room, body, id } if in_room(&room) => {
                Action::Post { room, body, id }
            }
            ClientFrame::Typing { room } if in_room(&room) => Action::Typing { room },
            ClientFrame::Chat { room, .. } | ClientFrame::Typing { room } => {
                Action::NotJoined { room }
            }
            ClientFrame::Refresh { token } => Action::Refresh { token },
            ClientFrame::Watch => Action::Watch,
            ClientFrame::Ping => Action::Pong,
        }
    }

    pub fn joined(&mut self, room: RoomId) {
        if let Err(place) = self.joined.binary_search(&room) {
            self.joined.insert(place, room);
        }
    }

    pub fn left(&mut self, room: RoomId) {
        if let Ok(place) = self.joined.binary_search(&room) {
            self.joined.remove(place);
        }
    }

    /// A frame was answered. Too many erroneous ones in a row end the connection; those that can
    /// be tried again do not count.
    pub fn answered(&mut self, error: Option<ErrorCode>) -> Option<CloseCode> {
        match error {
            None => self.bad = 0,
            Some(code) if code.retryable() => {}
            Some(_) => self.bad += 1,
        }
        (self.bad > BAD_FRAMES).then_some(CloseCode::Policy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(id: u64) -> RoomId {
        RoomId::new(id).unwrap()
    }

    fn refused(action: &Action) -> Option<ErrorCode> {
        if let Action::Refuse(refused) = action { Some(refused.code) } else { None }
    }

    #[test]
    fn what_is_said_to_a_room_needs_it_to_be_joined() {
        let mut state = State::default();
        let limits = Limits::default();
        let chat = r#"{"type":"chat","roomId":7,"message":"hi"}"#;
        let typing = r#"{"type":"typing","roomId":7}"#;
        let leave = r#"{"type":"leave_room","roomId":7,"ref":"r"}"#;
        assert_eq!(state.on_text(chat, &limits).1, Action::NotJoined { room: room(7) });
        assert_eq!(state.on_text(typing, &limits).1, Action::NotJoined { room: room(7) });
        let (echo, action) = state.on_text(leave, &limits);
        assert_eq!(refused(&action), Some(ErrorCode::NotInRoom));
        assert_eq!((echo.reference.as_deref(), echo.room_id), (Some("r"), Some(7)));
        state.joined(room(7));
        assert!(matches!(state.on_text(chat, &limits).1, Action::Post { .. }));
        assert_eq!(state.on_text(typing, &limits).1, Action::Typing { room: room(7) });
        assert_eq!(state.on_text(leave, &limits).1, Action::Leave { room: room(7) });
        state.left(room(7));
        assert_eq!(state.on_text(chat, &limits).1, Action::NotJoined { room: room(7) });
    }

    #[test]
    fn the_number_of_rooms_is_bounded_but_not_joining_again() {
        let mut state = State::default();
        let limits = Limits { rooms_per_connection: 1, ..Limits::default() };
        let join = |id| format!(r#"{{"type":"join_room","roomId":{id}}}"#);
        assert!(matches!(state.on_text(&join(1), &limits).1, Action::Join(_)));
        state.joined(room(1));
        assert!(matches!(state.on_text(&join(1), &limits).1, Action::JoinAgain(_)));
        assert_eq!(refused(&state.on_text(&join(2), &limits).1), Some(ErrorCode::TooManyRooms));
    }

    #[test]
    fn twenty_bad_frames_in_a_row_are_borne_and_retryable_ones_do_not_count() {
        let mut state = State::default();
        for _ in 0..BAD_FRAMES {
            assert_eq!(state.answered(Some(ErrorCode::BadFrame)), None);
            assert_eq!(state.answered(Some(ErrorCode::RateLimited)), None);
        }
        assert_eq!(state.answered(None), None);
        for _ in 0..BAD_FRAMES {
            assert_eq!(state.answered(Some(ErrorCode::Invalid)), None);
        }
        assert_eq!(state.answered(Some(ErrorCode::UnknownType)), Some(CloseCode::Policy));
    }
}

//! Any text that a client sends decodes to a frame that is valid through and through, or to an
//! error that says what is wrong.

#![no_main]

use libfuzzer_sys::fuzz_target;
use parlor::domain::limits::{FIELD_ERRORS, REF_BYTES};
use parlor::domain::{Limits, MessageBody, MessageId, RoomId};
use parlor::protocol::{ClientFrame, DecodeError, Echo, ErrorCode, decode};
use serde_json::{Value, json};

fuzz_target!(|text: &str| {
    // Inputs stay far below the usual limit of a message: a second limit makes it reachable.
    for message_bytes in [Limits::default().message_bytes, 8] {
        check(text, &Limits { message_bytes, ..Limits::default() });
    }
});

fn check(text: &str, limits: &Limits) {
    let decoded = decode(text, limits);
    if let Some(reference) = &decoded.echo.reference {
        assert!((1..=REF_BYTES).contains(&reference.len()));
    }
    match decoded.frame {
        Ok(frame) => {
            check_frame(&frame, &decoded.echo, limits);
            let again = decode(&encode(&frame).to_string(), limits).frame;
            assert_eq!(again, Ok(frame), "a frame changed on its way through JSON");
        }
        Err(error) => check_error(&error),
    }
}

fn check_frame(frame: &ClientFrame, echo: &Echo, limits: &Limits) {
    let room = match frame {
        ClientFrame::JoinRoom(join) => Some(join.room),
        ClientFrame::LeaveRoom { room } | ClientFrame::Typing { room } => Some(*room),
        ClientFrame::Chat { room, body, id } => {
            let checked = MessageBody::parse(body.as_str(), limits.message_bytes);
            assert_eq!(checked.as_ref(), Ok(body), "a body that its own rules refuse");
            assert_eq!(echo.id.as_deref(), id.as_ref().map(MessageId::as_str));
            assert_eq!(echo.reference, None, "a chat has an id, not a ref");
            Some(*room)
        }
        ClientFrame::Refresh { .. } | ClientFrame::Watch | ClientFrame::Ping => None,
    };
    if let Some(room) = room {
        assert_eq!(echo.room_id, Some(room.get()), "the answer would name another room");
        assert_eq!(RoomId::new(room.get()), Ok(room));
    }
}

fn check_error(error: &DecodeError) {
    let codes = [
        ErrorCode::BadFrame,
        ErrorCode::UnknownType,
        ErrorCode::Invalid,
        ErrorCode::MessageTooLarge,
    ];
    assert!(codes.contains(&error.code), "decoding alone cannot find {:?}", error.code);
    assert!(!error.message.is_empty());
    let faults = error.faults.errors();
    assert_eq!(error.code == ErrorCode::Invalid, !faults.is_empty(), "{error:?}");
    assert!(faults.len() <= FIELD_ERRORS);
    for fault in faults {
        assert!(!fault.field.is_empty() && !fault.message.is_empty(), "{fault:?}");
    }
}

/// The frame as a client would write it.
fn encode(frame: &ClientFrame) -> Value {
    match frame {
        ClientFrame::JoinRoom(join) => json!({
            "type": "join_room", "roomId": join.room.get(), "after": join.after, "log": join.log,
        }),
        ClientFrame::LeaveRoom { room } => json!({"type": "leave_room", "roomId": room.get()}),
        ClientFrame::Chat { room, body, id } => json!({
            "type": "chat", "roomId": room.get(), "message": body.as_str(),
            "id": id.as_ref().map(MessageId::as_str),
        }),
        ClientFrame::Typing { room } => json!({"type": "typing", "roomId": room.get()}),
        ClientFrame::Refresh { token } => json!({"type": "refresh", "token": token}),
        ClientFrame::Watch => json!({"type": "watch"}),
        ClientFrame::Ping => json!({"type": "ping"}),
    }
}

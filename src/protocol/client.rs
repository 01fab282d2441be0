//! What a client may send: one text message is one JSON object, decoded here.

use std::borrow::Cow;

use super::{ErrorCode, Fields, Value};
use crate::domain::limits::REF_BYTES;
use crate::domain::{IdError, Invalid, Limits, MessageBody, MessageId, RoomId, Seq, TextError};

/// One valid frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientFrame {
    JoinRoom(JoinRoom),
    LeaveRoom { room: RoomId },
    Chat { room: RoomId, body: MessageBody, id: Option<MessageId> },
    Typing { room: RoomId },
    Refresh { token: String },
    Watch,
    Ping,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinRoom {
    pub room: RoomId,
    /// The last seq the client holds; 0 asks for the room from its beginning.
    pub after: Option<Seq>,
    /// The database that `after` speaks of, as the client remembers it.
    pub log: Option<String>,
}

/// What an answer to a frame repeats of it, so that the client knows what is answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Echo {
    pub room_id: Option<u64>,
    pub id: Option<String>,
    pub reference: Option<String>,
}

/// Why a message is no frame. It has had no effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeError {
    pub code: ErrorCode,
    pub message: String,
    pub faults: Invalid,
}

/// A frame or its fault, and what the answer repeats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded {
    pub echo: Echo,
    pub frame: Result<ClientFrame, DecodeError>,
}

/// Decodes one text message. Total: every input gives a frame or a fault.
#[must_use]
pub fn decode(text: &str, limits: &Limits) -> Decoded {
    let mut fields = match Fields::parse(text) {
        Ok(fields) => fields,
        Err(error) => {
            let message = format!("a frame must be one JSON object: {error}");
            return Decoded { echo: Echo::default(), frame: fault(ErrorCode::BadFrame, message) };
        }
    };
    let Some(Ok(kind)) = fields.get("type").map(Value::text) else {
        let message = "a frame must have a \"type\" that is a string";
        let echo = read_echo(&mut fields, true);
        return Decoded { echo, frame: fault(ErrorCode::BadFrame, message) };
    };
    let echo = read_echo(&mut fields, kind != "chat");
    let frame = match kind.as_ref() {
        "join_room" => join_room(&mut fields),
        "leave_room" => room(&mut fields).map(|room| ClientFrame::LeaveRoom { room }),
        "chat" => match chat(&mut fields, limits) {
            Ok(frame) => frame,
            Err(too_large) => return Decoded { echo, frame: Err(too_large) },
        },
        "typing" => room(&mut fields).map(|room| ClientFrame::Typing { room }),
        "refresh" => fields
            .required("token", Value::text)
            .map(|token| ClientFrame::Refresh { token: token.into_owned() }),
        "watch" => Some(ClientFrame::Watch),
        "ping" => Some(ClientFrame::Ping),
        _ => {
            let frame = fault(ErrorCode::UnknownType, "this server knows no frame of this type");
            return Decoded { echo, frame };
        }
    };
    let faults = fields.into_faults();
    let frame = match frame {
        Some(frame) if faults.is_empty() => Ok(frame),
        _ => Err(DecodeError {
            code: ErrorCode::Invalid,
            message: "the frame has invalid fields".to_owned(),
            faults,
        }),
    };
    Decoded { echo, frame }
}

fn fault(code: ErrorCode, message: impl Into<String>) -> Result<ClientFrame, DecodeError> {
    Err(DecodeError { code, message: message.into(), faults: Invalid::default() })
}

/// What can be repeated is repeated, also of a frame that is at fault elsewhere.
fn read_echo(fields: &mut Fields<'_>, may_have_ref: bool) -> Echo {
    let reference = if may_have_ref {
        fields.optional("ref", |value| {
            let text = value.text()?;
            if (1..=REF_BYTES).contains(&text.len()) {
                Ok(text.into_owned())
            } else {
                Err("must have 1 to 64 bytes")
            }
        })
    } else {
        None
    };
    let room_id = fields.get("roomId").and_then(|value| value.integer_or_digits().ok());
    let id = fields.get("id").and_then(|value| value.text().ok());
    let id = id.filter(|id| MessageId::parse(id).is_ok()).map(Cow::into_owned);
    Echo { room_id, id: id.filter(|_| !may_have_ref), reference }
}

fn room_id(value: Value<'_>) -> Result<RoomId, IdError> {
    value.integer_or_digits().map_err(|_| IdError).and_then(RoomId::new)
}

fn room(fields: &mut Fields<'_>) -> Option<RoomId> {
    fields.required("roomId", room_id)
}

fn join_room(fields: &mut Fields<'_>) -> Option<ClientFrame> {
    let room = room(fields);
    let after = fields.optional("after", Value::integer_or_digits);
    let log = fields.optional("log", Value::text).map(Cow::into_owned);
    Some(ClientFrame::JoinRoom(JoinRoom { room: room?, after, log }))
}

/// `Err` only for a message over the limit, which has a code of its own.
fn chat(fields: &mut Fields<'_>, limits: &Limits) -> Result<Option<ClientFrame>, DecodeError> {
    let room = room(fields);
    let mut too_large = false;
    let body = fields.required("message", |value| {
        let text = value.text().map_err(str::to_owned)?;
        MessageBody::parse(&text, limits.message_bytes).map_err(|error| {
            too_large = matches!(error, TextError::TooManyBytes(_));
            error.to_string()
        })
    });
    let id = fields.optional("id", |value| {
        let text = value.text().map_err(str::to_owned)?;
        MessageId::parse(&text).map_err(|error| error.to_string())
    });
    if too_large {
        return Err(DecodeError {
            code: ErrorCode::MessageTooLarge,
            message: format!("a message may have at most {} bytes", limits.message_bytes),
            faults: Invalid::default(),
        });
    }
    Ok(room.zip(body).map(|(room, body)| ClientFrame::Chat { room, body, id }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode_default(text: &str) -> Decoded {
        decode(text, &Limits::default())
    }

    fn frame(text: &str) -> ClientFrame {
        decode_default(text).frame.unwrap()
    }

    fn error(text: &str) -> DecodeError {
        decode_default(text).frame.unwrap_err()
    }

    fn faults(text: &str) -> Vec<String> {
        error(text).faults.errors().iter().map(|error| error.field.clone()).collect()
    }

    fn room_7() -> RoomId {
        RoomId::new(7).unwrap()
    }

    #[test]
    fn the_three_original_frames() {
        let join = JoinRoom { room: room_7(), after: None, log: None };
        assert_eq!(frame(r#"{"type":"join_room","roomId":7}"#), ClientFrame::JoinRoom(join));
        let body = MessageBody::parse("hi", 10).unwrap();
        assert_eq!(
            frame(r#"{"type":"chat","roomId":7,"message":"hi"}"#),
            ClientFrame::Chat { room: room_7(), body, id: None }
        );
        assert_eq!(
            frame(r#"{"type":"leave_room","roomId":7}"#),
            ClientFrame::LeaveRoom { room: room_7() }
        );
    }

    #[test]
    fn numbers_may_be_strings_of_digits_and_unknown_fields_are_ignored() {
        let join = JoinRoom { room: room_7(), after: Some(0), log: Some("x".to_owned()) };
        assert_eq!(
            frame(r#"{"type":"join_room","roomId":"7","after":"0","log":"x","new":[{}]}"#),
            ClientFrame::JoinRoom(join)
        );
    }

    #[test]
    fn what_is_not_a_frame() {
        for bad in
            ["", "[]", "{", "{}", r#"{"type":1}"#, r#"{"type":null}"#, "nul", "{\"a\":\"\u{1}\"}"]
        {
            assert_eq!(error(bad).code, ErrorCode::BadFrame, "{bad}");
        }
        assert_eq!(error(r#"{"type":"shout"}"#).code, ErrorCode::UnknownType);
    }

    #[test]
    fn all_faults_of_a_frame_are_named() {
        assert_eq!(faults(r#"{"type":"chat"}"#), ["roomId", "message"]);
        assert_eq!(
            faults(r#"{"type":"chat","roomId":0,"message":"","id":""}"#),
            ["roomId", "message", "id"]
        );
        assert_eq!(
            faults(r#"{"type":"join_room","roomId":-1,"after":9007199254740992,"ref":""}"#),
            ["ref", "roomId", "after"]
        );
        assert_eq!(faults(r#"{"type":"refresh","token":1}"#), ["token"]);
        let long = "x".repeat(65);
        assert_eq!(
            faults(&format!(r#"{{"type":"chat","roomId":1,"message":"a","id":"{long}"}}"#)),
            ["id"]
        );
        assert_eq!(faults(r#"{"type":"chat","roomId":1,"message":"\ud800"}"#), ["message"]);
        assert_eq!(faults(r#"{"type":"chat","roomId":1,"message":"\u0007"}"#), ["message"]);
    }

    #[test]
    fn a_message_over_the_limit_has_its_own_code() {
        let limits = Limits { message_bytes: 3, ..Limits::default() };
        let error = decode(r#"{"type":"chat","roomId":1,"message":"four"}"#, &limits).frame;
        assert_eq!(error.unwrap_err().code, ErrorCode::MessageTooLarge);
    }

    #[test]
    fn answers_can_repeat_what_they_answer_even_of_faulty_frames() {
        let echo = decode_default(r#"{"type":"chat","roomId":9,"id":"c1","ref":"r","message":1}"#);
        assert_eq!(echo.echo, Echo { room_id: Some(9), id: Some("c1".into()), reference: None });
        let echo = decode_default(r#"{"type":"what","roomId":"9","ref":"r"}"#).echo;
        assert_eq!(echo, Echo { room_id: Some(9), id: None, reference: Some("r".into()) });
    }

    proptest! {
        #[test]
        fn every_input_has_an_outcome(text: String) {
            let _ = decode_default(&text);
        }

        #[test]
        fn chats_survive_the_way_through_json(
            message: String, id in proptest::option::of("[ -~]{1,64}"),
        ) {
            let json = serde_json::json!({
                "type": "chat", "roomId": 7, "message": message, "id": id,
            });
            let limits = Limits::default();
            let decoded = decode(&json.to_string(), &limits).frame;
            match MessageBody::parse(&message, limits.message_bytes) {
                Ok(body) => {
                    let id = id.map(|id| MessageId::parse(&id).unwrap());
                    prop_assert_eq!(decoded, Ok(ClientFrame::Chat { room: room_7(), body, id }));
                }
                Err(_) => prop_assert!(decoded.is_err()),
            }
        }
    }
}

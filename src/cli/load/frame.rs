//! What a load generator says on a socket and reads from it.

use std::borrow::Cow;

use serde::Deserialize;

use super::messages::Name;

/// A frame of the server, as far as it matters here.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Frame<'a> {
    #[serde(borrow, rename = "type")]
    pub kind: Text<'a>,
    #[serde(default)]
    pub seq: u64,
    #[serde(borrow)]
    pub id: Option<Text<'a>>,
    #[serde(borrow)]
    pub message: Option<Text<'a>>,
    #[serde(borrow)]
    pub code: Option<Text<'a>>,
    #[serde(default)]
    pub retryable: bool,
    pub retry_after_ms: Option<u64>,
    pub limits: Option<HelloLimits>,
}

/// A text that is copied only where it has escapes.
#[derive(Debug, Deserialize)]
pub struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

impl Frame<'_> {
    pub fn kind(&self) -> &str {
        &self.kind.0
    }

    /// Which of the run's messages a `chat` is.
    pub fn said(&self, tag: &str) -> Option<Name> {
        Name::read(&self.message.as_ref()?.0, tag)
    }

    /// Which of them an `ack` or an `error` answers.
    pub fn answered(&self, tag: &str) -> Option<Name> {
        Name::read(&self.id.as_ref()?.0, tag)
    }

    /// An error's code and words.
    pub fn error(&self) -> (&str, &str) {
        let code = self.code.as_ref().map_or("", |text| &text.0);
        (code, self.message.as_ref().map_or("", |text| &text.0))
    }
}

/// What `hello` tells of the server's limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HelloLimits {
    pub message_bytes: usize,
    pub unacknowledged: usize,
}

pub fn join(room: u64) -> String {
    format!(r#"{{"type":"join_room","roomId":{room}}}"#)
}

/// Fills a message up to `bytes`. Neither a name nor the filling needs escapes in JSON.
pub fn chat(room: u64, name: &str, bytes: usize, with_id: bool) -> String {
    let id = if with_id { format!(r#","id":"{name}""#) } else { String::new() };
    format!(r#"{{"type":"chat","roomId":{room},"message":"{name:.<bytes$}"{id}}}"#)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Limits;
    use crate::protocol::{ClientFrame, decode};

    fn frame(text: &str) -> Frame<'_> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn the_server_understands_what_is_sent() {
        let name = Name { sender: 1, number: 2 }.write("0a1b2c3d");
        let limits = Limits::default();
        let text = chat(7, &name, 100, true);
        let Ok(ClientFrame::Chat { room, body, id }) = decode(&text, &limits).frame else {
            panic!("{text}");
        };
        assert_eq!((room.get(), body.as_str().len()), (7, 100));
        assert_eq!(id.unwrap().as_str(), name);
        assert_eq!(Name::read(body.as_str(), "0a1b2c3d"), Some(Name { sender: 1, number: 2 }));
        let text = chat(7, &name, 24, false);
        let Ok(ClientFrame::Chat { body, id: None, .. }) = decode(&text, &limits).frame else {
            panic!("{text}");
        };
        assert_eq!(body.as_str(), name);
        assert!(matches!(decode(&join(7), &limits).frame, Ok(ClientFrame::JoinRoom(_))));
    }

    #[test]
    fn frames_are_read_for_what_matters() {
        let chat = frame(
            r#"{"type":"chat","roomId":1,"userId":3,"username":"ann","seq":58,"at":1,
            "message":"0a1b2c3d-00001-000000002.....","new":{"a":[1]}}"#,
        );
        assert_eq!((chat.kind(), chat.seq), ("chat", 58));
        assert_eq!(chat.said("0a1b2c3d"), Some(Name { sender: 1, number: 2 }));
        assert_eq!(frame(r#"{"type":"chat","seq":1,"message":"\u0041\n"}"#).said("0a1b2c3d"), None);
        let ack = frame(r#"{"type":"ack","roomId":1,"id":"0a1b2c3d-00001-000000002","seq":58}"#);
        assert_eq!(ack.answered("0a1b2c3d"), Some(Name { sender: 1, number: 2 }));
        let error = frame(
            r#"{"type":"error","code":"rate_limited","message":"wait","retryable":true,
            "retryAfterMs":20}"#,
        );
        assert_eq!(error.error(), ("rate_limited", "wait"));
        assert_eq!((error.retryable, error.retry_after_ms), (true, Some(20)));
        let hello = frame(
            r#"{"type":"hello","version":1,"limits":{"messageBytes":9,"frameBytes":8,
            "roomsPerConnection":7,"unacknowledged":6}}"#,
        );
        assert_eq!(hello.limits, Some(HelloLimits { message_bytes: 9, unacknowledged: 6 }));
    }
}

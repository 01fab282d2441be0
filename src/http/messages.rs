//! Messages: a room's history, and one more.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::Http;
use super::extract::{Body, FromFields, RoomPath, finish, text};
use super::problem::Problem;
use super::query::{Query, page_items};
use crate::app::{Caller, Posted};
use crate::domain::limits::DURABLE_TIMEOUT;
use crate::domain::{
    Identity, Limits, MessageBody, MessageId, Refusal, SAFE_INTEGER_END, TextError,
};
use crate::protocol::{Fields, chat_json};
use crate::store::PageRequest;

/// Something to say.
#[derive(ToSchema)]
pub(super) struct PostMessage {
    /// At most as many bytes of UTF-8 as the server's `limits.message_bytes`.
    #[schema(value_type = String, min_length = 1)]
    message: MessageBody,
    /// The client's own id, at most 64 bytes of UTF-8: with one, the message is stored once,
    /// however often it is sent.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 64)]
    id: Option<MessageId>,
}

impl FromFields for PostMessage {
    /// A message over the limit has a code of its own, which goes before all faults.
    fn from_fields(mut fields: Fields<'_>, limits: &Limits) -> Result<Self, Refusal> {
        let limit = limits.message_bytes;
        let mut too_large = false;
        let message = fields.required(
            "message",
            text(|text| {
                let message = MessageBody::parse(text, limit);
                too_large = matches!(message, Err(TextError::TooManyBytes(_)));
                message
            }),
        );
        let id = fields.optional("id", text(MessageId::parse));
        if too_large {
            return Err(Refusal::MessageTooLarge { limit });
        }
        finish(fields, message.map(|message| Self { message, id }))
    }
}

/// A message on disk.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Stored {
    room_id: u64,
    seq: u64,
    /// Milliseconds since the Unix epoch.
    at: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// `true`: it was stored before, under the same id.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    duplicate: bool,
}

/// A `chat` frame without its `type`.
#[expect(dead_code, reason = "the schema of what `protocol::chat_json` writes; a test compares")]
#[derive(ToSchema)]
#[schema(as = Message, rename_all = "camelCase")]
pub(super) struct ChatSchema {
    room_id: u64,
    seq: u64,
    user_id: u64,
    /// The author's present name.
    username: String,
    message: String,
    at: u64,
    id: Option<String>,
    /// On the first message after a jump of the seqs: the seq of the one before.
    prev: Option<u64>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct MessagesPage {
    /// Oldest first.
    #[schema(value_type = Vec<ChatSchema>)]
    messages: Vec<serde_json::Value>,
    /// The last committed seq; 0: none.
    head: u64,
    /// How many messages the room ever had.
    count: u64,
    /// Whether there are more in the direction asked for; on the newest page, older ones.
    has_more: bool,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct MessagesQuery {
    /// A seq: the messages right before it. Not together with `after`.
    #[param(maximum = 9_007_199_254_740_991_u64)]
    before: Option<u64>,
    /// A seq: the messages right after it.
    #[param(maximum = 9_007_199_254_740_991_u64)]
    after: Option<u64>,
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u64>,
}

impl MessagesQuery {
    fn read(query: Option<&str>) -> Result<Self, Refusal> {
        let mut query = Query::new(query);
        let (before, after) = (query.position("before"), query.position("after"));
        let limit = query.limit();
        query.exclusive(["before", "after"]);
        query.finish()?;
        Ok(Self { before, after, limit })
    }

    fn part(&self) -> PageRequest {
        match (self.before, self.after) {
            (Some(before), _) => PageRequest::Before(before),
            (None, Some(after)) => PageRequest::After(after, SAFE_INTEGER_END),
            (None, None) => PageRequest::Newest,
        }
    }
}

/// A page of history: the newest, or the one before or after a seq.
#[utoipa::path(
    get, path = "/rooms/{room}/messages", tag = "messages", operation_id = "messages",
    security(("token" = []), ("cookie" = [])),
    params(("room" = String, Path, description = "The room's id or its slug."), MessagesQuery),
    responses((status = 200, description = "A page of messages.", body = MessagesPage)),
)]
pub(super) async fn page(
    State(http): State<Http>,
    _: Identity,
    RoomPath(room): RoomPath,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let query = MessagesQuery::read(query.as_deref())?;
    http.answers.admit()?;
    let limit = page_items(query.limit);
    let (room, page) = http.app.history(room, query.part(), limit, DURABLE_TIMEOUT).await?;
    let events = page.events.iter();
    let page = MessagesPage {
        messages: events.map(|logged| chat_json(room, &logged.username, &logged.event)).collect(),
        head: page.head.seq,
        count: page.head.count,
        has_more: page.has_more,
    };
    Ok(http.answers.json(&page)?)
}

/// Say something; answered when it is on disk.
#[utoipa::path(
    post, path = "/rooms/{room}/messages", tag = "messages", operation_id = "post_message",
    security(("token" = []), ("cookie" = [])),
    params(("room" = String, Path, description = "The room's id or its slug.")),
    request_body = PostMessage,
    responses(
        (status = 201, description = "The message is on disk.", body = Stored),
        (status = 200, description = "It was stored before, under the same id.", body = Stored),
    ),
)]
pub(super) async fn post(
    State(http): State<Http>,
    identity: Identity,
    RoomPath(room): RoomPath,
    Body(body): Body<PostMessage>,
) -> Result<(StatusCode, Json<Stored>), Problem> {
    let PostMessage { message, id } = body;
    let caller = Caller { identity, connection: None };
    let (room, posted) =
        http.app.post_durably(&caller, room, message, id.clone(), DURABLE_TIMEOUT).await?;
    let (status, seq, at, duplicate) = match posted {
        Posted::Published { seq, at } => (StatusCode::CREATED, seq, at, false),
        Posted::Duplicate { seq, at } => (StatusCode::OK, seq, at, true),
    };
    let id = id.map(|id| id.to_string());
    Ok((status, Json(Stored { room_id: room.get(), seq, at, id, duplicate })))
}

//! A room's events as a stream of `text/event-stream`: for browsers and scripts that only listen.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::header::{CONNECTION, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use tokio_util::sync::CancellationToken;
use utoipa::IntoParams;

use super::Http;
use super::event_stream::{EventStream, Registered};
use super::extract::{Listener, RoomPath};
use super::problem::Problem;
use super::query::Query;
use crate::domain::Refusal;
use crate::hub::{Cut, Member, Room, Subscription};
use crate::protocol::{Joined, ServerFrame, named_event};

const LAST_EVENT_ID: &str = "Last-Event-ID";

/// Proxies that gather an answer before they pass it on are asked not to.
const UNBUFFERED: HeaderName = HeaderName::from_static("x-accel-buffering");

/// How to end a connection whose client takes nothing. Whoever accepts connections puts it into
/// each request: once cancelled, a write that waits fails soon.
#[derive(Debug, Clone)]
pub struct Hurry(pub CancellationToken);

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct EventsQuery {
    /// A seq: what was said after it comes first, from the log. Without it, and without
    /// `Last-Event-ID`, what is said from now on.
    #[param(maximum = 9_007_199_254_740_991_u64)]
    after: Option<u64>,
    /// The database that the position speaks of, as an earlier `joined` named it.
    log: Option<String>,
}

impl EventsQuery {
    /// What a client was last told goes before what its address says, which stays the same however
    /// often it comes back. Faults of both are told.
    fn read(query: Option<&str>, headers: &HeaderMap) -> Result<Self, Refusal> {
        let mut query = Query::new(query);
        let last = query.header_position(headers, LAST_EVENT_ID);
        let after = query.position("after");
        let log = query.text("log").map(str::to_owned);
        query.finish()?;
        Ok(Self { after: last.or(after), log })
    }
}

/// Listen to a room: `joined`, then each message, for as long as the token is good.
#[utoipa::path(
    get, path = "/rooms/{room}/events", tag = "messages", operation_id = "events",
    security(("token" = []), ("token_in_query" = []), ("cookie" = [])),
    params(
        ("room" = String, Path, description = "The room's id or its slug."),
        ("Last-Event-ID" = Option<u64>, Header, description = "A seq, in place of `after`."),
        EventsQuery,
    ),
    responses((
        status = 200, description = "Server-sent events, without end.",
        body = String, content_type = "text/event-stream",
    )),
)]
pub(super) async fn events(
    State(http): State<Http>,
    Listener(listener): Listener,
    RoomPath(room): RoomPath,
    hurry: Option<Extension<Hurry>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let wish = EventsQuery::read(query.as_deref(), &headers)?;
    let room = http.app.room_id(room).await?;
    // Before it costs the account's oldest connection its place.
    http.app.live_room(room).await?;
    let registered = Registered::open(&http, &listener, hurry.map(|Extension(Hurry(token))| token));
    let registered = registered.await?;
    let connection = Arc::clone(&registered.connection);
    // It may be a program, it sees nobody and says nothing: it is not present.
    let member = Member { connection, user: listener.identity.user_id, present_as: None };
    let (room, cut, _) = http.app.join(room, &member).await?;
    let opening = opening(&http, &room, &cut, &wish);
    let subscription = Subscription::new(room, member.connection, member.user, cut, wish.after);
    let expires_at = listener.identity.expires_at;
    let stream = EventStream::new(http, registered, subscription, expires_at, opening);
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (UNBUFFERED, HeaderValue::from_static("no")),
        // Its end may have been a hurried one, which is not for another answer.
        (CONNECTION, HeaderValue::from_static("close")),
    ];
    Ok((headers, Body::from_stream(stream.into_chunks())).into_response())
}

/// `joined`, with the id at which a client is that has heard nothing more: a browser that comes
/// back names it.
fn opening(http: &Http, room: &Room, cut: &Cut, wish: &EventsQuery) -> Bytes {
    let log = http.app.settings.log.to_string();
    let frame = ServerFrame::Joined(Joined {
        room_id: room.id().get(),
        head: cut.head,
        first: cut.first,
        count: cut.count,
        delivery: room.info.delivery.as_str(),
        reset: wish.log.as_ref().is_some_and(|theirs| *theirs != log),
        log: Some(&log),
        reference: None,
    });
    let cursor = wish.after.map_or(cut.head, |after| after.min(cut.head));
    named_event("joined", Some(cursor), &frame)
}

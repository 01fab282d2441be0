//! Rooms.

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
use crate::app::{CreateRoomRequest, RoomView};
use crate::domain::{Delivery, Identity, Limits, Refusal, RoomName, Slug};
use crate::protocol::Fields;

/// A new room.
#[derive(ToSchema)]
pub(super) struct CreateRoom {
    #[schema(value_type = String, min_length = 1, max_length = 80)]
    name: RoomName,
    /// `a-z`, `0-9` and `-`, not digits alone; made from the name, if left out.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 64)]
    slug: Option<Slug>,
    /// `immediate` or `committed`; the server's default, if left out.
    #[schema(value_type = Option<String>, example = "immediate")]
    delivery: Option<Delivery>,
}

impl FromFields for CreateRoom {
    fn from_fields(mut fields: Fields<'_>, _: &Limits) -> Result<Self, Refusal> {
        let name = fields.required("name", text(RoomName::parse));
        let slug = fields.optional("slug", text(Slug::parse));
        let delivery = fields.optional("delivery", text(delivery));
        finish(fields, name.map(|name| Self { name, slug, delivery }))
    }
}

fn delivery(text: &str) -> Result<Delivery, &'static str> {
    Delivery::parse(text).ok_or("must be \"immediate\" or \"committed\"")
}

/// What is fixed about a room, and where its log stands on disk.
#[derive(Serialize, ToSchema)]
#[schema(as = Room)]
#[serde(rename_all = "camelCase")]
pub(super) struct RoomBody {
    room_id: u64,
    slug: String,
    name: String,
    /// The creator's `userId`.
    created_by: u64,
    created_at: u64,
    /// `immediate` or `committed`.
    #[schema(example = "immediate")]
    delivery: &'static str,
    /// The lowest seq still stored; 0: none.
    first: u64,
    /// The last committed seq; 0: none.
    head: u64,
    /// How many messages the room ever had.
    count: u64,
}

impl From<RoomView> for RoomBody {
    fn from(view: RoomView) -> Self {
        let RoomView { room, first, head, count } = view;
        Self {
            room_id: room.room_id.get(),
            slug: room.slug.to_string(),
            name: room.name.to_string(),
            created_by: room.created_by.get(),
            created_at: room.created_at,
            delivery: room.delivery.as_str(),
            first,
            head,
            count,
        }
    }
}

#[derive(Serialize, ToSchema)]
pub(super) struct OneRoom {
    room: RoomBody,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct RoomsPage {
    rooms: Vec<RoomBody>,
    has_more: bool,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct RoomsQuery {
    /// A `roomId`: rooms with greater ones only.
    #[param(maximum = 9_007_199_254_740_991_u64)]
    after: Option<u64>,
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u64>,
}

impl RoomsQuery {
    fn read(query: Option<&str>) -> Result<Self, Refusal> {
        let mut query = Query::new(query);
        let (after, limit) = (query.position("after"), query.limit());
        query.finish()?;
        Ok(Self { after, limit })
    }
}

/// The rooms, by rising `roomId`.
#[utoipa::path(
    get, path = "/rooms", tag = "rooms", operation_id = "list_rooms",
    security(("token" = []), ("cookie" = [])),
    params(RoomsQuery),
    responses((status = 200, description = "A page of rooms.", body = RoomsPage)),
)]
pub(super) async fn list(
    State(http): State<Http>,
    _: Identity,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let RoomsQuery { after, limit } = RoomsQuery::read(query.as_deref())?;
    http.answers.admit()?;
    let (rooms, has_more) = http.app.rooms(after.unwrap_or(0), page_items(limit)).await?;
    let rooms = rooms.into_iter().map(RoomBody::from).collect();
    Ok(http.answers.json(&RoomsPage { rooms, has_more })?)
}

/// Make a room.
#[utoipa::path(
    post, path = "/rooms", tag = "rooms", operation_id = "create_room",
    security(("token" = []), ("cookie" = [])),
    request_body = CreateRoom,
    responses((status = 201, description = "The room is made.", body = OneRoom)),
)]
pub(super) async fn create(
    State(http): State<Http>,
    identity: Identity,
    Body(body): Body<CreateRoom>,
) -> Result<(StatusCode, Json<OneRoom>), Problem> {
    let CreateRoom { name, slug, delivery } = body;
    let request = CreateRoomRequest { name, slug, delivery };
    let room = http.app.create_room(&identity, request).await?;
    Ok((StatusCode::CREATED, Json(OneRoom { room: room.into() })))
}

/// One room.
#[utoipa::path(
    get, path = "/rooms/{room}", tag = "rooms", operation_id = "room",
    security(("token" = []), ("cookie" = [])),
    params(("room" = String, Path, description = "The room's id or its slug.")),
    responses((status = 200, description = "The room.", body = OneRoom)),
)]
pub(super) async fn show(
    State(http): State<Http>,
    _: Identity,
    RoomPath(room): RoomPath,
) -> Result<Json<OneRoom>, Problem> {
    let room = http.app.room(room).await?;
    Ok(Json(OneRoom { room: room.into() }))
}

/// Delete a room, as its creator or an admin.
#[utoipa::path(
    delete, path = "/rooms/{room}", tag = "rooms", operation_id = "delete_room",
    security(("token" = []), ("cookie" = [])),
    params(("room" = String, Path, description = "The room's id or its slug.")),
    responses((status = 204, description = "The room is gone.")),
)]
pub(super) async fn delete(
    State(http): State<Http>,
    identity: Identity,
    RoomPath(room): RoomPath,
) -> Result<StatusCode, Problem> {
    http.app.delete_room(&identity, room).await?;
    Ok(StatusCode::NO_CONTENT)
}

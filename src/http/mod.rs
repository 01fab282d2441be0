//! The HTTP edge: one table of routes, which is its description too (`OpenAPI`), extractors that
//! gather every fault, and problems that never show what is inside.
//!
//! A handler reads its request, calls one use case and shows the result; it decides nothing.

mod accounts;
mod answer;
mod cookie;
mod cors;
mod event_stream;
mod events;
mod extract;
mod messages;
mod openapi;
mod problem;
mod query;
mod rooms;
mod system;
#[cfg(test)]
mod tests;
mod trace;

use std::sync::Arc;
use std::time::Duration;

use axum::{Router, middleware};
use bytes::Bytes;
use tokio_util::sync::CancellationToken;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::Origins;
use crate::domain::limits::{BODIES_BYTES, EVENTS_KEEP_ALIVE};
use crate::metrics::Metrics;
use crate::transport::Budget;

pub use events::Hurry;
pub use extract::PeerAddr;

use answer::Answers;

/// Where the calls of accounts, rooms and messages stand.
const API: &str = "/api/v1";

/// What every handler can reach.
#[derive(Debug, Clone)]
struct Http {
    app: Arc<App>,
    readiness: Readiness,
    /// The description of the API, in JSON.
    document: Bytes,
    /// Bytes of all bodies that are being read.
    bodies: Arc<Budget>,
    answers: Answers,
    streams: Streams,
}

/// What streams of events share.
#[derive(Debug, Clone)]
pub struct Streams {
    /// Bytes that wait for their readers, those of sockets included.
    pub output: Arc<Budget>,
    /// Silence before a comment.
    pub keep_alive: Duration,
}

impl Streams {
    #[must_use]
    pub fn new(output: Arc<Budget>) -> Self {
        Self { output, keep_alive: EVENTS_KEEP_ALIVE }
    }
}

/// Whether new work is welcome; all clones are one.
#[derive(Debug, Clone, Default)]
pub struct Readiness {
    draining: CancellationToken,
}

impl Readiness {
    /// The server is about to stop: `/readyz` says so from here on, and streams of events end.
    pub fn drain(&self) {
        self.draining.cancel();
    }

    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.is_cancelled()
    }

    async fn drained(&self) {
        self.draining.cancelled().await;
    }
}

/// Every route of this edge. What else the server serves is merged with it; [`finish`] comes last.
pub fn router(app: Arc<App>, readiness: Readiness, streams: Streams) -> Router {
    let (router, document) = described().split_for_parts();
    let document = openapi::complete(document);
    let bodies = Budget::new(BODIES_BYTES);
    let (document, answers) = (openapi::to_json(&document), Answers::default());
    router.with_state(Http { app, readiness, document, bodies, answers, streams })
}

/// Wraps the merged routes: paths and methods that are not there are problems like any other,
/// pages of other origins are told what they may, and each answer gets its request id, its line in
/// the log and its count.
pub fn finish(router: Router, metrics: &Arc<Metrics>, origins: &Origins) -> Router {
    let origins = Arc::new(origins.clone());
    router
        .fallback(system::not_found)
        .method_not_allowed_fallback(system::method_not_allowed)
        .layer(middleware::from_fn_with_state(origins, cors::cors))
        .layer(middleware::from_fn_with_state(Arc::clone(metrics), trace::trace))
}

fn described() -> OpenApiRouter<Http> {
    let api = OpenApiRouter::new()
        .routes(routes!(accounts::sign_up))
        .routes(routes!(accounts::sign_in))
        .routes(routes!(accounts::sign_out))
        .routes(routes!(accounts::refresh))
        .routes(routes!(accounts::me, accounts::delete_me))
        .routes(routes!(accounts::change_password))
        .routes(routes!(rooms::list, rooms::create))
        .routes(routes!(rooms::show, rooms::delete))
        .routes(routes!(messages::page, messages::post))
        .routes(routes!(events::events));
    OpenApiRouter::with_openapi(openapi::frame())
        .nest(API, api)
        .routes(routes!(system::livez))
        .routes(routes!(system::readyz))
        .routes(routes!(system::openapi))
}

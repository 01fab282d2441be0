//! The page of metrics, on a listener of its own: one short answer a connection, and none of what
//! the API's own listener knows of.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, Request};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use crate::domain::Millis;
use crate::domain::limits::{ACCEPT_PAUSE, HEAD_BYTES, METRICS_CONNECTIONS, METRICS_TIMEOUT};
use crate::http::Readiness;
use crate::metrics::{Format, Readings};
use crate::store::WriteQueue;
use crate::ws::Sessions;

const OPEN_METRICS: &str = "application/openmetrics-text";

/// What is looked at when somebody asks.
#[derive(Debug)]
pub(super) struct Scraped {
    pub(super) sessions: Arc<Sessions>,
    pub(super) queue: WriteQueue,
    pub(super) readiness: Readiness,
    /// When the process started.
    pub(super) started_at: Millis,
}

impl Scraped {
    fn page(&self, format: Format) -> String {
        let Sessions { app, output, input, .. } = &*self.sessions;
        let (queue_commands, queue_bytes) = self.queue.waiting();
        let readings = Readings {
            version: env!("CARGO_PKG_VERSION"),
            started_at: self.started_at,
            storing: app.is_storing(),
            ready: app.is_storing() && !self.readiness.is_draining(),
            queue_commands,
            queue_bytes,
            rooms: app.hub.live_rooms(),
            connections: app.hub.connections.len(),
            connections_limit: app.settings.limits.connections,
            waiting_bytes: output.used(),
            partial_input_bytes: input.used(),
        };
        app.hub.metrics.page(&readings, format)
    }
}

/// Until the stop, which cuts off who is not answered yet.
pub(super) async fn serve(listener: TcpListener, scraped: Scraped, stop: CancellationToken) {
    let router = Router::new().route("/metrics", get(metrics)).with_state(Arc::new(scraped));
    let places = Arc::new(Semaphore::new(METRICS_CONNECTIONS));
    let answering = TaskTracker::new();
    let accepting = async {
        loop {
            // It is never closed.
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            match listener.accept().await {
                Ok((socket, _)) => {
                    let answered = answer(socket, router.clone(), stop.clone());
                    answering.spawn(async move {
                        answered.await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a scraper's connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    stop.run_until_cancelled(accepting).await;
    answering.close();
    answering.wait().await;
}

/// Answers one request and closes, within the time that there is for it.
async fn answer(socket: TcpStream, router: Router, stop: CancellationToken) {
    let service =
        service_fn(|request: Request<Incoming>| router.clone().oneshot(request.map(Body::new)));
    let connection = http1::Builder::new()
        .keep_alive(false)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(socket), service);
    let answered = tokio::time::timeout(METRICS_TIMEOUT, connection);
    if let Some(Ok(Err(error))) = stop.run_until_cancelled(answered).await {
        tracing::debug!(%error, "a scraper went early");
    }
}

/// In the format that whoever asks names, or the one that everybody reads.
async fn metrics(State(scraped): State<Arc<Scraped>>, headers: HeaderMap) -> Response {
    let mut accepted = headers.get_all(ACCEPT).into_iter().filter_map(|value| value.to_str().ok());
    let (format, kind) = if accepted.any(|value| value.contains(OPEN_METRICS)) {
        (Format::OpenMetrics, "application/openmetrics-text; version=1.0.0; charset=utf-8")
    } else {
        (Format::Text, "text/plain; version=0.0.4; charset=utf-8")
    };
    let kind = HeaderValue::from_static(kind);
    ([(CONTENT_TYPE, kind)], scraped.page(format)).into_response()
}

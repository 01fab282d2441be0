//! Answers that can be large: their bytes have a bound for the process, since a client may take
//! them as slowly as it likes.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::domain::Refusal;
use crate::domain::limits::ANSWERS_BYTES;
use crate::transport::Budget;

/// Bytes of all large answers that their readers have not taken yet.
#[derive(Debug, Clone)]
pub(super) struct Answers(Arc<Budget>);

impl Default for Answers {
    fn default() -> Self {
        Self(Budget::new(ANSWERS_BYTES))
    }
}

impl Answers {
    /// Refuses before any work is done for one more.
    pub(super) fn admit(&self) -> Result<(), Refusal> {
        if self.0.is_spent() { Err(Refusal::Overloaded) } else { Ok(()) }
    }

    /// `value` in JSON, counted until the last byte is with the kernel, or its reader gone.
    pub(super) fn json<T: Serialize>(&self, value: &T) -> Result<Response, Refusal> {
        let json = serde_json::to_vec(value).map_err(|error| {
            tracing::error!(%error, "an answer could not be written");
            Refusal::Internal
        })?;
        let kind = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(([kind], Body::from(self.0.hold(json))).into_response())
    }
}

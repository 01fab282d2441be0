//! The session's cookie: set for a page that signs in, so that no script can read its token.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::header::SET_COOKIE;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue};

use super::Http;
use super::extract::facts;
use super::problem::Problem;
use crate::app;
use crate::auth::SESSION_COOKIE;
use crate::domain::{Millis, Refusal};

/// What an answer says of the cookie, if anything.
pub(super) type SetCookie = Option<[(HeaderName, HeaderValue); 1]>;

/// How the cookie is set in answer to one request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cookies {
    /// Whether it is kept to HTTPS.
    secure: bool,
    /// Whether whoever asks may be given it.
    may_be_given: bool,
}

impl FromRequestParts<Http> for Cookies {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, http: &Http) -> Result<Self, Infallible> {
        let (origins, facts) = (&http.app.settings.origins, facts(parts, None));
        let secure = origins.are_secure(facts.host);
        Ok(Self { secure, may_be_given: origins.may_be_given_a_cookie(&facts) })
    }
}

impl Cookies {
    /// Refuses before there is an account or a session that nobody could use.
    pub(super) fn admit(self, wanted: bool) -> Result<(), Problem> {
        if !wanted || self.may_be_given {
            return Ok(());
        }
        Err(Refusal::Forbidden(
            "a cookie is given to this server's own page only; behind a proxy, public_url has to \
             say what that is",
        )
        .into())
    }

    /// Until the token ends.
    pub(super) fn keep(self, token: &app::Token, now: Millis) -> Result<SetCookie, Refusal> {
        self.set(&token.token, token.expires_at.saturating_sub(now) / 1_000)
    }

    pub(super) fn clear(self) -> Result<SetCookie, Refusal> {
        self.set("", 0)
    }

    fn set(self, value: &str, seconds: u64) -> Result<SetCookie, Refusal> {
        let secure = if self.secure { "; Secure" } else { "" };
        let rules = "Path=/; HttpOnly; SameSite=Strict";
        let cookie = format!("{SESSION_COOKIE}={value}; Max-Age={seconds}; {rules}{secure}");
        let mut cookie = HeaderValue::try_from(cookie).map_err(|error| {
            tracing::error!(%error, "a cookie could not be written");
            Refusal::Internal
        })?;
        cookie.set_sensitive(true);
        Ok(Some([(SET_COOKIE, cookie)]))
    }
}

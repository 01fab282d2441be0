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
use crate::auth::{SESSION_COOKIE, Withheld};
use crate::domain::{Millis, Refusal};
use crate::protocol::ErrorCode;

/// What an answer says of the cookie, if anything.
pub(super) type SetCookie = Option<[(HeaderName, HeaderValue); 1]>;

/// How the cookie is set in answer to one request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cookies {
    /// Whether it is kept to HTTPS.
    secure: bool,
}

impl FromRequestParts<Http> for Cookies {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, http: &Http) -> Result<Self, Infallible> {
        let secure = http.app.settings.origins.are_secure(facts(parts, None).host);
        Ok(Self { secure })
    }
}

/// Who comes to sign in or up, and what they may be given.
#[derive(Debug)]
pub(super) struct Comer {
    pub(super) cookies: Cookies,
    in_cookie: Result<(), Withheld>,
    as_token: Result<(), Withheld>,
    /// Whether it may make the first account without the setup code.
    pub(super) may_be_first: bool,
}

impl FromRequestParts<Http> for Comer {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, http: &Http) -> Result<Self, Infallible> {
        let cookies = Cookies::from_request_parts(parts, http).await?;
        let (origins, facts) = (&http.app.settings.origins, facts(parts, None));
        Ok(Self {
            cookies,
            in_cookie: origins.admit(&facts, true),
            as_token: origins.admit(&facts, false),
            may_be_first: origins.may_be_first(&facts),
        })
    }
}

impl Comer {
    /// Refuses before there is an account or a session that nobody could use, or nobody should.
    pub(super) fn admit(&self, cookie: bool) -> Result<(), Problem> {
        let outcome = if cookie { &self.in_cookie } else { &self.as_token };
        outcome.as_ref().copied().map_err(|withheld| {
            let detail = told(withheld);
            tracing::info!(detail, "nothing was given to a page that signs in");
            Problem::new(ErrorCode::Forbidden, detail)
        })
    }
}

/// What the operator is to do about it, ready to be copied.
fn told(withheld: &Withheld) -> String {
    match withheld {
        Withheld::Foreign => "a cookie is given to this server's own page only; behind a proxy, \
                              public_url has to say what that is"
            .to_owned(),
        Withheld::Plain(origin) => format!(
            "browsers do not keep the session of a page that came over plain HTTP unless the \
             server is set up for it: start it with public_url = \"{origin}\", or put TLS in front"
        ),
        Withheld::Misnamed(Some(origin)) => format!(
            "this server listens for its own machine alone, of which this page's address is no \
             name: if it is the server's, start it with public_url = \"{origin}\""
        ),
        Withheld::Misnamed(None) => "this server listens for its own machine alone, of which the \
                                     Host header is no name; if it is the server's, public_url \
                                     has to say so"
            .to_owned(),
    }
}

impl Cookies {
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

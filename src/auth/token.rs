//! Tokens: what a client shows to prove a sign-in. A JWT, signed with HMAC-SHA-256, that names the
//! account and the session; whether that session still lives is for the caller to look up.

use std::fmt;
use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

use crate::domain::limits::TOKEN_BYTES;
use crate::domain::{Millis, SAFE_INTEGER_END, SessionId, UserId};

const ISSUER: &str = "parlor";

/// What a token says. Times are whole seconds, written in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claims {
    pub user_id: UserId,
    pub session: SessionId,
    pub issued_at: Millis,
    /// The first instant at which the token is no longer valid.
    pub expires_at: Millis,
}

impl Claims {
    /// Claims from now on, both times rounded down to whole seconds, so that what a client is told
    /// of the expiry is what the token says.
    #[must_use]
    pub fn lasting(user_id: UserId, session: SessionId, now: Millis, lifetime: Duration) -> Self {
        let lifetime = Millis::try_from(lifetime.as_millis()).unwrap_or(Millis::MAX);
        let last = SAFE_INTEGER_END - 1;
        let expires_at = now.saturating_add(lifetime).min(last);
        let whole_seconds = |at: Millis| at / 1000 * 1000;
        Self {
            user_id,
            session,
            issued_at: whole_seconds(now),
            expires_at: whole_seconds(expires_at),
        }
    }
}

/// A token could not be signed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("a token could not be signed: {0}")]
pub struct MintError(#[from] jsonwebtoken::errors::Error);

/// The claims as they are written. Every one is required; what else there is, is ignored.
#[derive(Serialize, Deserialize)]
struct WireClaims {
    sub: String,
    sid: String,
    iat: u64,
    exp: u64,
    iss: String,
}

impl WireClaims {
    fn read(&self) -> Option<Claims> {
        let millis = |seconds: u64| seconds.checked_mul(1000).filter(|at| *at < SAFE_INTEGER_END);
        if self.iss != ISSUER {
            return None;
        }
        Some(Claims {
            user_id: user_id(&self.sub)?,
            session: SessionId::parse(&self.sid)?,
            issued_at: millis(self.iat)?,
            expires_at: millis(self.exp)?,
        })
    }
}

/// One number has one spelling: no sign, no leading zero.
fn user_id(text: &str) -> Option<UserId> {
    let id = UserId::new(text.parse().ok()?).ok()?;
    (id.to_string() == text).then_some(id)
}

/// Mints and verifies the tokens of one secret.
pub struct Tokens {
    sign: EncodingKey,
    check: DecodingKey,
    validation: Validation,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").finish_non_exhaustive()
    }
}

impl Tokens {
    #[must_use]
    pub fn new(secret: &[u8]) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        // Its own clock is not ours: the expiry is checked in `verify`, the rest by `WireClaims`.
        validation.validate_exp = false;
        validation.required_spec_claims.clear();
        Self {
            sign: EncodingKey::from_secret(secret),
            check: DecodingKey::from_secret(secret),
            validation,
        }
    }

    /// The claims' times are rounded down to whole seconds.
    pub fn mint(&self, claims: &Claims) -> Result<String, MintError> {
        let claims = WireClaims {
            sub: claims.user_id.to_string(),
            sid: claims.session.to_string(),
            iat: claims.issued_at / 1000,
            exp: claims.expires_at / 1000,
            iss: ISSUER.to_owned(),
        };
        Ok(jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.sign)?)
    }

    /// What the token says; `None` unless it was signed by this secret, in the one way that is
    /// ours, and has not expired at `now`.
    #[must_use]
    pub fn verify(&self, token: &str, now: Millis) -> Option<Claims> {
        if token.len() > TOKEN_BYTES {
            return None;
        }
        let token =
            jsonwebtoken::decode::<WireClaims>(token, &self.check, &self.validation).ok()?;
        // An extension that must be understood is not: there is none that we do.
        if token.header.crit.is_some() {
            return None;
        }
        token.claims.read().filter(|claims| now < claims.expires_at)
    }
}

#[cfg(test)]
#[path = "token_tests.rs"]
mod tests;

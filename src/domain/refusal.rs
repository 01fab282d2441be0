//! Why something asked for is not done. Knows neither HTTP nor WebSocket: each edge turns it into
//! a code, a status and public words.

use super::{Invalid, Millis};

/// The reasons that every edge shares.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("{0}")]
    Invalid(Invalid),
    #[error("sign in: there is no valid token")]
    Unauthorized,
    #[error("{0}")]
    Forbidden(&'static str),
    #[error("there is no such room")]
    NoSuchRoom,
    #[error("this connection has not joined the room")]
    NotInRoom,
    #[error("a connection may be in at most {limit} rooms")]
    TooManyRooms { limit: usize },
    #[error("a message may have at most {limit} bytes")]
    MessageTooLarge { limit: usize },
    #[error("this id was used before for another message")]
    IdConflict,
    #[error("this user name is taken")]
    UsernameTaken,
    #[error("this slug is taken")]
    SlugTaken,
    #[error("this server does not accept new accounts")]
    SignupClosed,
    #[error("too many requests: wait a moment")]
    RateLimited { retry_after: Millis },
    #[error("the server is overloaded: nothing was done, try again")]
    Overloaded,
    #[error("the server cannot store anything at the moment")]
    Unavailable,
    /// A fault of ours; what it was is in the log and never told to a client.
    #[error("internal error")]
    Internal,
}

impl Refusal {
    /// How long to wait before the same request can succeed; `None`: it never will.
    #[must_use]
    pub fn retry_after(&self) -> Option<Millis> {
        match self {
            Self::RateLimited { retry_after } => Some(*retry_after),
            Self::Overloaded => Some(500),
            Self::Unavailable => Some(2_000),
            _ => None,
        }
    }
}

impl From<Invalid> for Refusal {
    fn from(invalid: Invalid) -> Self {
        Self::Invalid(invalid)
    }
}

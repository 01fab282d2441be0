//! Error codes and close codes: stable names that programs act on.

use crate::domain::Refusal;

/// The `code` of an `error` frame and of a problem over HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorCode {
    Invalid,
    NoSuchRoom,
    Forbidden,
    MessageTooLarge,
    IdConflict,
    RateLimited,
    Overloaded,
    Unavailable,
    Internal,
    BadFrame,
    UnknownType,
    NotInRoom,
    TooManyRooms,
    BadJson,
    Unauthorized,
    NotFound,
    MethodNotAllowed,
    UsernameTaken,
    SlugTaken,
    TooLarge,
    UnsupportedMediaType,
    SignupClosed,
}

impl ErrorCode {
    pub const ALL: [Self; 22] = [
        Self::Invalid,
        Self::NoSuchRoom,
        Self::Forbidden,
        Self::MessageTooLarge,
        Self::IdConflict,
        Self::RateLimited,
        Self::Overloaded,
        Self::Unavailable,
        Self::Internal,
        Self::BadFrame,
        Self::UnknownType,
        Self::NotInRoom,
        Self::TooManyRooms,
        Self::BadJson,
        Self::Unauthorized,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::UsernameTaken,
        Self::SlugTaken,
        Self::TooLarge,
        Self::UnsupportedMediaType,
        Self::SignupClosed,
    ];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::NoSuchRoom => "no_such_room",
            Self::Forbidden => "forbidden",
            Self::MessageTooLarge => "message_too_large",
            Self::IdConflict => "id_conflict",
            Self::RateLimited => "rate_limited",
            Self::Overloaded => "overloaded",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
            Self::BadFrame => "bad_frame",
            Self::UnknownType => "unknown_type",
            Self::NotInRoom => "not_in_room",
            Self::TooManyRooms => "too_many_rooms",
            Self::BadJson => "bad_json",
            Self::Unauthorized => "unauthorized",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::UsernameTaken => "username_taken",
            Self::SlugTaken => "slug_taken",
            Self::TooLarge => "too_large",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::SignupClosed => "signup_closed",
        }
    }

    /// The status over HTTP; `None` for the codes that only the socket has.
    #[must_use]
    pub fn http_status(self) -> Option<u16> {
        Some(match self {
            Self::BadJson => 400,
            Self::Unauthorized => 401,
            Self::Forbidden | Self::SignupClosed => 403,
            Self::NoSuchRoom | Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::IdConflict | Self::UsernameTaken | Self::SlugTaken => 409,
            Self::MessageTooLarge | Self::TooLarge => 413,
            Self::UnsupportedMediaType => 415,
            Self::Invalid => 422,
            Self::RateLimited => 429,
            Self::Internal => 500,
            Self::Overloaded | Self::Unavailable => 503,
            Self::BadFrame | Self::UnknownType | Self::NotInRoom | Self::TooManyRooms => {
                return None;
            }
        })
    }

    /// Whether the same request can succeed later; then the answer says when to try.
    #[must_use]
    pub fn retryable(self) -> bool {
        matches!(self, Self::RateLimited | Self::Overloaded | Self::Unavailable)
    }
}

impl From<&Refusal> for ErrorCode {
    fn from(refusal: &Refusal) -> Self {
        match refusal {
            Refusal::Invalid(_) => Self::Invalid,
            Refusal::Unauthorized => Self::Unauthorized,
            Refusal::Forbidden(_) => Self::Forbidden,
            Refusal::NoSuchRoom => Self::NoSuchRoom,
            Refusal::NotInRoom => Self::NotInRoom,
            Refusal::TooManyRooms { .. } => Self::TooManyRooms,
            Refusal::MessageTooLarge { .. } => Self::MessageTooLarge,
            Refusal::IdConflict => Self::IdConflict,
            Refusal::UsernameTaken => Self::UsernameTaken,
            Refusal::SlugTaken => Self::SlugTaken,
            Refusal::SignupClosed => Self::SignupClosed,
            Refusal::RateLimited { .. } => Self::RateLimited,
            Refusal::Overloaded => Self::Overloaded,
            Refusal::Unavailable => Self::Unavailable,
            Refusal::Internal => Self::Internal,
        }
    }
}

/// Why the server closes a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseCode {
    /// The client's own wish, answered.
    Normal,
    /// A violation of RFC 6455.
    Protocol,
    /// A binary message.
    Unsupported,
    /// Text that is not UTF-8.
    NotUtf8,
    /// Too many erroneous frames in a row.
    Policy,
    /// A message larger than `limits.frame_bytes`.
    TooBig,
    /// A fault in the server.
    Internal,
    /// The server stops or restarts.
    Restart,
    /// Too many connections.
    TryAgainLater,
    /// No valid token (any more).
    Unauthorized,
    /// Nothing heard, or nothing taken, for too long, or too much left untaken.
    Stalled,
    /// This user opened more connections than allowed.
    Replaced,
}

impl CloseCode {
    pub const ALL: [Self; 12] = [
        Self::Normal,
        Self::Protocol,
        Self::Unsupported,
        Self::NotUtf8,
        Self::Policy,
        Self::TooBig,
        Self::Internal,
        Self::Restart,
        Self::TryAgainLater,
        Self::Unauthorized,
        Self::Stalled,
        Self::Replaced,
    ];

    #[must_use]
    pub fn code(self) -> u16 {
        match self {
            Self::Normal => 1000,
            Self::Protocol => 1002,
            Self::Unsupported => 1003,
            Self::NotUtf8 => 1007,
            Self::Policy => 1008,
            Self::TooBig => 1009,
            Self::Internal => 1011,
            Self::Restart => 1012,
            Self::TryAgainLater => 1013,
            Self::Unauthorized => 4401,
            Self::Stalled => 4408,
            Self::Replaced => 4409,
        }
    }

    /// The reason sent with the code; at most 123 bytes.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Normal => "",
            Self::Protocol => "protocol error",
            Self::Unsupported => "binary messages are not supported",
            Self::NotUtf8 => "text must be UTF-8",
            Self::Policy => "too many erroneous frames",
            Self::TooBig => "message too large",
            Self::Internal => "internal error",
            Self::Restart => "the server restarts",
            Self::TryAgainLater => "too many connections",
            Self::Unauthorized => "no valid token",
            Self::Stalled => "silent or behind for too long",
            Self::Replaced => "replaced by a newer connection",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = include_str!("protocol.md");

    #[test]
    fn the_page_names_every_code_and_status() {
        for code in ErrorCode::ALL {
            let row = PAGE
                .lines()
                .find(|line| line.starts_with(&format!("| `{}` |", code.as_str())))
                .unwrap_or_else(|| panic!("protocol.md has no row for {}", code.as_str()));
            let status = code.http_status().map_or("-".to_owned(), |status| status.to_string());
            assert!(row.contains(&format!("| {status} |")), "{row}");
            assert_eq!(row.contains("| yes |"), code.retryable(), "{row}");
        }
    }

    #[test]
    fn the_page_names_every_close_code() {
        for code in CloseCode::ALL {
            let start = format!("| {} |", code.code());
            assert!(PAGE.lines().any(|line| line.starts_with(&start)), "no row {start}");
            assert!(code.reason().len() <= 123);
        }
    }
}

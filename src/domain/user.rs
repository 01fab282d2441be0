//! Accounts.

use super::{DisplayName, Millis, SessionId, UserId, Username};

/// The name under which the messages of a deleted account are shown. No account can have it: it
/// contains a space.
pub const DELETED_USERNAME: &str = "deleted user";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Admin,
    Member,
}

impl Role {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Member => "member",
        }
    }
}

/// An account as others may see it: without its password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub user_id: UserId,
    pub username: Username,
    pub display_name: DisplayName,
    pub role: Role,
    pub created_at: Millis,
}

/// Who speaks: an account and the sign-in through which it speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub user_id: UserId,
    pub username: Username,
    pub role: Role,
    pub session: SessionId,
    /// When the token that proved it ends.
    pub expires_at: Millis,
}

//! What of the server held the run back, and the setting that says how much of it there is.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::protocol::{CloseCode, ErrorCode};

/// A bound of the server that was met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hold {
    SignIns,
    SignupClosed,
    FirstAccount,
    PasswordHashes,
    MessageRate,
    Unacknowledged,
    WriterQueue,
    Storage,
    MessageBytes,
    FrameBytes,
    RoomsPerConnection,
    Connections,
    ConnectionsPerUser,
    Stalled,
    SignedOut,
    Restart,
    Fault,
}

/// What was asked for when it was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// Signing up or in, and deleting an account.
    Account,
    Room,
    /// Anything on a socket.
    Socket,
}

impl Hold {
    #[cfg(test)]
    const ALL: [Self; 17] = [
        Self::SignIns,
        Self::SignupClosed,
        Self::FirstAccount,
        Self::PasswordHashes,
        Self::MessageRate,
        Self::Unacknowledged,
        Self::WriterQueue,
        Self::Storage,
        Self::MessageBytes,
        Self::FrameBytes,
        Self::RoomsPerConnection,
        Self::Connections,
        Self::ConnectionsPerUser,
        Self::Stalled,
        Self::SignedOut,
        Self::Restart,
        Self::Fault,
    ];

    /// The settings that say how much there is; none where it is not a setting.
    pub fn keys(self) -> &'static [&'static str] {
        match self {
            Self::SignIns => &["limits.sign_ins_per_minute"],
            Self::SignupClosed => &["auth.signup"],
            Self::MessageRate => &["limits.messages_per_second", "limits.message_burst"],
            Self::Unacknowledged => &["limits.unacknowledged"],
            Self::WriterQueue => &["limits.writer_queue_messages", "limits.writer_queue_bytes"],
            Self::MessageBytes => &["limits.message_bytes"],
            Self::FrameBytes => &["limits.frame_bytes"],
            Self::RoomsPerConnection => &["limits.rooms_per_connection"],
            Self::Connections => &["limits.connections"],
            Self::ConnectionsPerUser => &["limits.connections_per_user"],
            Self::Stalled => &["limits.write_stall_seconds", "limits.heartbeat_seconds"],
            Self::SignedOut => &["auth.token_ttl"],
            Self::FirstAccount
            | Self::PasswordHashes
            | Self::Storage
            | Self::Restart
            | Self::Fault => &[],
        }
    }

    /// What it is, in words.
    pub fn about(self) -> &'static str {
        match self {
            Self::SignIns => "sign-ins, sign-ups and deletions of accounts of one address",
            Self::SignupClosed => "nobody may sign up: give --token",
            Self::FirstAccount => "the first account is the admin's and takes its setup code",
            Self::PasswordHashes => "password hashes at once",
            Self::MessageRate => "messages of one account a second: give --users or fewer messages",
            Self::Unacknowledged => "messages of one connection that wait for the disk",
            Self::WriterQueue => "messages of all that wait for the disk",
            Self::Storage => "the disk does not take anything",
            Self::MessageBytes => "bytes of one message",
            Self::FrameBytes => "bytes of one frame",
            Self::RoomsPerConnection => "rooms of one connection",
            Self::Connections => "connections, or files that the server may open",
            Self::ConnectionsPerUser => {
                "connections of one account: give --connections-per-user as the server has it"
            }
            Self::Stalled => "a connection took nothing, or was silent, for too long",
            Self::SignedOut => "the token is not valid, or no longer",
            Self::Restart => "the server stopped",
            Self::Fault => "a fault in the server, or in this client",
        }
    }

    /// What an error means for a run; `None` for those that tell of no bound.
    pub fn of_error(code: ErrorCode, asked: Asked) -> Option<Self> {
        Some(match code {
            ErrorCode::RateLimited if asked == Asked::Account => Self::SignIns,
            ErrorCode::RateLimited => Self::MessageRate,
            ErrorCode::Overloaded if asked == Asked::Account => Self::PasswordHashes,
            ErrorCode::Overloaded => Self::WriterQueue,
            ErrorCode::Unavailable => Self::Storage,
            ErrorCode::MessageTooLarge | ErrorCode::TooLarge => Self::MessageBytes,
            ErrorCode::TooManyRooms => Self::RoomsPerConnection,
            ErrorCode::SignupClosed => Self::SignupClosed,
            ErrorCode::Unauthorized => Self::SignedOut,
            ErrorCode::Internal => Self::Fault,
            ErrorCode::Invalid
            | ErrorCode::NoSuchRoom
            | ErrorCode::Forbidden
            | ErrorCode::IdConflict
            | ErrorCode::BadFrame
            | ErrorCode::UnknownType
            | ErrorCode::NotInRoom
            | ErrorCode::BadJson
            | ErrorCode::NotFound
            | ErrorCode::MethodNotAllowed
            | ErrorCode::UsernameTaken
            | ErrorCode::SlugTaken
            | ErrorCode::UnsupportedMediaType => return None,
        })
    }

    /// What the server means by closing a connection.
    pub fn of_close(code: u16) -> Self {
        match CloseCode::ALL.into_iter().find(|known| known.code() == code) {
            Some(CloseCode::TryAgainLater) => Self::Connections,
            Some(CloseCode::Replaced) => Self::ConnectionsPerUser,
            Some(CloseCode::Stalled) => Self::Stalled,
            Some(CloseCode::Unauthorized) => Self::SignedOut,
            Some(CloseCode::TooBig) => Self::FrameBytes,
            Some(CloseCode::Restart | CloseCode::Normal) => Self::Restart,
            Some(
                CloseCode::Protocol
                | CloseCode::Unsupported
                | CloseCode::NotUtf8
                | CloseCode::Policy
                | CloseCode::Internal,
            )
            | None => Self::Fault,
        }
    }

    /// Its settings, or what it is where there are none.
    pub fn name(self) -> String {
        if self.keys().is_empty() { self.about().to_owned() } else { self.keys().join(", ") }
    }
}

/// How often a bound was met, and how long was waited because of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Held {
    pub times: u64,
    pub waited: Duration,
}

/// Everything that held a run back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holds(BTreeMap<Hold, Held>);

impl Holds {
    pub fn met(&mut self, hold: Hold) {
        self.0.entry(hold).or_default().times += 1;
    }

    pub fn waited(&mut self, hold: Hold, time: Duration) {
        self.0.entry(hold).or_default().waited += time;
    }

    pub fn iter(&self) -> impl Iterator<Item = (Hold, Held)> {
        self.0.iter().map(|(hold, held)| (*hold, *held))
    }
}

/// The error code of this name; `None` for one that this version does not know.
pub fn error_code(name: &str) -> Option<ErrorCode> {
    ErrorCode::ALL.into_iter().find(|code| code.as_str() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_a_setting_of_the_server() {
        for hold in Hold::ALL {
            for key in hold.keys() {
                assert!(crate::config::find(key).is_some(), "{key}");
            }
            assert!(!hold.name().is_empty());
        }
    }

    #[test]
    fn the_same_refusal_means_what_was_asked_for() {
        let limited = error_code("rate_limited").unwrap();
        assert_eq!(Hold::of_error(limited, Asked::Account), Some(Hold::SignIns));
        assert_eq!(Hold::of_error(limited, Asked::Room), Some(Hold::MessageRate));
        assert_eq!(Hold::of_error(limited, Asked::Socket), Some(Hold::MessageRate));
        let overloaded = error_code("overloaded").unwrap();
        assert_eq!(Hold::of_error(overloaded, Asked::Account), Some(Hold::PasswordHashes));
        assert_eq!(Hold::of_error(overloaded, Asked::Socket), Some(Hold::WriterQueue));
        assert_eq!(error_code("of_tomorrow"), None);
    }

    #[test]
    fn close_codes_name_their_bounds() {
        assert_eq!(Hold::of_close(1013), Hold::Connections);
        assert_eq!(Hold::of_close(4409), Hold::ConnectionsPerUser);
        assert_eq!(Hold::of_close(4408), Hold::Stalled);
        assert_eq!(Hold::of_close(4999), Hold::Fault);
    }

    #[test]
    fn what_is_met_and_waited_for_adds_up() {
        let mut holds = Holds::default();
        holds.met(Hold::SignIns);
        holds.met(Hold::SignIns);
        holds.waited(Hold::SignIns, Duration::from_secs(6));
        let held = Held { times: 2, waited: Duration::from_secs(6) };
        assert_eq!(holds.iter().collect::<Vec<_>>(), [(Hold::SignIns, held)]);
    }
}

//! Numbers that name things. Every one stays below 2^53, so that it survives a JavaScript client.

use std::fmt;

use super::Slug;

/// Ids, seqs and counts are below this: 2^53, where a JavaScript number stops being exact.
pub const SAFE_INTEGER_END: u64 = 1 << 53;

/// Milliseconds since the Unix epoch, UTC.
pub type Millis = u64;

/// A position in a room's log. The first event has 1; 0 means "before everything".
pub type Seq = u64;

/// Why a number is not an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an integer from 1 to 9007199254740991")]
pub struct IdError;

/// An account's number. Never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserId(u64);

/// A room's number. Never reused, not even after the room is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoomId(u64);

macro_rules! numeric_id {
    ($name:ident) => {
        impl $name {
            /// # Errors
            /// When `value` is 0 or not below 2^53.
            pub fn new(value: u64) -> Result<Self, IdError> {
                if value == 0 || value >= SAFE_INTEGER_END { Err(IdError) } else { Ok(Self(value)) }
            }

            #[must_use]
            pub fn get(self) -> u64 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

numeric_id!(UserId);
numeric_id!(RoomId);

/// What a URL says in place of `{room}`: an id (all digits) or a slug.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RoomRef {
    Id(RoomId),
    Slug(Slug),
}

impl RoomRef {
    /// `None` when no room can have this name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return RoomId::new(text.parse().ok()?).ok().map(Self::Id);
        }
        Slug::parse(text).ok().map(Self::Slug)
    }
}

/// 128 random bits that name one sign-in; written as 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub u128);

/// 128 random bits that name one database, for ever; written as 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LogId(pub u128);

macro_rules! hex_id {
    ($name:ident) => {
        impl $name {
            /// `None` unless `text` is exactly 32 lower-case hexadecimal digits.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                let lower_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
                if text.len() != 32 || !text.bytes().all(lower_hex) {
                    return None;
                }
                u128::from_str_radix(text, 16).ok().map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:032x}", self.0)
            }
        }
    };
}

hex_id!(SessionId);
hex_id!(LogId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_positive_and_below_two_to_the_53() {
        assert_eq!(UserId::new(0), Err(IdError));
        assert_eq!(RoomId::new(SAFE_INTEGER_END), Err(IdError));
        assert_eq!(RoomId::new(SAFE_INTEGER_END - 1).map(RoomId::get), Ok(SAFE_INTEGER_END - 1));
    }

    #[test]
    fn hex_ids_round_trip_and_refuse_everything_else() {
        let id = SessionId(0xabc);
        assert_eq!(id.to_string(), "00000000000000000000000000000abc");
        assert_eq!(SessionId::parse(&id.to_string()), Some(id));
        for bad in ["", "abc", "+0000000000000000000000000000abc", &"A".repeat(32), &"0".repeat(33)]
        {
            assert_eq!(SessionId::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_room_reference_is_an_id_or_a_slug() {
        assert_eq!(RoomRef::parse("7"), RoomId::new(7).ok().map(RoomRef::Id));
        assert_eq!(RoomRef::parse("a-7"), Slug::parse("a-7").ok().map(RoomRef::Slug));
        for bad in ["", "0", "99999999999999999999", "Upper", "a b", "ü"] {
            assert_eq!(RoomRef::parse(bad), None, "{bad}");
        }
    }
}

//! Text that people write, valid once built. Kept byte for byte: never trimmed or rewritten.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

use super::limits;

/// The rule that a text breaks. Its `Display` is a sentence without its subject, the field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    #[error("must not be empty")]
    Empty,
    #[error("must have {} to {} characters", .0.start(), .0.end())]
    Characters(RangeInclusive<usize>),
    #[error("must have at most {0} bytes")]
    TooManyBytes(usize),
    #[error("must not contain control characters other than newline and tab")]
    Control,
    #[error("may contain only ASCII letters, digits, '_', '-' and '.'")]
    UsernameAlphabet,
    #[error("may contain only a-z, 0-9 and '-'")]
    SlugAlphabet,
    #[error("must not be all digits")]
    AllDigits,
}

fn no_control(text: &str) -> Result<(), TextError> {
    let refused = |byte: u8| (byte < 0x20 && byte != b'\n' && byte != b'\t') || byte == 0x7f;
    if text.bytes().any(refused) { Err(TextError::Control) } else { Ok(()) }
}

fn characters(text: &str, range: RangeInclusive<usize>) -> Result<(), TextError> {
    // A text of more bytes than four for each allowed character is too long without counting.
    let too_long = text.len() > range.end().saturating_mul(4);
    if too_long || !range.contains(&text.chars().count()) {
        return Err(TextError::Characters(range));
    }
    Ok(())
}

fn bytes(text: &str, max: usize) -> Result<(), TextError> {
    match text.len() {
        0 => Err(TextError::Empty),
        len if len > max => Err(TextError::TooManyBytes(max)),
        _ => Ok(()),
    }
}

macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// For text that this process validated before it stored it.
            #[must_use]
            pub(crate) fn from_stored(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_type! {
    /// 3..=32 of ASCII letters, digits, `_`, `-`, `.`; unique without regard to case.
    Username
}

impl Username {
    /// # Errors
    /// Names the rule that `text` breaks.
    pub fn parse(text: &str) -> Result<Self, TextError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        if !text.bytes().all(allowed) {
            return Err(TextError::UsernameAlphabet);
        }
        characters(text, limits::USERNAME_CHARACTERS)?;
        Ok(Self(text.into()))
    }

    /// The form in which two names are the same name.
    #[must_use]
    pub fn folded(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

text_type! {
    /// 1..=64 characters of any script.
    DisplayName
}

impl DisplayName {
    /// # Errors
    /// Names the rule that `text` breaks.
    pub fn parse(text: &str) -> Result<Self, TextError> {
        characters(text, limits::DISPLAY_NAME_CHARACTERS)?;
        no_control(text)?;
        Ok(Self(text.into()))
    }
}

text_type! {
    /// 1..=80 characters of any script.
    RoomName
}

impl RoomName {
    /// # Errors
    /// Names the rule that `text` breaks.
    pub fn parse(text: &str) -> Result<Self, TextError> {
        characters(text, limits::ROOM_NAME_CHARACTERS)?;
        no_control(text)?;
        Ok(Self(text.into()))
    }
}

text_type! {
    /// A room's name in a URL: 1..=64 of `a-z`, `0-9`, `-`, not all digits.
    Slug
}

impl Slug {
    /// # Errors
    /// Names the rule that `text` breaks.
    pub fn parse(text: &str) -> Result<Self, TextError> {
        let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        if !text.bytes().all(allowed) {
            return Err(TextError::SlugAlphabet);
        }
        characters(text, limits::SLUG_CHARACTERS)?;
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(TextError::AllDigits);
        }
        Ok(Self(text.into()))
    }

    /// The slug that a room's name suggests: its ASCII letters (lower case) and digits, every run
    /// of anything else a single `-`. `None` when nothing usable is left.
    #[must_use]
    pub fn from_name(name: &RoomName) -> Option<Self> {
        let mut slug = String::new();
        for character in name.as_str().chars() {
            if slug.len() >= *limits::SLUG_CHARACTERS.end() {
                break;
            }
            if character.is_ascii_alphanumeric() {
                slug.push(character.to_ascii_lowercase());
            } else if !slug.is_empty() && !slug.ends_with('-') {
                slug.push('-');
            }
        }
        let slug = slug.trim_end_matches('-');
        let has_letter = slug.bytes().any(|byte| byte.is_ascii_lowercase());
        if has_letter { Self::parse(slug).ok() } else { None }
    }

    /// `room-` and six letters, one for each of the six random bytes.
    #[must_use]
    pub fn from_random(random: [u8; 6]) -> Self {
        let letters = random.map(|byte| char::from(b'a' + byte % 26));
        Self(format!("room-{}", letters.iter().collect::<String>()).into())
    }
}

text_type! {
    /// What a message says: 1..=`limits.message_bytes` bytes.
    MessageBody
}

impl MessageBody {
    /// # Errors
    /// Names the rule that `text` breaks; [`TextError::TooManyBytes`] has a code of its own on
    /// the wire.
    pub fn parse(text: &str, max_bytes: usize) -> Result<Self, TextError> {
        bytes(text, max_bytes)?;
        no_control(text)?;
        Ok(Self(text.into()))
    }
}

text_type! {
    /// A client's own id for a message: 1..=64 bytes, unique for its user in one room.
    MessageId
}

impl MessageId {
    /// # Errors
    /// Names the rule that `text` breaks.
    pub fn parse(text: &str) -> Result<Self, TextError> {
        bytes(text, limits::MESSAGE_ID_BYTES)?;
        no_control(text)?;
        Ok(Self(text.into()))
    }
}

/// 8..=128 characters. Neither `Debug` nor `Display` shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Box<str>);

impl Password {
    /// # Errors
    /// Names the rule that `text` breaks.
    pub fn parse(text: &str) -> Result<Self, TextError> {
        characters(text, limits::PASSWORD_CHARACTERS)?;
        no_control(text)?;
        Ok(Self(text.into()))
    }

    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn usernames_keep_their_case_and_fold_for_comparison() {
        let name = Username::parse("Ann.B-c_9").unwrap();
        assert_eq!(name.as_str(), "Ann.B-c_9");
        assert_eq!(name.folded(), "ann.b-c_9");
        for bad in ["", "ab", &"a".repeat(33), "a b c", "äöü", "a\u{0}b", "a/b"] {
            assert!(Username::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn control_characters_are_refused_but_newline_and_tab_are_text() {
        assert_eq!(MessageBody::parse("a\n\tb", 100).unwrap().as_str(), "a\n\tb");
        for bad in ["\u{0}", "a\u{7}", "\u{1f}", "\u{7f}", "a\rb"] {
            assert_eq!(MessageBody::parse(bad, 100), Err(TextError::Control), "{bad:?}");
        }
        assert!(MessageBody::parse("\u{80}", 100).is_ok());
    }

    #[test]
    fn message_bounds_count_bytes() {
        assert_eq!(MessageBody::parse("", 4), Err(TextError::Empty));
        assert!(MessageBody::parse("🦀", 4).is_ok());
        assert_eq!(MessageBody::parse("🦀x", 4), Err(TextError::TooManyBytes(4)));
    }

    #[test]
    fn name_bounds_count_characters() {
        assert!(RoomName::parse(&"🦀".repeat(80)).is_ok());
        assert!(RoomName::parse(&"🦀".repeat(81)).is_err());
        assert!(DisplayName::parse("").is_err());
        assert!(Password::parse("sevench").is_err());
        assert!(Password::parse("eight ch").is_ok());
        assert!(Password::parse(&"p".repeat(129)).is_err());
        assert_eq!(format!("{:?}", Password::parse("hunter2hunter2").unwrap()), "Password(***)");
    }

    #[test]
    fn slugs_from_names() {
        let slug = |name: &str| {
            Slug::from_name(&RoomName::parse(name).unwrap()).map(|slug| slug.as_str().to_owned())
        };
        assert_eq!(slug("General"), Some("general".into()));
        assert_eq!(slug("  Hello,  World! "), Some("hello-world".into()));
        assert_eq!(slug("Über uns"), Some("ber-uns".into()));
        assert_eq!(slug("2026"), None);
        assert_eq!(slug("日本"), None);
        assert_eq!(slug("🦀🦀"), None);
        assert!(Slug::parse("123").is_err());
        assert!(Slug::parse("No").is_err());
    }

    proptest! {
        #[test]
        fn every_suggested_slug_is_a_slug(name in any::<String>(), random in any::<[u8; 6]>()) {
            if let Ok(name) = RoomName::parse(&name)
                && let Some(slug) = Slug::from_name(&name)
            {
                prop_assert_eq!(Slug::parse(slug.as_str()), Ok(slug));
            }
            let slug = Slug::from_random(random);
            prop_assert_eq!(Slug::parse(slug.as_str()), Ok(slug));
        }
    }
}

//! One value as it was written, and how each kind of setting reads it. An error is a sentence
//! without its subject, the key.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

/// What a source said about a key.
#[derive(Clone)]
pub enum Value {
    /// A flag or a variable: text that may mean a number.
    Word(String),
    /// A string of the file.
    Text(String),
    /// An integer of the file. One that does not fit is outside of every range all the same.
    Integer(i128),
    /// A list of strings of the file.
    List(Vec<String>),
    /// Something else of the file: its type, with its article.
    Other(&'static str),
}

impl Value {
    pub fn text(&self) -> Result<&str, String> {
        match self {
            Self::Word(text) | Self::Text(text) => Ok(text),
            Self::Integer(_) => Err("must be a string, not an integer".to_owned()),
            Self::List(_) => Err("must be a string, not an array".to_owned()),
            Self::Other(kind) => Err(format!("must be a string, not {kind}")),
        }
    }

    /// `example`: one or two that are right.
    pub fn address(&self, example: &str) -> Result<SocketAddr, String> {
        let text = self.text()?;
        let rule = format!("must be an IP address and port such as {example}");
        text.parse().map_err(|_| format!("{rule}, not {}", quoted(text)))
    }

    /// Strings; in a flag or a variable they stand between commas.
    pub fn list(&self) -> Result<Vec<&str>, String> {
        match self {
            Self::Word(text) => {
                let items = text.split(',').map(str::trim_ascii);
                Ok(items.filter(|item| !item.is_empty()).collect())
            }
            Self::List(items) => Ok(items.iter().map(String::as_str).collect()),
            Self::Text(_) | Self::Integer(_) | Self::Other(_) => {
                Err("must be an array of strings".to_owned())
            }
        }
    }

    pub fn path(&self) -> Result<PathBuf, String> {
        match self.text()? {
            "" => Err("must not be empty".to_owned()),
            text if text.contains('\0') => Err("must not contain a zero byte".to_owned()),
            text => Ok(PathBuf::from(text)),
        }
    }

    pub fn integer<T: TryFrom<u64>>(&self, range: &RangeInclusive<u64>) -> Result<T, String> {
        let (least, most) = (range.start(), range.end());
        let refused =
            |given: &str| format!("must be an integer from {least} to {most}, not {given}");
        let number: u64 = match self {
            Self::Word(text) => text.parse().map_err(|_| refused(&quoted(text)))?,
            Self::Integer(number) => {
                u64::try_from(*number).map_err(|_| refused(&number.to_string()))?
            }
            Self::Text(text) => return Err(refused(&format!("the string {}", quoted(text)))),
            Self::List(_) => return Err(refused("an array")),
            Self::Other(kind) => return Err(refused(kind)),
        };
        let in_range = if range.contains(&number) { T::try_from(number).ok() } else { None };
        in_range.ok_or_else(|| refused(&number.to_string()))
    }

    pub fn choice<T: Copy>(&self, names: &[(&str, T)]) -> Result<T, String> {
        let text = self.text()?;
        let found = names.iter().find(|(name, _)| *name == text);
        found.map(|(_, choice)| *choice).ok_or_else(|| {
            let names: Vec<_> = names.iter().map(|(name, _)| quoted(name)).collect();
            format!("must be {}, not {}", names.join(" or "), quoted(text))
        })
    }

    pub fn duration(&self, range: &RangeInclusive<Duration>) -> Result<Duration, String> {
        let text = self.text()?;
        let duration = humantime::parse_duration(text).map_err(|error| {
            format!("must be a duration such as \"30d\" or \"12h\", not {}: {error}", quoted(text))
        })?;
        if range.contains(&duration) {
            return Ok(duration);
        }
        let (least, most) = (short_duration(*range.start()), short_duration(*range.end()));
        Err(format!("must be a duration from {least} to {most}, not {}", quoted(text)))
    }
}

/// As one number with its unit, where that says it all: `30d`, `12h`, `90m`.
pub fn short_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if duration.subsec_nanos() == 0 {
        for (unit, length) in [("y", 31_557_600), ("d", 86_400), ("h", 3_600), ("m", 60)] {
            if seconds > 0 && seconds.is_multiple_of(length) {
                return format!("{}{unit}", seconds / length);
            }
        }
    }
    humantime::format_duration(duration).to_string()
}

/// In quotes, escaped, and shortened where it is long.
pub fn quoted(text: &str) -> String {
    const SHOWN: usize = 80;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{:?}...", &text[..end]),
        None => format!("{text:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(text: &str) -> Value {
        Value::Word(text.to_owned())
    }

    #[test]
    fn integers_keep_their_range_and_their_type() {
        let range = 1..=300;
        assert_eq!(word("300").integer::<u32>(&range), Ok(300));
        assert_eq!(Value::Integer(1).integer::<u64>(&range), Ok(1));
        let refused = |value: Value| value.integer::<u32>(&range).unwrap_err();
        assert_eq!(refused(word("0")), "must be an integer from 1 to 300, not 0");
        assert_eq!(refused(word("x")), "must be an integer from 1 to 300, not \"x\"");
        assert!(refused(word("")).ends_with("not \"\""));
        assert!(refused(word("1.5")).ends_with("not \"1.5\""));
        assert!(refused(Value::Integer(-1)).ends_with("not -1"));
        assert!(refused(Value::Integer(301)).ends_with("not 301"));
        assert!(refused(Value::Text("5".into())).ends_with("not the string \"5\""));
        assert!(refused(Value::Other("a boolean")).ends_with("not a boolean"));
        assert!(word("300").integer::<u8>(&range).is_err(), "narrower than its range");
    }

    #[test]
    fn text_is_a_string_and_a_choice_is_one_of_its_names() {
        assert_eq!(Value::Text("a".into()).text(), Ok("a"));
        assert!(Value::Integer(1).text().unwrap_err().ends_with("not an integer"));
        assert!(Value::Other("a table").text().unwrap_err().ends_with("not a table"));
        let names = [("on", true), ("off", false)];
        assert_eq!(word("off").choice(&names), Ok(false));
        let refused = word("On").choice(&names).unwrap_err();
        assert_eq!(refused, "must be \"on\" or \"off\", not \"On\"");
    }

    #[test]
    fn durations_are_read_and_shown_alike() {
        let range = crate::domain::limits::TOKEN_TTL;
        for text in ["1m", "90m", "12h", "30d", "365d", "1y", "1m 1s", "1m 1ns"] {
            let duration = word(text).duration(&range).unwrap();
            assert_eq!(short_duration(duration), text);
        }
        assert_eq!(short_duration(Duration::ZERO), "0s");
        for text in ["59s", "2y", "0s"] {
            let refused = word(text).duration(&range).unwrap_err();
            assert!(refused.starts_with("must be a duration from 1m to 1y, not"), "{refused}");
        }
        for text in ["", "30", "d", "-1d", "99999999999999999999y"] {
            let refused = word(text).duration(&range).unwrap_err();
            assert!(refused.starts_with("must be a duration such as"), "{refused}");
        }
    }

    #[test]
    fn a_long_value_is_shortened_and_escaped() {
        assert_eq!(quoted("a\n"), "\"a\\n\"");
        assert_eq!(quoted(&"é".repeat(81)), format!("\"{}\"...", "é".repeat(80)));
    }
}

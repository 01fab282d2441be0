//! The table of settings. Reading, the default file, `config show` and the help all come from it,
//! so that a new setting is one row here and one field of [`Config`].

use std::fmt;
use std::ops::RangeInclusive;

use tracing_subscriber::EnvFilter;

use crate::domain::limits::{
    ALLOWED_ORIGINS, MESSAGE_BYTES_MAX, TOKEN_TTL, WRITER_QUEUE_MESSAGES_MAX,
};
use crate::domain::{Delivery, WebOrigin};

use super::secret::Secret;
use super::value::{Value, quoted, short_duration};
use super::{Config, LogFormat, Signup};

/// One setting.
#[derive(Debug)]
pub struct Key {
    /// The section, if any, and the key, joined by a dot.
    pub name: &'static str,
    /// One line.
    pub about: &'static str,
    pub form: Form,
    /// The flag that gives it, without dashes.
    pub flag: Option<&'static str>,
    /// Checks a value and keeps it, or says which rule it breaks.
    pub(super) read: fn(&mut Config, &Value) -> Result<(), String>,
    pub(super) show: fn(&Config) -> Shown,
}

/// What a value may be.
#[derive(Debug, Clone)]
pub enum Form {
    Text(&'static str),
    Integer { unit: &'static str, range: RangeInclusive<u64> },
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(form) => f.write_str(form),
            Self::Integer { unit, range } => {
                write!(f, "{unit}, {} to {}", range.start(), range.end())
            }
        }
    }
}

/// A value fit for other eyes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// As TOML writes it.
    Value(String),
    Hidden,
    Unset,
}

impl Key {
    /// The variable that gives it: section and key joined by two underscores.
    #[must_use]
    pub fn environment(&self) -> String {
        format!("PARLOR_{}", self.name.replace('.', "__").to_ascii_uppercase())
    }

    /// The value of a server that is told nothing.
    #[must_use]
    pub fn default(&self) -> Shown {
        (self.show)(&Config::default())
    }

    /// Section, or nothing, and the key within it.
    #[must_use]
    pub fn section(&self) -> (&'static str, &'static str) {
        self.name.split_once('.').unwrap_or(("", self.name))
    }
}

#[must_use]
pub fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;

/// A row whose key is the field of `Limits`.
macro_rules! limit {
    ($field:ident, $range:expr, $unit:literal, $about:literal) => {
        Key {
            name: concat!("limits.", stringify!($field)),
            about: $about,
            form: Form::Integer { unit: $unit, range: $range },
            flag: None,
            read: |config, value| {
                config.limits.$field = value.integer(&$range)?;
                Ok(())
            },
            show: |config| Shown::Value(config.limits.$field.to_string()),
        }
    };
}

const SIGNUP: &[(&str, Signup)] = &[("open", Signup::Open), ("closed", Signup::Closed)];
const DELIVERY: &[(&str, Delivery)] =
    &[("immediate", Delivery::Immediate), ("committed", Delivery::Committed)];
const LOG_FORMAT: &[(&str, LogFormat)] = &[("text", LogFormat::Text), ("json", LogFormat::Json)];

/// Every setting, those of one section together.
pub static KEYS: &[Key] = &[
    Key {
        name: "listen",
        about: "Where to listen for HTTP and WebSocket connections.",
        form: Form::Text("IP address and port; port 0 takes any free one"),
        flag: Some("listen"),
        read: |config, value| {
            config.listen = value.address("127.0.0.1:8080 or [::1]:8080")?;
            Ok(())
        },
        show: |config| string(&config.listen.to_string()),
    },
    Key {
        name: "data",
        about: "The directory that holds the database. It is made if it does not exist.",
        form: Form::Text("path, relative to the working directory"),
        flag: Some("data"),
        read: |config, value| {
            config.data = value.path()?;
            Ok(())
        },
        show: |config| string(&config.data.to_string_lossy()),
    },
    Key {
        name: "public_url",
        about: "Where browsers find the server, if not as their Host header says: behind a proxy.",
        form: Form::Text("http or https, a host, perhaps a port, and no path"),
        flag: None,
        read: |config, value| {
            config.public_url = Some(origin(value.text()?)?);
            Ok(())
        },
        show: |config| match &config.public_url {
            Some(url) => string(&url.to_string()),
            None => Shown::Unset,
        },
    },
    Key {
        name: "allowed_origins",
        about: "Origins such as https://app.example.com whose pages may call the API with a token.",
        form: Form::Text("array of strings; with commas in a variable"),
        flag: None,
        read: |config, value| {
            let origins = value.list()?;
            if origins.len() > ALLOWED_ORIGINS {
                return Err(format!("must list at most {ALLOWED_ORIGINS}, not {}", origins.len()));
            }
            let origins: Result<_, _> = origins.into_iter().map(origin).collect();
            config.allowed_origins = origins?;
            Ok(())
        },
        show: |config| {
            let origins = config.allowed_origins.iter().map(ToString::to_string);
            Shown::Value(toml::Value::from(origins.collect::<Vec<_>>()).to_string())
        },
    },
    Key {
        name: "auth.signup",
        about: "Who may make an account: anyone (open) or nobody any more (closed).",
        form: Form::Text("\"open\" or \"closed\""),
        flag: None,
        read: |config, value| {
            config.auth.signup = value.choice(SIGNUP)?;
            Ok(())
        },
        show: |config| string(name_of(config.auth.signup, SIGNUP)),
    },
    Key {
        name: "auth.token_ttl",
        about: "How long a sign-in lasts unless it is refreshed.",
        form: Form::Text("duration such as \"30d\" or \"12h\", 1m to 1y"),
        flag: None,
        read: |config, value| {
            config.auth.token_ttl = value.duration(&TOKEN_TTL)?;
            Ok(())
        },
        show: |config| string(&short_duration(config.auth.token_ttl)),
    },
    Key {
        name: "auth.secret",
        about: "The secret that signs tokens. Without one, the database makes and keeps its own.",
        form: Form::Text("32 to 1024 bytes"),
        flag: None,
        read: |config, value| {
            config.auth.secret = Some(Secret::new(value.text()?.as_bytes().to_vec())?);
            Ok(())
        },
        show: |config| match &config.auth.secret {
            Some(secret) if secret.file().is_none() => Shown::Hidden,
            _ => Shown::Unset,
        },
    },
    Key {
        name: "auth.secret_file",
        about: "A file that holds the secret, in place of auth.secret; a last newline is left out.",
        form: Form::Text("path, relative to the working directory"),
        flag: None,
        read: |config, value| {
            config.auth.secret = Some(Secret::read(&value.path()?)?);
            Ok(())
        },
        show: |config| match config.auth.secret.as_ref().and_then(Secret::file) {
            Some(file) => string(&file.to_string_lossy()),
            None => Shown::Unset,
        },
    },
    Key {
        name: "rooms.delivery",
        about: "When a new room hears a message: at once, or once it is on disk. A room can ask.",
        form: Form::Text("\"immediate\" or \"committed\""),
        flag: None,
        read: |config, value| {
            config.rooms.delivery = value.choice(DELIVERY)?;
            Ok(())
        },
        show: |config| string(name_of(config.rooms.delivery, DELIVERY)),
    },
    Key {
        name: "log.format",
        about: "How log lines are written to standard error.",
        form: Form::Text("\"text\" or \"json\""),
        flag: None,
        read: |config, value| {
            config.log.format = value.choice(LOG_FORMAT)?;
            Ok(())
        },
        show: |config| string(name_of(config.log.format, LOG_FORMAT)),
    },
    Key {
        name: "log.filter",
        about: "What is logged: a level, or levels by module.",
        form: Form::Text("directives such as \"info\" or \"warn,parlor=debug\""),
        flag: None,
        read: |config, value| {
            let text = value.text()?;
            EnvFilter::try_new(text).map_err(|error| {
                format!("must be log directives, not {}: {error}", quoted(text))
            })?;
            text.clone_into(&mut config.log.filter);
            Ok(())
        },
        show: |config| string(&config.log.filter),
    },
    Key {
        name: "metrics.listen",
        about: "Where to serve metrics, at /metrics. Whoever can reach it can read them.",
        form: Form::Text("IP address and port, or \"off\"; port 0 takes any free one"),
        flag: Some("metrics-listen"),
        read: |config, value| {
            config.metrics.listen = match value.text()? {
                "off" => None,
                _ => Some(value.address("127.0.0.1:9480, or \"off\"")?),
            };
            Ok(())
        },
        show: |config| match config.metrics.listen {
            Some(addr) => string(&addr.to_string()),
            None => string("off"),
        },
    },
    limit!(message_bytes, 1..=MESSAGE_BYTES_MAX as u64, "bytes", "One message's text."),
    limit!(
        frame_bytes,
        1..=MIB,
        "bytes",
        "One WebSocket message from a client; at least 256 more than message_bytes."
    ),
    limit!(rooms_per_connection, 1..=65_536, "rooms", "Rooms that one connection may be in."),
    limit!(
        connections_per_user,
        1..=100_000,
        "connections",
        "WebSockets and event streams of one user; the oldest is closed for one more."
    ),
    limit!(
        connections,
        1..=1_000_000,
        "connections",
        "WebSockets and event streams of the process."
    ),
    limit!(
        messages_per_second,
        0..=1_000_000,
        "messages a second, 0 for no limit",
        "Messages of one user."
    ),
    limit!(
        message_burst,
        1..=1_000_000,
        "messages",
        "Messages that a user may send at once after a pause."
    ),
    limit!(
        sign_ins_per_minute,
        0..=1_000_000,
        "attempts a minute, 0 for no limit",
        "Sign-ins, sign-ups and whatever else takes a password, of one address."
    ),
    limit!(
        unacknowledged,
        1..=1_024,
        "messages",
        "Uncommitted messages of one connection; then the server stops reading from it."
    ),
    limit!(
        writer_queue_messages,
        1..=WRITER_QUEUE_MESSAGES_MAX as u64,
        "messages",
        "Messages that wait for the disk; more than unacknowledged."
    ),
    limit!(
        writer_queue_bytes,
        1..=4 * GIB,
        "bytes",
        "Bytes of messages that wait for the disk; at least unacknowledged times message_bytes."
    ),
    limit!(
        waiting_bytes,
        64 * KIB..=64 * MIB,
        "bytes",
        "Waiting for one connection; past it, the connection catches up from the log."
    ),
    limit!(
        waiting_bytes_total,
        64 * KIB..=64 * GIB,
        "bytes",
        "Waiting for all connections; at least waiting_bytes."
    ),
    limit!(
        partial_input_bytes,
        1..=64 * GIB,
        "bytes",
        "Unfinished WebSocket messages of all connections; at least frame_bytes."
    ),
    limit!(cache_bytes, MIB..=1024 * GIB, "bytes", "The database's cache."),
    limit!(heartbeat_seconds, 1..=3_600, "seconds", "Between two pings of a quiet connection."),
    limit!(
        write_stall_seconds,
        1..=3_600,
        "seconds",
        "Within which a socket must take something of what waits for it."
    ),
    limit!(
        storage_patience_seconds,
        1..=86_400,
        "seconds",
        "For which storage may fail; then the process gives up and ends."
    ),
];

/// As TOML writes a string.
fn string(text: &str) -> Shown {
    Shown::Value(toml::Value::from(text).to_string())
}

/// An address as people copy it from a browser may end with a slash.
fn origin(text: &str) -> Result<WebOrigin, String> {
    let rule = "must be like https://chat.example.org or http://192.168.1.5:8080, without a path";
    let hint = match text {
        text if !text.is_ascii() => ", its name as browsers send it, beginning with xn--",
        text if is_short_address(text) => ", an IPv4 address as four numbers",
        _ => "",
    };
    let origin = WebOrigin::parse(text.strip_suffix('/').unwrap_or(text));
    origin.ok_or_else(|| format!("{rule}{hint}, not {}", quoted(text)))
}

/// Whether its host is something like `127.1`.
fn is_short_address(text: &str) -> bool {
    let host = text.split("://").nth(1).unwrap_or_default();
    let host = host.split([':', '/']).next().unwrap_or_default();
    let is_number = host.rsplit('.').next().is_some_and(|last| last.parse::<u32>().is_ok());
    is_number && host.parse::<std::net::Ipv4Addr>().is_err()
}

fn name_of<T: Copy + PartialEq>(choice: T, names: &[(&'static str, T)]) -> &'static str {
    names.iter().find(|(_, named)| *named == choice).map_or("", |(name, _)| name)
}

#[cfg(test)]
#[path = "keys_tests.rs"]
mod tests;

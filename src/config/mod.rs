//! The configuration: flags over environment over a file over defaults, in two stages. `raw`
//! gathers what each source said; [`load`] makes that a [`Config`], or tells all faults at once.

mod fault;
mod keys;
mod raw;
mod render;
mod secret;
mod value;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::domain::limits::FRAME_SPARE_BYTES;
use crate::domain::{Delivery, Limits, WebOrigin};

pub use fault::{Fault, Faults, Origin};
pub use keys::{Form, KEYS, Key, Shown, find};
pub use raw::{FILE_FLAG, FILE_VARIABLE};
pub use render::default_file;
pub use secret::Secret;

use raw::Raw;

/// All settings, valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Port 0 takes any free one.
    pub listen: SocketAddr,
    /// The directory that holds the database.
    pub data: PathBuf,
    /// Under which browsers find the server, where a proxy or a name hides it.
    pub public_url: Option<WebOrigin>,
    /// Pages of other servers that may call the API with a token.
    pub allowed_origins: Vec<WebOrigin>,
    pub auth: AuthConfig,
    pub rooms: RoomsConfig,
    pub log: LogConfig,
    pub metrics: MetricsConfig,
    pub limits: Limits,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthConfig {
    pub signup: Signup,
    /// How long a sign-in lasts.
    pub token_ttl: Duration,
    /// Signs tokens; without one, the database's own does.
    pub secret: Option<Secret>,
}

/// Who may make an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signup {
    Open,
    Closed,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomsConfig {
    /// Of new rooms that do not say theirs.
    pub delivery: Delivery,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    pub format: LogFormat,
    /// Directives of `tracing_subscriber::EnvFilter`.
    pub filter: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetricsConfig {
    /// Where the page of metrics is served; `None`: nowhere.
    pub listen: Option<SocketAddr>,
}

impl MetricsConfig {
    /// Whether a start without the page is better than none: nobody asked for this address, and
    /// another server on this machine may well have it.
    #[must_use]
    pub fn may_be_taken(self) -> bool {
        self == Self::default()
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            data: PathBuf::from("data"),
            public_url: None,
            allowed_origins: Vec::new(),
            auth: AuthConfig::default(),
            rooms: RoomsConfig::default(),
            log: LogConfig::default(),
            metrics: MetricsConfig::default(),
            limits: Limits::default(),
        }
    }
}

impl Default for AuthConfig {
    fn default() -> Self {
        let token_ttl = Duration::from_hours(30 * 24);
        Self { signup: Signup::Open, token_ttl, secret: None }
    }
}

impl Default for RoomsConfig {
    fn default() -> Self {
        Self { delivery: Delivery::Immediate }
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { format: LogFormat::Text, filter: "info".to_owned() }
    }
}

impl Default for MetricsConfig {
    fn default() -> Self {
        Self { listen: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 9480))) }
    }
}

/// What the command line says about settings.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// The file to read. No file is read unless it is named.
    pub config: Option<PathBuf>,
    /// Flag, as a row of [`KEYS`] names it, and value.
    pub values: Vec<(&'static str, String)>,
}

/// A valid configuration, and who said what.
#[derive(Debug, Clone)]
pub struct Effective {
    pub config: Config,
    /// The file that was read, if one was named.
    pub file: Option<PathBuf>,
    origins: BTreeMap<&'static str, Origin>,
}

impl Effective {
    /// Where the value of the key called `name` is from.
    #[must_use]
    pub fn origin(&self, name: &str) -> &Origin {
        self.origins.get(name).unwrap_or(&Origin::Default)
    }
}

/// Reads and checks everything that the file, the variables `PARLOR_*` of `env` and the flags say,
/// also what a source of higher precedence overrides.
///
/// # Errors
/// With all faults of all sources.
pub fn load(
    flags: &Flags,
    env: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Effective, Faults> {
    let mut raw = raw::gather(flags, env);
    let mut config = Config::default();
    let mut origins = BTreeMap::new();
    let mut refused = Vec::new();
    for given in &raw.given {
        let (key, origin) = (given.key, given.origin.clone());
        match (key.read)(&mut config, &given.value) {
            Ok(()) => {
                origins.insert(key.name, origin);
            }
            Err(rule) => {
                refused.push(key.name);
                raw.faults.push(Fault { origin, message: format!("{} {rule}", key.name) });
            }
        }
    }
    let relations = one_secret(&raw).into_iter().chain(limits_agree(&config, &raw, &refused));
    let faults: Vec<_> = relations.collect();
    raw.faults.extend(faults);
    match Faults::gathered(raw.faults) {
        Some(faults) => Err(faults),
        None => Ok(Effective { config, file: raw.file, origins }),
    }
}

/// A secret is given itself or by its file: with both, one of them would be ignored unseen.
fn one_secret(raw: &Raw) -> Option<Fault> {
    let direct = raw.last("auth.secret")?;
    let origin = raw.last("auth.secret_file")?.origin.clone();
    let other = &direct.origin;
    let message = format!("auth.secret_file must not be given with auth.secret ({other})");
    Some(Fault { origin, message })
}

/// Limits that make sense only together. A value that is itself at fault, or that an unreadable
/// file may have changed, is not compared.
fn limits_agree(config: &Config, raw: &Raw, refused: &[&str]) -> Vec<Fault> {
    let limits = &config.limits;
    // The last two so that no connection can fill the writer's queue alone.
    let at_least: [(_, _, &[&str], _); 5] = [
        (
            ("limits.frame_bytes", limits.frame_bytes),
            FRAME_SPARE_BYTES,
            &["limits.message_bytes"],
            limits.message_bytes,
        ),
        (
            ("limits.partial_input_bytes", limits.partial_input_bytes),
            0,
            &["limits.frame_bytes"],
            limits.frame_bytes,
        ),
        (
            ("limits.waiting_bytes_total", limits.waiting_bytes_total),
            0,
            &["limits.waiting_bytes"],
            limits.waiting_bytes,
        ),
        (
            ("limits.writer_queue_messages", limits.writer_queue_messages),
            1,
            &["limits.unacknowledged"],
            limits.unacknowledged,
        ),
        (
            ("limits.writer_queue_bytes", limits.writer_queue_bytes),
            0,
            &["limits.unacknowledged", "limits.message_bytes"],
            limits.unacknowledged * limits.message_bytes,
        ),
    ];
    let mut faults = Vec::new();
    for ((name, value), spare, smaller_names, smaller) in at_least {
        let names = || smaller_names.iter().chain([&name]);
        let comparable = !raw.file_unread && !names().any(|name| refused.contains(name));
        if comparable && value < smaller.saturating_add(spare) {
            // One of them was given, since the defaults agree.
            let given = raw.last(name).or_else(|| names().find_map(|name| raw.last(name)));
            let origin = given.map_or(Origin::Default, |given| given.origin.clone());
            let more = if spare == 0 { String::new() } else { format!("{spare} more than ") };
            let smaller_name = smaller_names.join(" times ");
            let rule = format!("must be at least {more}{smaller_name}, which is {smaller}");
            faults.push(Fault { origin, message: format!("{name} {rule}, not {value}") });
        }
    }
    faults
}

impl Raw {
    /// What the source of highest precedence said about a key.
    fn last(&self, name: &str) -> Option<&raw::Given> {
        self.given.iter().rev().find(|given| given.key.name == name)
    }
}

#[cfg(test)]
mod tests;

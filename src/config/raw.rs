//! Gathers what the file, the environment and the flags said, as (key, value, origin). What no
//! setting is called is a fault; whether a value is valid is not asked here.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::domain::limits::CONFIG_FILE_BYTES;

use super::Flags;
use super::fault::{Fault, Origin};
use super::keys::{KEYS, Key, find};
use super::value::{Value, quoted};

/// The variable that names the file.
pub const FILE_VARIABLE: &str = "PARLOR_CONFIG";
/// The flag that names the file.
pub const FILE_FLAG: &str = "config";

/// One key's value by one source.
pub struct Given {
    pub key: &'static Key,
    pub value: Value,
    pub origin: Origin,
}

/// What all sources said, by rising precedence.
#[derive(Default)]
pub struct Raw {
    pub given: Vec<Given>,
    pub faults: Vec<Fault>,
    /// The file that was named.
    pub file: Option<PathBuf>,
    /// A file was named but could not be read or parsed: what it says is unknown.
    pub file_unread: bool,
}

pub fn gather(flags: &Flags, env: impl IntoIterator<Item = (OsString, OsString)>) -> Raw {
    let ours = |name: &OsString| name.as_encoded_bytes().starts_with(b"PARLOR_");
    let mut env: BTreeMap<_, _> = env.into_iter().filter(|(name, _)| ours(name)).collect();

    let mut raw = Raw::default();
    let by_variable = env.remove(&OsString::from(FILE_VARIABLE)).map(PathBuf::from);
    if let Some(path) = &flags.config {
        raw.file(path, &Origin::Flag(FILE_FLAG));
    } else if let Some(path) = by_variable {
        raw.file(&path, &Origin::Environment(FILE_VARIABLE.to_owned()));
    }
    for (name, value) in env {
        raw.variable(&name.to_string_lossy(), value);
    }
    for (name, value) in &flags.values {
        if let Some(key) = KEYS.iter().find(|key| key.flag == Some(*name)) {
            let value = Value::Word(value.clone());
            raw.given.push(Given { key, value, origin: Origin::Flag(name) });
        }
    }
    raw
}

impl Raw {
    fn fault(&mut self, origin: Origin, message: impl Into<String>) {
        self.faults.push(Fault { origin, message: message.into() });
    }

    fn variable(&mut self, name: &str, value: OsString) {
        let origin = Origin::Environment(name.to_owned());
        let Some(key) = KEYS.iter().find(|key| key.environment() == name) else {
            return self.fault(origin, "is no setting of this name");
        };
        match value.into_string() {
            Ok(value) => self.given.push(Given { key, value: Value::Word(value), origin }),
            Err(_) => self.fault(origin, format!("{} must be UTF-8", key.name)),
        }
    }

    /// `named_by` is to blame when the file cannot be read.
    fn file(&mut self, path: &Path, named_by: &Origin) {
        self.file = Some(path.to_owned());
        self.file_unread = true;
        let bytes = match read_bounded(path, CONFIG_FILE_BYTES) {
            Ok(bytes) => bytes,
            Err(reason) => return self.fault(named_by.clone(), reason),
        };
        let path: Arc<Path> = path.into();
        let text = match std::str::from_utf8(&bytes) {
            Ok(text) => text,
            Err(error) => {
                let (line, column) = position(&bytes, error.valid_up_to());
                let origin = Origin::File { path, line };
                return self.fault(origin, format!("is not UTF-8 text, at column {column}"));
            }
        };
        match DeTable::parse(text) {
            Ok(table) => {
                self.file_unread = false;
                self.table("", table.get_ref(), &Lines::new(path, text));
            }
            Err(error) => {
                // Only its message: the whole error quotes the line, which may hold a secret.
                let offset = error.span().map_or(text.len(), |span| span.start);
                let (line, column) = position(&bytes, offset);
                let message = format!("is not TOML, at column {column}: {}", error.message());
                self.fault(Origin::File { path, line }, message);
            }
        }
    }

    fn table(&mut self, section: &str, table: &DeTable<'_>, file: &Lines) {
        for (key, value) in table {
            let origin = file.origin(key.span().start);
            let separator = if section.is_empty() { "" } else { "." };
            let name = format!("{section}{separator}{}", key.get_ref());
            // A quoted key may itself hold a dot, and then it names nothing.
            let known = if key.get_ref().contains('.') { None } else { find(&name) };
            if let Some(key) = known {
                self.given.push(Given { key, value: read_value(value), origin });
            } else if section.is_empty() && KEYS.iter().any(|key| key.section().0 == name) {
                match value.get_ref() {
                    DeValue::Table(table) => self.table(&name, table, file),
                    other => {
                        let kind = kind(other);
                        self.fault(origin, format!("{name} must be a table, not {kind}"));
                    }
                }
            } else {
                self.fault(origin, format!("{} is no setting", quoted(&name)));
            }
        }
    }
}

/// Where each line of a file ends, so that a key's line is found without counting from the start.
struct Lines {
    path: Arc<Path>,
    ends: Vec<usize>,
}

impl Lines {
    fn new(path: Arc<Path>, text: &str) -> Self {
        Self { path, ends: text.match_indices('\n').map(|(end, _)| end).collect() }
    }

    fn origin(&self, offset: usize) -> Origin {
        let line = self.ends.partition_point(|end| *end < offset) + 1;
        Origin::File { path: self.path.clone(), line }
    }
}

fn read_value(value: &Spanned<DeValue<'_>>) -> Value {
    match value.get_ref() {
        DeValue::String(text) => Value::Text(text.clone().into_owned()),
        DeValue::Integer(number) => {
            let number = i128::from_str_radix(number.as_str(), number.radix());
            Value::Integer(number.unwrap_or(i128::MAX))
        }
        DeValue::Array(items) => {
            let strings = items.iter().map(|item| item.get_ref().as_str().map(str::to_owned));
            strings.collect::<Option<_>>().map_or(Value::Other("an array"), Value::List)
        }
        other => Value::Other(kind(other)),
    }
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}

/// Line and column of a byte, both from 1; a column counts characters.
fn position(bytes: &[u8], offset: usize) -> (usize, usize) {
    let before = &bytes[..offset.min(bytes.len())];
    let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let line = before.split(|byte| *byte == b'\n').count();
    let column = String::from_utf8_lossy(&before[line_start..]).chars().count() + 1;
    (line, column)
}

/// The whole file, if it has at most `most` bytes.
///
/// # Errors
/// With the path and the reason, as a sentence without its subject.
pub fn read_bounded(path: &Path, most: usize) -> Result<Vec<u8>, String> {
    let name = quoted(&path.to_string_lossy());
    let read = |file: File| {
        let mut bytes = Vec::new();
        file.take(most as u64 + 1).read_to_end(&mut bytes).map(|_| bytes)
    };
    let bytes = File::open(path)
        .and_then(read)
        .map_err(|error| format!("names {name}, which cannot be read: {error}"))?;
    if bytes.len() > most {
        return Err(format!("names {name}, which has more than {most} bytes"));
    }
    Ok(bytes)
}

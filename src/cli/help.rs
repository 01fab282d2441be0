//! Help texts made from the table of settings.

use std::fmt::Write;

use crate::config::{FILE_FLAG, FILE_VARIABLE, KEYS, Key, Shown, find};

pub const PRECEDENCE: &str = "\
Settings come from flags, else from environment variables PARLOR_*, else from the file that --config
or PARLOR_CONFIG names, else from defaults. `parlor config default` explains them all.";

/// For commands that take no settings themselves: those with a flag, and where the rest is told.
pub fn summary() -> String {
    let mut out = format!("{PRECEDENCE}\n");
    for (key, flag) in KEYS.iter().filter_map(|key| Some((key, key.flag?))) {
        // Writing to a string cannot fail.
        let _ = write!(out, "\n  --{flag}, {} [default: {}]", key.environment(), default(key));
    }
    let _ = write!(out, "\n  --{FILE_FLAG}, {FILE_VARIABLE} [default: none is read]");
    out + "\n\n`parlor serve --help` lists all settings with their variables and defaults."
}

/// The help of a flag that gives the setting called `name`.
pub fn flag(name: &str) -> String {
    let Some(key) = find(name) else { return String::new() };
    let about = key.about.trim_end_matches('.');
    let default = default(key);
    format!("{about} ({}) [env: {}] [default: {default}]", key.form, key.environment())
}

pub fn file_flag() -> String {
    format!("A TOML file with settings [env: {FILE_VARIABLE}] [default: none is read]")
}

/// Every setting: its key in the file, its variable, its form and its default.
pub fn settings() -> String {
    let mut out = format!("{PRECEDENCE}\n\nSettings, as a file names them:\n");
    for key in KEYS {
        let default = default(key);
        // Writing to a string cannot fail.
        let _ = write!(
            out,
            "\n  {}\n    {}\n    {} [env: {}] [default: {default}]\n",
            key.name,
            key.about,
            key.form,
            key.environment()
        );
    }
    out
}

fn default(key: &Key) -> String {
    match key.default() {
        Shown::Value(value) => value.trim_matches('"').to_owned(),
        Shown::Hidden | Shown::Unset => "none".to_owned(),
    }
}

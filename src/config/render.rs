//! Writes settings as TOML: the default file, and what is in effect.

use std::fmt::Write;

use super::Effective;
use super::keys::{KEYS, Key, Shown};

const DEFAULT_FILE_HEAD: &str = "\
# Parlor's configuration: every setting with its default.
#
# It is read when --config or PARLOR_CONFIG names it. What it leaves out has its default. Flags win
# over environment variables, and these over this file. A variable's name is PARLOR_, the section
# and the key, the last two joined by two underscores; each is named below.
";

/// Every setting, explained, with its default. It parses to the defaults.
#[must_use]
pub fn default_file() -> String {
    let mut out = DEFAULT_FILE_HEAD.to_owned();
    for (section, keys) in sections() {
        if !section.is_empty() {
            line(&mut out, format_args!("\n[{section}]"));
        }
        for key in keys {
            let (_, name) = key.section();
            line(&mut out, format_args!("\n# {}", key.about));
            line(&mut out, format_args!("# {}. Variable: {}", capital(key), key.environment()));
            match key.default() {
                Shown::Value(value) => line(&mut out, format_args!("{name} = {value}")),
                Shown::Hidden | Shown::Unset => line(&mut out, format_args!("# {name} = \"\"")),
            }
        }
    }
    out
}

impl Effective {
    /// The effective settings as TOML, secrets hidden, each with its origin as a comment.
    #[must_use]
    pub fn show(&self) -> String {
        let mut out = String::new();
        for (section, keys) in sections() {
            if !section.is_empty() {
                line(&mut out, format_args!("\n[{section}]"));
            }
            for key in keys {
                let (_, name) = key.section();
                let origin = self.origin(key.name);
                match (key.show)(&self.config) {
                    Shown::Value(value) => {
                        line(&mut out, format_args!("{name} = {value} # {origin}"));
                    }
                    Shown::Hidden => line(&mut out, format_args!("{name} = \"***\" # {origin}")),
                    Shown::Unset => line(&mut out, format_args!("# {name} is not set")),
                }
            }
        }
        out
    }
}

fn sections() -> impl Iterator<Item = (&'static str, &'static [Key])> {
    KEYS.chunk_by(|a, b| a.section().0 == b.section().0).map(|keys| (keys[0].section().0, keys))
}

/// Writing to a string cannot fail.
fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = writeln!(out, "{text}");
}

/// The form of a value, as the beginning of a sentence.
fn capital(key: &Key) -> String {
    let form = key.form.to_string();
    let mut characters = form.chars();
    characters.next().map_or_else(String::new, |first| {
        format!("{}{}", first.to_ascii_uppercase(), characters.as_str())
    })
}

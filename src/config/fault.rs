//! Where a setting came from, and everything that is wrong with a configuration.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// Who said it. The order is that of precedence: a later one wins.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    Default,
    /// `line` counts from 1.
    File {
        path: Arc<Path>,
        line: usize,
    },
    /// The variable's name.
    Environment(String),
    /// The flag's name without its dashes.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => {
                write!(f, "{} line {line}", one_line(&path.to_string_lossy()))
            }
            Self::Environment(name) => write!(f, "environment {}", one_line(name)),
            Self::Flag(name) => write!(f, "flag --{name}"),
        }
    }
}

/// One thing that is wrong. It never holds the value of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub origin: Origin,
    /// What is wrong, as a sentence.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.origin, one_line(&self.message))
    }
}

/// Everything that is wrong with a configuration, at least one fault: the file's by line, then
/// the environment's, then the flags'. `Display` gives each its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// Sorts what was found; `None` when there is nothing.
    pub(super) fn gathered(mut faults: Vec<Fault>) -> Option<Self> {
        faults.sort_by(|a, b| a.origin.cmp(&b.origin));
        if faults.is_empty() { None } else { Some(Self(faults)) }
    }

    #[must_use]
    pub fn list(&self) -> &[Fault] {
        &self.0
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

/// Text from outside, fit for one line of a terminal or a comment.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_sorted_by_origin_and_each_is_one_line() {
        let file = |line| Origin::File { path: Path::new("a\nb.toml").into(), line };
        let fault = |origin, message: &str| Fault { origin, message: message.to_owned() };
        let faults = Faults::gathered(vec![
            fault(Origin::Flag("listen"), "x"),
            fault(Origin::Environment("PARLOR_\u{1b}[31m".to_owned()), "y\nz"),
            fault(file(10), "w"),
            fault(file(9), "v"),
        ])
        .unwrap();
        let lines = "a\u{fffd}b.toml line 9: v\na\u{fffd}b.toml line 10: w\n\
            environment PARLOR_\u{fffd}[31m: y\u{fffd}z\nflag --listen: x";
        assert_eq!(faults.to_string(), lines);
        assert_eq!(faults.list().len(), 4);
        assert!(Faults::gathered(Vec::new()).is_none());
    }
}

//! What a benchmark that goes through works is to do.

use std::path::{Path, PathBuf};

use super::arguments::Arguments;
use super::task::is_chosen;
use crate::Failure;

pub struct Plan {
    /// Of each work, whose medians are taken.
    pub turns: usize,
    /// Of sending, in each turn of each work.
    pub seconds: u64,
    /// With commas between them; all, where none is named.
    works: String,
    pub json: PathBuf,
}

impl Plan {
    /// One turn of each work.
    pub fn new(benchmark: &str, seconds: u64) -> Self {
        Self { turns: 1, seconds, works: String::new(), json: place(benchmark, "json") }
    }

    /// Takes an argument, with its value; `false`: it says nothing of this.
    pub fn take(&mut self, name: &str, value: &mut Arguments) -> Result<bool, Failure> {
        match name {
            "--turns" => self.turns = value.number()?,
            "--seconds" => self.seconds = value.number()?,
            "--works" => self.works = value.text()?,
            "--json" => self.json = value.text()?.into(),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Whether the work of this name is to be done.
    pub fn has(&self, work: &str) -> bool {
        is_chosen(&self.works, work)
    }
}

/// Where the figures go if nothing else is said.
pub fn place(benchmark: &str, kind: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{benchmark}.{kind}"))
}

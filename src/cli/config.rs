//! `parlor config`: begin, check or show a configuration.

use std::process::ExitCode;

use crate::config::{Effective, default_file};

use super::{Settings, print};

pub fn default() -> ExitCode {
    print(&default_file())
}

pub fn check(settings: Settings) -> ExitCode {
    match settings.load() {
        Ok(Effective { file: Some(file), .. }) => print(&format!("ok: read {}\n", file.display())),
        Ok(_) => print("ok: no file was read, since none was named\n"),
        Err(code) => code,
    }
}

pub fn show(settings: Settings) -> ExitCode {
    match settings.load() {
        Ok(effective) => print(&effective.show()),
        Err(code) => code,
    }
}

//! Which crates, clocks and macros the code of which module may name.

use Where::{Never, Only};

use crate::Finding;
use crate::source::{Named, Source};

/// Places inside `src`: a module or a file without its ending.
#[derive(Clone, Copy)]
enum Where {
    Only(&'static [&'static str]),
    Never(&'static [&'static str]),
}

#[derive(Clone, Copy, PartialEq)]
enum Tests {
    Too,
    Exempt,
}

/// Names are a path or a part of one.
const RULES: [(&[&str], Where, Tests); 8] = [
    (&["redb"], Only(&["store"]), Tests::Too),
    (&["bincode"], Only(&["store/record"]), Tests::Too),
    (&["prometheus_client"], Only(&["metrics"]), Tests::Too),
    (&["axum"], Only(&["http", "ws", "web", "server", "transport"]), Tests::Too),
    (
        // The load generator is an HTTP client.
        &["hyper", "hyper_util"],
        Only(&["http", "ws", "web", "server", "transport", "cli/load/api", "cli/load/target"]),
        Tests::Too,
    ),
    (&["println!", "eprintln!", "print!", "eprint!", "stdout"], Only(&["cli"]), Tests::Too),
    (&["SystemTime"], Only(&["clock"]), Tests::Too),
    (
        &["tokio", "std::time::Instant", "getrandom", "std::fs", "std::net", "std::env"],
        Never(&["domain", "protocol"]),
        Tests::Exempt,
    ),
];

/// In every Rust file of the repository.
const NOWHERE: [&str; 3] = ["todo!", "unimplemented!", "dbg!"];
const ATTRIBUTES: [&str; 4] = ["#[allow", "#![allow", "#[ignore", "#![ignore"];

pub fn check(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    let all = source.names();
    for named in &all {
        for name in NOWHERE {
            if holds(named, name) {
                findings.push(Finding::new(source, named.line, format!("names `{name}`")));
            }
        }
        let Some(place) = source.in_src() else { continue };
        for (names, at, tests) in RULES {
            if tests == Tests::Exempt && source.in_tests(named.line) || may_name(place, at) {
                continue;
            }
            for name in names.iter().filter(|name| holds(named, name)) {
                findings.push(Finding::new(source, named.line, format!("names `{name}`")));
            }
        }
    }
    findings.extend(real_time(source, &all));
    findings.extend(attributes(source));
    findings
}

fn may_name(place: &str, at: Where) -> bool {
    let lies_in = |home: &&'static str| {
        place.strip_prefix(*home).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    match at {
        Only(homes) => homes.iter().any(lies_in),
        Never(homes) => !homes.iter().any(lies_in),
    }
}

fn holds(named: &Named, name: &str) -> bool {
    let parts: Vec<&str> = name.split("::").collect();
    named.segments.windows(parts.len()).any(|window| window == parts)
}

/// `Instant::now` of std; the runtime's own, which tests can pause, is free to its users.
fn real_time(source: &Source, all: &[Named]) -> Vec<Finding> {
    let elsewhere = source.in_src().is_some_and(|place| !may_name(place, Only(&["clock"])));
    if !elsewhere || all.iter().any(|named| holds(named, "tokio::time::Instant")) {
        return Vec::new();
    }
    let read = all.iter().filter(|named| {
        holds(named, "Instant::now") && !named.segments.iter().any(|part| part == "tokio")
    });
    read.map(|named| Finding::new(source, named.line, "names `Instant::now`")).collect()
}

fn attributes(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (line, code) in (1..).zip(source.code.lines()) {
        let code: String = code.split_whitespace().collect();
        for attribute in ATTRIBUTES.iter().filter(|attribute| code.contains(*attribute)) {
            findings.push(Finding::new(source, line, format!("has `{attribute}`")));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        check(&Source::new(path, text)).into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn crates_stay_in_their_modules() {
        let text = "use redb::Database;";
        assert_eq!(found("src/hub/mod.rs", text), ["names `redb`"]);
        assert_eq!(found("src/store/mod.rs", text), [""; 0]);
        assert_eq!(found("src/storeroom.rs", text), ["names `redb`"]);
        assert_eq!(found("src/store/writer.rs", "bincode::encode()"), ["names `bincode`"]);
        assert_eq!(found("src/store/record.rs", "bincode::encode()"), [""; 0]);
        assert_eq!(found("src/app/a.rs", "axum::x(hyper::y)"), ["names `axum`", "names `hyper`"]);
        assert_eq!(found("src/web.rs", "axum::x(hyper::y)"), [""; 0]);
        assert_eq!(found("src/cli/load/api.rs", "axum::x(hyper::y)"), ["names `axum`"]);
        assert_eq!(found("src/cli/serve.rs", "axum::x(hyper::y)").len(), 2);
        assert_eq!(found("tests/a.rs", text), [""; 0]);
    }

    #[test]
    fn only_the_command_line_prints() {
        let text = "println!(); eprintln!(); std::io::stdout()";
        assert_eq!(found("src/server/mod.rs", text).len(), 3);
        assert_eq!(found("src/cli/mod.rs", text), [""; 0]);
        assert_eq!(found("src/server/mod.rs", "// println!\nlet println = 1;"), [""; 0]);
    }

    #[test]
    fn values_and_the_wire_do_nothing() {
        let text = "use std::{fs, net, time::{Duration, Instant}}; use tokio::task;";
        assert_eq!(found("src/domain/a.rs", text).len(), 4);
        assert_eq!(found("src/protocol/a.rs", "getrandom::fill(x)"), ["names `getrandom`"]);
        let in_tests = format!("#[cfg(test)] mod tests {{ {text} }}");
        assert_eq!(found("src/domain/a.rs", &in_tests), [""; 0]);
        assert_eq!(found("src/store/a.rs", text), [""; 0]);
    }

    #[test]
    fn only_the_clock_reads_time() {
        let text = "use std::time::{Instant, SystemTime};\nInstant::now();";
        let names = ["names `SystemTime`", "names `Instant::now`"];
        assert_eq!(found("src/app/a.rs", text), names);
        assert_eq!(found("src/clock.rs", text), [""; 0]);
        assert_eq!(found("src/ws/a.rs", "use tokio::time::Instant; Instant::now()"), [""; 0]);
        assert_eq!(found("src/ws/a.rs", "tokio::time::Instant::now()"), [""; 0]);
        assert_eq!(found("src/ws/a.rs", "std::time::Instant::now()"), ["names `Instant::now`"]);
    }

    #[test]
    fn nothing_is_left_undone_or_switched_off() {
        let text = "todo!(); unimplemented!(); dbg!(1);";
        assert_eq!(found("tests/a.rs", text).len(), 3);
        let text = "#[allow(x)]\n#![ allow(x)]\n#[ignore]\n#[ignore = \"x\"]\n#[expect(x)]";
        assert_eq!(found("benches/a.rs", text).len(), 4);
        assert_eq!(found("src/a.rs", "\"#[allow\" // #[ignore]"), [""; 0]);
    }
}

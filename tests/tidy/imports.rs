//! Who may import whom inside `src`.

use crate::Finding;
use crate::source::Source;

/// From the lowest. A module may import any module of a lower layer, none of its own.
const LAYERS: [&[&str]; 8] = [
    &["domain"],
    &["metrics", "clock", "mutation"],
    &["store", "transport"],
    &["hub", "auth"],
    &["app"],
    &["http", "ws", "web"],
    &["server"],
    &["cli"],
];

/// Beside the layers: each imports `domain` alone, and is imported by these alone.
const BESIDE: [(&str, &[&str]); 2] =
    [("protocol", &["metrics", "hub", "ws", "http", "cli"]), ("config", &["app", "server", "cli"])];

/// The crates' roots: the library's only declares, the binary's only starts.
const ROOTS: [(&str, &[&str]); 2] = [("lib", &[]), ("main", &["cli"])];

pub fn check(source: &Source) -> Vec<Finding> {
    let Some(place) = source.in_src() else { return Vec::new() };
    let module = place.split('/').next().unwrap_or(place);
    if !is_known(module) {
        return vec![Finding::new(source, 1, format!("`{module}` is not in the import table"))];
    }
    let inside = match place.strip_suffix("/mod") {
        Some(directory) => directory.split('/').count(),
        None if module == "lib" || module == "main" => 0,
        None => place.split('/').count(),
    };
    let mut findings = Vec::new();
    for named in source.names() {
        let Some(imported) = imported(&named.segments, inside, source.in_tests(named.line)) else {
            continue;
        };
        if imported != module && !may_import(module, imported) {
            let what = format!("`{module}` may not import `{imported}`");
            findings.push(Finding::new(source, named.line, what));
        }
    }
    findings
}

/// The top-level module that a path leads to; `None` for a path that stays where it is.
/// `inside` is how deep the file's own module lies; a test module in it lies one deeper.
fn imported(path: &[String], inside: usize, in_tests: bool) -> Option<&str> {
    let (root, rest) = path.split_first()?;
    let climbed = path.iter().take_while(|segment| *segment == "super").count();
    let target = match root.as_str() {
        "crate" | "parlor" => rest.first(),
        "super" if climbed >= inside + usize::from(in_tests) => path.get(climbed),
        _ => None,
    };
    target.map(String::as_str)
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

fn row<'a>(table: &[(&str, &'a [&'a str])], module: &str) -> Option<&'a [&'a str]> {
    table.iter().find(|(name, _)| *name == module).map(|(_, modules)| *modules)
}

fn is_known(module: &str) -> bool {
    layer(module).is_some() || row(&BESIDE, module).is_some() || row(&ROOTS, module).is_some()
}

fn may_import(module: &str, imported: &str) -> bool {
    if let Some(allowed) = row(&ROOTS, module) {
        return allowed.contains(&imported);
    }
    if let Some(importers) = row(&BESIDE, imported) {
        return importers.contains(&module);
    }
    match (layer(module), layer(imported)) {
        (Some(own), Some(other)) => other < own,
        (None, Some(other)) => other == 0,
        (_, None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(path: &str, text: &str) -> Vec<String> {
        check(&Source::new(path, text)).into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn lower_layers_may_be_imported() {
        assert_eq!(refused("src/hub/mod.rs", "use crate::{store::A, domain::B, hub::C};"), [""; 0]);
        assert_eq!(refused("src/protocol/json.rs", "use crate::domain::Limits;"), [""; 0]);
        assert_eq!(refused("src/cli/mod.rs", "crate::config::x(); crate::app::y();"), [""; 0]);
        assert_eq!(refused("src/main.rs", "parlor::cli::run()"), [""; 0]);
    }

    #[test]
    fn higher_layers_and_neighbours_may_not() {
        let higher = ["`store` may not import `hub`"];
        assert_eq!(refused("src/store/writer.rs", "use crate::{domain, hub::Room};"), higher);
        assert_eq!(refused("src/store.rs", "fn f() { crate::hub::g::<u8>() }"), higher);
        assert_eq!(refused("src/http/mod.rs", "crate::ws::x"), ["`http` may not import `ws`"]);
        let protocol = ["`store` may not import `protocol`"];
        assert_eq!(refused("src/store/a.rs", "crate::protocol::x"), protocol);
        assert_eq!(refused("src/hub/a.rs", "crate::config::x"), ["`hub` may not import `config`"]);
        let upward = ["`config` may not import `store`"];
        assert_eq!(refused("src/config/a.rs", "crate::store::x"), upward);
        assert_eq!(refused("src/main.rs", "parlor::app::x"), ["`main` may not import `app`"]);
    }

    #[test]
    fn climbing_to_the_root_is_an_import() {
        let clock = ["`clock` may not import `hub`"];
        assert_eq!(refused("src/clock.rs", "use super::hub;"), clock);
        let auth = ["`auth` may not import `hub`"];
        assert_eq!(refused("src/auth/a.rs", "use super::super::hub;"), auth);
        assert_eq!(refused("src/auth/mod.rs", "use super::hub;"), auth);
        assert_eq!(refused("src/auth/a.rs", "use super::hub;"), [""; 0]);
        assert_eq!(refused("src/clock.rs", "#[cfg(test)] mod tests { use super::hub; }"), [""; 0]);
    }

    #[test]
    fn tests_import_by_the_same_table() {
        let test = "#[cfg(test)] mod tests { use crate::server::Server; }";
        assert_eq!(refused("src/app/mod.rs", test), ["`app` may not import `server`"]);
    }

    #[test]
    fn a_module_that_the_table_lacks_is_refused() {
        assert_eq!(refused("src/extra/mod.rs", ""), ["`extra` is not in the import table"]);
        let unknown = ["`app` may not import `extra`"];
        assert_eq!(refused("src/app/mod.rs", "crate::extra::x"), unknown);
    }
}

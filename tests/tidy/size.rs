//! How wide a line, how long a file and a function may be, and how a module begins.

use crate::Finding;
use crate::source::Source;

const COLUMNS: usize = 100;
const FUNCTION_LINES: usize = 70;
/// A file that is longer probably does two things; one that has a reason is listed below.
const SUSPECT_LINES: usize = 400;
const FILE_LINES: usize = 800;

/// Files over [`SUSPECT_LINES`], and why each is one thing all the same.
const LONG_FILES: [(&str, &str); 0] = [];

pub fn check(source: &Source) -> Vec<Finding> {
    let mut findings = columns(source);
    if source.is_rust() {
        findings.extend(functions(source));
        findings.extend(file(source, &LONG_FILES));
        findings.extend(module_comment(source));
    }
    findings
}

fn columns(source: &Source) -> Vec<Finding> {
    if !source.is_rust() && !source.is_prose() {
        return Vec::new();
    }
    // In prose a table's row, a block of code and a single long word cannot be broken.
    let mut in_block = false;
    let mut breakable = |line: &str| {
        in_block ^= line.trim_start().starts_with("```");
        let row_or_word = line.starts_with('|') || !line.trim().contains(' ');
        !source.is_prose() || !(in_block || row_or_word)
    };
    let wide = (1..).zip(source.text.lines()).filter_map(|(number, line)| {
        let width = line.chars().count();
        let what = format!("{width} columns; at most {COLUMNS}");
        (breakable(line) && width > COLUMNS).then(|| Finding::new(source, number, what))
    });
    wide.collect()
}

fn functions(source: &Source) -> Vec<Finding> {
    let long = source.functions().into_iter().filter(|function| function.lines > FUNCTION_LINES);
    long.map(|function| {
        let (name, lines) = (function.name, function.lines);
        let what = format!("`fn {name}` has {lines} lines; at most {FUNCTION_LINES}");
        Finding::new(source, function.line, what)
    })
    .collect()
}

fn file(source: &Source, accepted: &[(&str, &str)]) -> Option<Finding> {
    let lines = source.text.lines().count();
    let listed = accepted.iter().any(|(path, _)| *path == source.path);
    let what = match lines {
        0..=SUSPECT_LINES if listed => "is short again; take it off the list of long files".into(),
        0..=SUSPECT_LINES => return None,
        _ if lines > FILE_LINES => format!("{lines} lines; never more than {FILE_LINES}"),
        _ if listed => return None,
        _ => format!("{lines} lines; over {SUSPECT_LINES} split it, or list it with its reason"),
    };
    Some(Finding::new(source, 1, what))
}

fn module_comment(source: &Source) -> Option<Finding> {
    let missing = source.in_src().is_some() && !source.text.starts_with("//!");
    missing.then(|| Finding::new(source, 1, "must begin with `//!`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        check(&Source::new(path, text)).into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn wide_lines_are_found() {
        let wide = format!("//! {}", "é".repeat(97));
        assert_eq!(found("src/a.rs", &wide), ["101 columns; at most 100"]);
        assert_eq!(found("README.md", &wide), ["101 columns; at most 100"]);
        assert_eq!(found("src/a.rs", &wide.replacen('é', "", 1)), [""; 0]);
        assert_eq!(found("README.md", &format!("| {}", &wide)), [""; 0]);
        assert_eq!(found("README.md", &wide.replace(' ', "-")), [""; 0]);
        assert_eq!(found("README.md", &format!("```\n{wide}\n```")), [""; 0]);
        assert_eq!(found("README.md", &format!("```\n```\n{wide}")).len(), 1);
        assert_eq!(found("src/web/page.css", &wide), [""; 0]);
    }

    #[test]
    fn long_functions_are_found() {
        let function = |lines: usize| format!("//!\nfn f() {{\n{}}}\n", "x();\n".repeat(lines - 2));
        assert_eq!(found("src/a.rs", &function(71)), ["`fn f` has 71 lines; at most 70"]);
        assert_eq!(found("src/a.rs", &function(70)), [""; 0]);
    }

    #[test]
    fn long_files_need_a_reason() {
        let found = |lines: usize, accepted: &[(&str, &str)]| {
            let source = Source::new("src/a.rs", &"//!\n".repeat(lines));
            file(&source, accepted).map(|finding| finding.what)
        };
        let accepted = [("src/a.rs", "one table")];
        assert_eq!(found(400, &[]), None);
        assert!(found(401, &[]).is_some_and(|what| what.contains("over 400")));
        assert_eq!(found(401, &accepted), None);
        assert!(found(801, &accepted).is_some_and(|what| what.contains("never")));
        assert!(found(400, &accepted).is_some_and(|what| what.contains("short again")));
    }

    #[test]
    fn modules_begin_by_saying_what_they_are() {
        assert_eq!(found("src/a.rs", "use x;"), ["must begin with `//!`"]);
        assert_eq!(found("src/a/b.rs", "//! B.\nuse x;"), [""; 0]);
        assert_eq!(found("tests/a.rs", "use x;"), [""; 0]);
    }
}

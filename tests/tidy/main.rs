//! The house rules, held over the repository's own files. Each check is a pure function over one
//! file, and its module's tests show that it can fail.

mod imports;
mod names;
mod size;
mod source;
mod tree;
mod wording;

use std::fmt;
use std::sync::LazyLock;

use source::Source;

static SOURCES: LazyLock<Vec<Source>> = LazyLock::new(tree::sources);

/// One place that breaks a rule.
struct Finding {
    path: String,
    line: usize,
    what: String,
}

impl Finding {
    fn new(source: &Source, line: usize, what: impl Into<String>) -> Self {
        Self { path: source.path.clone(), line, what: what.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

/// Reports every finding at once.
fn hold(check: impl Fn(&Source) -> Vec<Finding>) {
    assert!(SOURCES.iter().any(|source| source.path == "src/lib.rs"), "the tree was not found");
    let findings: Vec<String> =
        SOURCES.iter().flat_map(check).map(|finding| finding.to_string()).collect();
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
}

#[test]
fn modules_import_by_the_table() {
    hold(imports::check);
}

#[test]
fn names_stay_where_they_belong() {
    hold(names::check);
}

#[test]
fn lines_functions_and_files_stay_small() {
    hold(size::check);
}

#[test]
fn the_wording_is_about_the_product() {
    hold(wording::check);
}

#[test]
fn the_repository_is_complete() {
    assert_eq!(tree::missing(&tree::paths()), [""; 0]);
}

//! The repository's files.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::source::Source;

const REQUIRED: [&str; 5] =
    ["README.md", "CHANGELOG.md", "SECURITY.md", "LICENSE-MIT", "LICENSE-APACHE"];

/// Not ours to word: standard texts, and what programs write.
const FOREIGN: [&str; 7] = [
    "LICENSE-",
    "Cargo.lock",
    "fuzz/Cargo.lock",
    "fuzz/seeds/",
    "benches/peers/Cargo.lock",
    "benches/peers/package-lock.json",
    "tests/js/package-lock.json",
];

/// What building and measuring leave behind.
const OUTPUT: [&str; 7] = [
    "fuzz/target",
    "fuzz/corpus",
    "fuzz/artifacts",
    "fuzz/coverage",
    "benches/peers/target",
    "benches/peers/node_modules",
    "tests/js/node_modules",
];

/// Where nothing is looked for when git cannot say what belongs to the repository.
const ROOTS: [&str; 4] = ["src", "tests", "benches", "fuzz"];

pub fn missing(paths: &[String]) -> Vec<&'static str> {
    REQUIRED.into_iter().filter(|name| !paths.iter().any(|path| path == name)).collect()
}

/// Every text file of the repository, committed or about to be.
pub fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let paths = paths();
    let ours = paths.iter().filter(|path| !FOREIGN.iter().any(|start| path.starts_with(start)));
    // Unreadable are what git lists though it is deleted, and pictures.
    let read = |path: &String| Some(Source::new(path, &fs::read_to_string(root.join(path)).ok()?));
    ours.filter_map(read).collect()
}

pub fn paths() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    listed(root).unwrap_or_else(|| walked(root))
}

fn listed(root: &Path) -> Option<Vec<String>> {
    let arguments = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let output = Command::new("git").arg("-C").arg(root).args(arguments).output().ok()?;
    let paths: Vec<String> =
        String::from_utf8(output.stdout).ok()?.split_terminator('\0').map(str::to_owned).collect();
    (output.status.success() && !paths.is_empty()).then_some(paths)
}

fn walked(root: &Path) -> Vec<String> {
    let mut paths: Vec<String> = Vec::new();
    let mut waiting: Vec<String> = ROOTS.map(str::to_owned).into();
    waiting.push(String::new());
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(root.join(&directory)).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = if directory.is_empty() { name } else { format!("{directory}/{name}") };
            match entry.file_type() {
                Ok(kind) if kind.is_file() => paths.push(path),
                Ok(kind) if kind.is_dir() && !directory.is_empty() && !is_output(&path) => {
                    waiting.push(path);
                }
                _ => {}
            }
        }
    }
    paths
}

fn is_output(path: &str) -> bool {
    OUTPUT.contains(&path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        let present = ["README.md", "LICENSE-MIT", "LICENSE-APACHE", "SECURITY.md"];
        assert_eq!(missing(&present.map(str::to_owned)), ["CHANGELOG.md"]);
    }

    #[test]
    fn a_tree_without_git_is_read_too() {
        let walked = walked(Path::new(env!("CARGO_MANIFEST_DIR")));
        for path in ["Cargo.toml", "src/lib.rs", "tests/tidy/main.rs"] {
            assert!(walked.iter().any(|walked| walked == path), "{path}");
        }
        assert!(!walked.iter().any(|path| path.contains("target/")));
    }
}

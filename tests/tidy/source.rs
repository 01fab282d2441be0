//! A source file as the checks see it: its code without comments and literals, which of its lines
//! are tests, the paths it names, and its functions.

use std::ops::RangeInclusive;
use std::path::Path;

pub struct Source {
    /// From the repository's root, with `/`.
    pub path: String,
    pub text: String,
    /// The text with comments, strings and characters blanked, line for line; empty unless Rust.
    pub code: String,
    /// The lines of `#[cfg(test)]` items.
    tests: Vec<RangeInclusive<usize>>,
}

/// `a::b::c`, with every `use a::{b, c}` written out.
pub struct Named {
    pub line: usize,
    pub segments: Vec<String>,
}

pub struct Function {
    pub name: String,
    pub line: usize,
    pub lines: usize,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Self {
        let code = if has_ending(path, "rs") { code_of(text) } else { String::new() };
        let tests = if path.ends_with("tests.rs") {
            let whole_file = 1..=text.lines().count();
            vec![whole_file]
        } else {
            test_items(&code)
        };
        Self { path: path.to_owned(), text: text.to_owned(), code, tests }
    }

    pub fn is_rust(&self) -> bool {
        has_ending(&self.path, "rs")
    }

    pub fn is_prose(&self) -> bool {
        has_ending(&self.path, "md")
    }

    pub fn in_tests(&self, line: usize) -> bool {
        self.tests.iter().any(|lines| lines.contains(&line))
    }

    /// The path inside `src` without its ending: `store/record`, `clock`.
    pub fn in_src(&self) -> Option<&str> {
        self.path.strip_prefix("src/")?.strip_suffix(".rs")
    }

    /// Every path and every single name in the code; a macro's name keeps its `!`.
    pub fn names(&self) -> Vec<Named> {
        let mut cursor = Cursor::new(&self.code);
        let mut found = Vec::new();
        while let Some(byte) = cursor.peek() {
            if is_word(byte) {
                read_path(&mut cursor, &[], &mut found);
            } else {
                cursor.step();
            }
        }
        found
    }

    pub fn functions(&self) -> Vec<Function> {
        let mut cursor = Cursor::new(&self.code);
        let mut found = Vec::new();
        while let Some(byte) = cursor.peek() {
            if !is_word(byte) {
                cursor.step();
                continue;
            }
            let line = cursor.line;
            if cursor.word() != "fn" {
                continue;
            }
            cursor.skip_space();
            let name = cursor.word().to_owned();
            if !name.is_empty() {
                let lines = cursor.clone().item_end() + 1 - line;
                found.push(Function { name, line, lines });
            }
        }
        found
    }
}

fn has_ending(path: &str, ending: &str) -> bool {
    Path::new(path).extension().is_some_and(|extension| extension == ending)
}

fn test_items(code: &str) -> Vec<RangeInclusive<usize>> {
    let attribute = "#[cfg(test)]";
    let ends = code.match_indices(attribute).map(|(at, _)| at + attribute.len());
    ends.map(|at| {
        let line = 1 + code[..at].matches('\n').count();
        line..=Cursor { code: code.as_bytes(), at, line }.item_end()
    })
    .collect()
}

fn read_path(cursor: &mut Cursor<'_>, prefix: &[String], found: &mut Vec<Named>) {
    let line = cursor.line;
    let mut segments = prefix.to_vec();
    loop {
        if cursor.peek() == Some(b'{') && !segments.is_empty() {
            cursor.step();
            return read_group(cursor, &segments, found);
        }
        let word = cursor.word();
        if word.is_empty() {
            break;
        }
        let is_macro = cursor.peek() == Some(b'!') && cursor.after(1) != Some(b'=');
        segments.push(if is_macro { format!("{word}!") } else { word.to_owned() });
        if is_macro {
            cursor.step();
        }
        cursor.skip_space();
        if !cursor.eat("::") {
            break;
        }
        cursor.skip_space();
    }
    found.push(Named { line, segments });
}

fn read_group(cursor: &mut Cursor<'_>, prefix: &[String], found: &mut Vec<Named>) {
    while let Some(byte) = cursor.peek() {
        if is_word(byte) {
            read_path(cursor, prefix, found);
            if cursor.eat("as ") {
                cursor.word();
            }
            continue;
        }
        cursor.step();
        if byte == b'}' {
            return;
        }
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// A place in blanked code.
#[derive(Clone)]
struct Cursor<'a> {
    code: &'a [u8],
    at: usize,
    line: usize,
}

impl<'a> Cursor<'a> {
    fn new(code: &'a str) -> Self {
        Self { code: code.as_bytes(), at: 0, line: 1 }
    }

    fn after(&self, distance: usize) -> Option<u8> {
        self.code.get(self.at + distance).copied()
    }

    fn peek(&self) -> Option<u8> {
        self.after(0)
    }

    fn step(&mut self) {
        self.line += usize::from(self.peek() == Some(b'\n'));
        self.at += 1;
    }

    fn skip_space(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.step();
        }
    }

    fn eat(&mut self, text: &str) -> bool {
        let found = self.code[self.at..].starts_with(text.as_bytes());
        self.at += if found { text.len() } else { 0 };
        found
    }

    /// The word that begins here; empty if none does.
    fn word(&mut self) -> &'a str {
        let rest = &self.code[self.at..];
        let length = rest.iter().take_while(|byte| is_word(**byte)).count();
        self.at += length;
        str::from_utf8(&rest[..length]).unwrap_or_default()
    }

    /// The line on which the item here ends: at its `;`, or at the brace that closes its body.
    fn item_end(mut self) -> usize {
        let mut depth = 0_i32;
        while let Some(byte) = self.peek() {
            depth += match byte {
                b'(' | b'[' | b'{' => 1,
                b')' | b']' | b'}' => -1,
                _ => 0,
            };
            if depth <= 0 && matches!(byte, b';' | b'}') {
                break;
            }
            self.step();
        }
        self.line
    }
}

/// `text` with a space for each character of a comment or literal.
fn code_of(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < characters.len() {
        let end = opaque_end(&characters, at).unwrap_or(at).min(characters.len());
        if end == at {
            code.push(characters[at]);
            at += 1;
        }
        for &character in &characters[at..end.max(at)] {
            code.push(if character == '\n' { '\n' } else { ' ' });
        }
        at = end.max(at);
    }
    code
}

/// Where the comment or literal that begins at `at` ends; `None` if none begins there.
fn opaque_end(text: &[char], at: usize) -> Option<usize> {
    let next = |distance: usize| text.get(at + distance).copied();
    match (text[at], next(1)) {
        ('/', Some('/')) => Some(find(text, at, |rest| rest[0] == '\n')),
        ('/', Some('*')) => Some(block_comment_end(text, at)),
        ('"', _) => Some(string_end(text, at + 1)),
        ('\'', Some('\\')) => Some(find(text, at + 3, |rest| rest[0] == '\'') + 1),
        ('\'', _) if next(2) == Some('\'') => Some(at + 3),
        ('r', Some('"' | '#')) if !follows_a_word(text, at) => raw_string_end(text, at),
        _ => None,
    }
}

/// Whether `r` ends a word other than `br` and `cr`, which begin literals too.
fn follows_a_word(text: &[char], at: usize) -> bool {
    let word_at = |at: usize| text[at].is_alphanumeric() || text[at] == '_';
    match at {
        0 => false,
        1 => word_at(0) && !matches!(text[0], 'b' | 'c'),
        _ => word_at(at - 1) && (word_at(at - 2) || !matches!(text[at - 1], 'b' | 'c')),
    }
}

/// The first place from `at` on whose rest `matches`, or the end.
fn find(text: &[char], at: usize, matches: impl Fn(&[char]) -> bool) -> usize {
    (at..text.len()).find(|&place| matches(&text[place..])).unwrap_or(text.len())
}

fn block_comment_end(text: &[char], at: usize) -> usize {
    let mut depth = 0;
    let mut place = at;
    while place < text.len() {
        let step = match text[place..] {
            ['/', '*', ..] => 1,
            ['*', '/', ..] => -1,
            _ => 0,
        };
        depth += step;
        place += if step == 0 { 1 } else { 2 };
        if depth == 0 {
            break;
        }
    }
    place
}

fn string_end(text: &[char], mut at: usize) -> usize {
    while at < text.len() && text[at] != '"' {
        at += if text[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

fn raw_string_end(text: &[char], at: usize) -> Option<usize> {
    let hashes = text[at + 1..].iter().take_while(|character| **character == '#').count();
    let body = at + 1 + hashes;
    if text.get(body) != Some(&'"') {
        return None; // A raw identifier.
    }
    let closes = |rest: &[char]| {
        rest[0] == '"'
            && rest[1..].iter().take_while(|character| **character == '#').count() >= hashes
    };
    Some(find(text, body + 1, closes) + 1 + hashes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::new("src/x.rs", text)
    }

    fn names(text: &str) -> Vec<String> {
        source(text).names().iter().map(|named| named.segments.join("::")).collect()
    }

    #[test]
    fn comments_and_literals_are_no_code() {
        let text = "a /* b /* c */ d */ e // f\n\"g \\\" h\" 'i' '\\'' r#\"j \" k\"# br\"l\" m";
        let words = |code: String| code.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(words(code_of(text)), ["a", "e", "b", "m"]);
        assert_eq!(code_of(text).chars().count(), text.chars().count());
        assert_eq!(words(code_of("&'a str; r#type; for\"x\"")), ["&'a", "str;", "r#type;", "for"]);
        assert_eq!(code_of("\"open").trim(), "");
        assert_eq!(code_of("'\\").trim(), "");
    }

    #[test]
    fn grouped_imports_are_written_out() {
        assert_eq!(
            names("crate::{a::{b, c as d}, e::*, f}; g!(1) h != i"),
            ["crate::a::b", "crate::a::c", "crate::e", "crate::f", "g!", "1", "h", "i"]
        );
        assert_eq!(names("x::<a::B>::y"), ["x", "a::B", "y"]);
    }

    #[test]
    fn test_items_are_known() {
        let source =
            source("fn a() {}\n#[cfg(test)]\nmod tests {\n fn b() { x[1]; }\n}\nfn c() {}");
        let lines: Vec<_> = (1..=6).filter(|line| source.in_tests(*line)).collect();
        assert_eq!(lines, [2, 3, 4, 5]);
        assert!(Source::new("src/a/token_tests.rs", "one").in_tests(1));
    }

    #[test]
    fn functions_are_measured() {
        let text = "fn a(x: [u8; 2]) -> T\nwhere T: B {\n \"}\"; fn b();\n}\ntype F = fn(u8);";
        let found = source(text).functions();
        let found: Vec<_> = found.iter().map(|f| (f.name.as_str(), f.line, f.lines)).collect();
        assert_eq!(found, [("a", 1, 4), ("b", 3, 1)]);
    }
}

//! What no file says. The words are written with a `~` in them so that this file does not say them.

use crate::Finding;
use crate::source::Source;

/// Marks of unfinished work, and of the place where the work was done.
const PHRASES: [&str; 7] =
    ["FIX~ME", "XX~X", "issue ~#", "issues~/", "sha~red/", "/wo~rk/", ".lib~rary"];

/// Other products. They are named beside measured figures only: in `benches` and the README.
const PRODUCTS: &str = "\
    u~websockets n~ats n~ginx n~chan c~entrifuge c~entrifugo s~ocket.io p~hoenix d~iscord \
    s~lack m~atrix m~attermost z~ulip r~ocket.chat t~igerbeetle r~abbitmq k~afka e~jabberd \
    p~rosody s~oketi m~osquitto t~eamspeak w~hatsapp s~upabase f~irebase";

/// What runs clients, the library's too; the server's code has no business with it.
const RUNTIMES: &str = "n~ode.js n~odejs n~pm b~un";

pub fn check(source: &Source) -> Vec<Finding> {
    let mut words: Vec<String> = Vec::new();
    if !source.path.starts_with("benches/") && source.path != "README.md" {
        words.extend(PRODUCTS.split_whitespace().map(joined));
    }
    if source.in_src().is_some() {
        words.extend(RUNTIMES.split_whitespace().map(joined));
    }
    let phrases = PHRASES.map(joined);
    let mut findings = Vec::new();
    for (number, line) in (1..).zip(source.text.lines()) {
        let folded = line.to_ascii_lowercase();
        let said = phrases.iter().filter(|phrase| says(line, phrase));
        for found in said.chain(words.iter().filter(|word| has_word(&folded, word))) {
            findings.push(Finding::new(source, number, format!("says `{found}`")));
        }
    }
    findings
}

fn joined(word: &str) -> String {
    word.replace('~', "")
}

fn says(line: &str, phrase: &str) -> bool {
    // A thread is meant only when a number follows.
    let needs_number = phrase.starts_with("issue");
    let begins_number = |rest: &str| rest.starts_with(|next: char| next.is_ascii_digit());
    line.match_indices(phrase).any(|(at, _)| {
        let rest = &line[at + phrase.len()..];
        (!needs_number || begins_number(rest)) && is_whole(line, at, phrase)
    })
}

fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| is_whole(line, at, word))
}

/// Whether what begins and ends with a letter is not a part of a longer word.
fn is_whole(line: &str, at: usize, found: &str) -> bool {
    let letter = |character: char| character.is_alphanumeric() || character == '_';
    let end = at + found.len();
    let open_before = found.starts_with(letter) && line[..at].ends_with(letter);
    let open_after = found.ends_with(letter) && line[end..].starts_with(letter);
    !open_before && !open_after
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        check(&Source::new(path, &joined(text))).into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn marks_of_the_workplace_are_found() {
        let text = "FIX~ME\n// XX~X:\nissue ~#7\nissues~/12\nsha~red/a\n/wo~rk/b\n.lib~rary";
        assert_eq!(found("src/a.rs", text).len(), 7);
        assert_eq!(found("benches/a.rs", text).len(), 7);
        let harmless = "an issue #of it; open issues/; XX~XX; shared work; a library";
        assert_eq!(found("src/a.rs", harmless), [""; 0]);
    }

    #[test]
    fn other_products_are_named_only_beside_figures() {
        let text = "faster than S~lack and s~ocket.io";
        let said = [joined("says `s~ocket.io`"), joined("says `s~lack`")];
        assert_eq!(found("tests/a.js", text), said);
        assert_eq!(found("README.md", text), [""; 0]);
        assert_eq!(found("benches/fanout.rs", text), [""; 0]);
        assert_eq!(found("src/a.rs", "s~lackening b~undle of un~ats"), [""; 0]);
    }

    #[test]
    fn the_server_knows_no_other_runtime() {
        assert_eq!(found("src/a.rs", "as N~ode.js does").len(), 1);
        for client in ["README.md", "src/web/library/README.md", "tests/js/package.json"] {
            assert_eq!(found(client, "n~pm, B~un and N~ode.js"), [""; 0]);
        }
    }
}

//! The files that browsers get: embedded, compressed when they are first asked for, and told apart
//! by a hash of what they contain. The page's own scripts and style go without their comments,
//! which are a sixth of them; their lines stay where they are. The rest goes as it is written.
//!
//! `touch-icon.png` is `icon.svg`, for home screens that take no drawings. Whoever changes the
//! drawing makes it again, on the ground that fills its round corners:
//!
//! ```sh
//! chromium --headless --hide-scrollbars --window-size=180,180 \
//!     --default-background-color=0E6657FF --screenshot=src/web/page/touch-icon.png \
//!     "file://$PWD/src/web/page/icon.svg"
//! ```
//!
//! and then reduces it to a palette of 16 colours, which is a quarter of the size.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::sync::{LazyLock, OnceLock};

use axum::body::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const DRAWING: &str = "image/svg+xml";
const PICTURE: &str = "image/png";
const MANIFEST: &str = "application/manifest+json";
const TYPES: &str = "text/plain; charset=utf-8";

/// Path, media type and content, by the name of the file.
macro_rules! files {
    ($($path:literal, $media_type:ident, $file:literal;)*) => {
        &[$(($path, $media_type, include_bytes!($file))),*]
    };
}

const FILES: &[(&str, &str, &[u8])] = files! {
    "/", HTML, "page/index.html";
    "/icon.svg", DRAWING, "page/icon.svg";
    "/touch-icon.png", PICTURE, "page/touch-icon.png";
    "/manifest.webmanifest", MANIFEST, "page/manifest.webmanifest";
    "/worker.js", SCRIPT, "page/worker.js";
    "/parlor.js", SCRIPT, "library/parlor.js";
    "/parlor.d.ts", TYPES, "library/parlor.d.ts";
    "/page/style.css", STYLE, "page/style.css";
    "/page/account.js", SCRIPT, "page/account.js";
    "/page/app.js", SCRIPT, "page/app.js";
    "/page/composer.js", SCRIPT, "page/composer.js";
    "/page/conversation.js", SCRIPT, "page/conversation.js";
    "/page/create.js", SCRIPT, "page/create.js";
    "/page/dom.js", SCRIPT, "page/dom.js";
    "/page/feed.js", SCRIPT, "page/feed.js";
    "/page/form.js", SCRIPT, "page/form.js";
    "/page/grouping.js", SCRIPT, "page/grouping.js";
    "/page/keep.js", SCRIPT, "page/keep.js";
    "/page/leftovers.js", SCRIPT, "page/leftovers.js";
    "/page/link.js", SCRIPT, "page/link.js";
    "/page/markdown.js", SCRIPT, "page/markdown.js";
    "/page/message.js", SCRIPT, "page/message.js";
    "/page/names.js", SCRIPT, "page/names.js";
    "/page/people.js", SCRIPT, "page/people.js";
    "/page/render.js", SCRIPT, "page/render.js";
    "/page/rooms.js", SCRIPT, "page/rooms.js";
    "/page/scroller.js", SCRIPT, "page/scroller.js";
    "/page/session.js", SCRIPT, "page/session.js";
    "/page/signin.js", SCRIPT, "page/signin.js";
    "/page/timeline.js", SCRIPT, "page/timeline.js";
    "/page/times.js", SCRIPT, "page/times.js";
    "/page/typing.js", SCRIPT, "page/typing.js";
    "/page/words.js", SCRIPT, "page/words.js";
};

static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| FILES.iter().map(Asset::new).collect());

/// Every file, in the order in which a browser asks for them.
pub fn all() -> &'static [Asset] {
    &ASSETS
}

#[derive(Debug)]
pub struct Asset {
    pub path: &'static str,
    pub media_type: &'static str,
    pub content: Bytes,
    hash: u64,
    compressed: OnceLock<Bytes>,
}

impl Asset {
    fn new(&(path, media_type, content): &(&'static str, &'static str, &'static [u8])) -> Self {
        let is_code = path.starts_with("/page/") || path == "/worker.js";
        let content = match std::str::from_utf8(content) {
            Ok(text) if is_code => Bytes::from(without_comments(text)),
            _ => Bytes::from_static(content),
        };
        // The same in every process of one build, which is all that an ETag must be.
        let mut hasher = DefaultHasher::new();
        (media_type, &content).hash(&mut hasher);
        let compressed = OnceLock::new();
        Self { path, media_type, content, hash: hasher.finish(), compressed }
    }

    /// A strong validator: the two encodings are different bytes, so they have different ones.
    pub fn etag(&self, compressed: bool) -> String {
        let suffix = if compressed { "-gzip" } else { "" };
        format!("\"{:016x}{suffix}\"", self.hash)
    }

    /// Compressed at the first call, not at the server's start. `None` where that gains nothing.
    pub fn gzip(&self) -> Option<Bytes> {
        let compressed = self.compressed.get_or_init(|| gzip(&self.content).unwrap_or_default());
        let gains = !compressed.is_empty() && compressed.len() < self.content.len();
        gains.then(|| compressed.clone())
    }

    pub fn plain(&self) -> Bytes {
        self.content.clone()
    }
}

/// The same lines, without those that hold nothing but a comment. A string that goes over several
/// lines would not be told from code: the page has none.
fn without_comments(text: &str) -> String {
    let mut within = false;
    let mut kept = String::with_capacity(text.len());
    for line in text.lines() {
        let trimmed = line.trim();
        let begins = trimmed.starts_with("/*");
        let is_comment = within || begins || trimmed.starts_with("//");
        within = (within || begins) && !trimmed.ends_with("*/");
        kept.push_str(if is_comment { "" } else { line });
        kept.push('\n');
    }
    kept
}

fn gzip(content: &[u8]) -> std::io::Result<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content)?;
    encoder.finish().map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_leave_their_lines() {
        let script = "// One.\nlet a = 1; // Stays.\n  /* Two. */\n  /**\n   * let b;\n   */\n\
                      let url = 'http://c';\n\n/* Three,\n four. */\nlet d = a / 2 /* Five. */;\n";
        let kept = "\nlet a = 1; // Stays.\n\n\n\n\nlet url = 'http://c';\n\n\n\n\
                    let d = a / 2 /* Five. */;\n";
        assert_eq!(without_comments(script), kept);
    }

    // What stood there would go with it.
    #[test]
    fn no_code_stands_behind_a_comment_that_begins_a_line() {
        for (path, _, content) in FILES.iter().filter(|(path, ..)| path.starts_with("/page/")) {
            let text = std::str::from_utf8(content).unwrap();
            let mut ends = text
                .lines()
                .filter(|line| line.contains("*/") && line.trim_start().starts_with(['/', '*']));
            assert!(ends.all(|line| line.trim_end().ends_with("*/")), "{path}");
        }
    }

    #[test]
    fn only_the_pages_own_code_goes_without() {
        for ((path, _, written), asset) in FILES.iter().zip(all()) {
            let is_code = [".js", ".css"].iter().any(|end| path.ends_with(end));
            let goes_without = is_code && *path != "/parlor.js";
            assert_eq!(asset.content != *written, goes_without, "{path}");
            let lines = |content: &[u8]| content.split(|byte| *byte == b'\n').count();
            assert_eq!(lines(&asset.content), lines(written), "{path}");
            if goes_without {
                let text = std::str::from_utf8(&asset.content).unwrap();
                let mut starts = text.lines().map(str::trim_start);
                assert!(!starts.any(|line| line.starts_with("//") || line.starts_with("/*")));
            }
        }
    }
}

//! The other servers, in `benches/peers`: how each is started, and installed.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::field::dialect::Dialect;

/// Where they are.
const PLACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers");
const CARGO: &str = "cargo build --release --manifest-path benches/peers/Cargo.toml";
const PACKAGES: &str = "npm ci --prefix benches/peers";

/// A server that is not Parlor.
pub struct Peer {
    pub name: &'static str,
    title: &'static str,
    /// What starts it, in the peers' directory.
    program: &'static str,
    script: Option<&'static str>,
    /// A file that is there when it is installed.
    needs: &'static str,
    install: &'static str,
}

pub const PEERS: [Peer; 4] = [
    Peer {
        name: "floor",
        title: "the floor",
        program: "target/release/floor",
        script: None,
        needs: "target/release/floor",
        install: CARGO,
    },
    Peer {
        name: "bun",
        title: "Bun",
        program: "node_modules/.bin/bun",
        script: Some("bun.js"),
        needs: "node_modules/.bin/bun",
        install: PACKAGES,
    },
    Peer {
        name: "node",
        title: "Node, ws",
        program: "node",
        script: Some("node.js"),
        needs: "node_modules/ws/package.json",
        install: PACKAGES,
    },
    Peer {
        name: "chat",
        title: "axum chat",
        program: "target/release/chat",
        script: None,
        needs: "target/release/chat",
        install: CARGO,
    },
];

/// What a server is called in the picture.
pub fn title(name: &str) -> &'static str {
    PEERS.iter().find(|peer| peer.name == name).map_or("Parlor", |peer| peer.title)
}

impl Peer {
    pub fn is_installed_or_says_how(&self) -> bool {
        let installed = self.is_installed();
        if !installed {
            eprintln!("versus: {} is left out; to have it: {}", self.name, self.install);
        }
        installed
    }

    fn is_installed(&self) -> bool {
        let found = |path: PathBuf| path.exists();
        let program = if self.program.contains('/') {
            found(Path::new(PLACE).join(self.program))
        } else {
            std::env::var_os("PATH").is_some_and(|paths| {
                std::env::split_paths(&paths).any(|path| found(path.join(self.program)))
            })
        };
        program && found(Path::new(PLACE).join(self.needs))
    }

    pub fn command(&self) -> Command {
        let program = if self.program.contains('/') {
            Path::new(PLACE).join(self.program)
        } else {
            PathBuf::from(self.program)
        };
        let mut command = Command::new(program);
        command.args(self.script).current_dir(PLACE);
        command
    }
}

/// What members say to a peer is what they would hear from Parlor, byte for byte.
pub fn dialect() -> Dialect {
    let before = r#"{"type":"chat","roomId":1,"userId":42,"username":"member142","message":""#;
    let after = r#"","seq":123456,"at":1790000000000}"#;
    Dialect {
        paths: vec!["/ws".to_owned()],
        entry: None,
        around: [before.to_owned(), after.to_owned()],
        seqs: false,
    }
}

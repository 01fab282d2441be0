//! The binary itself, in a directory of its own, as an operator runs it. What it prints is gathered
//! while it runs; a process that a test leaves behind is killed by its own handle.

use std::io::Read;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, kill_process};
use tokio::sync::watch;

pub use rustix::process::Signal;

use crate::support::within;

/// Settings under which nothing slows a test down.
pub const UNHURRIED: [(&str, &str); 3] = [
    ("PARLOR_LISTEN", "127.0.0.1:0"),
    ("PARLOR_LIMITS__SIGN_INS_PER_MINUTE", "0"),
    ("PARLOR_LIMITS__MESSAGES_PER_SECOND", "0"),
];

/// A run that may still go on.
pub struct Program {
    child: Child,
    out: watch::Receiver<String>,
    err: watch::Receiver<String>,
}

/// A run that has ended.
#[derive(Debug)]
pub struct Ended {
    /// `None` when a signal ended it.
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

/// Starts the binary in `directory`, with these variables and no others.
pub fn start(directory: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Program {
    let mut child = Command::new(env!("CARGO_BIN_EXE_parlor"))
        .args(arguments)
        .current_dir(directory)
        .env_clear()
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let out = gather(child.stdout.take().expect("a pipe"));
    let err = gather(child.stderr.take().expect("a pipe"));
    Program { child, out, err }
}

/// Runs the binary to its end.
pub async fn run(directory: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Ended {
    start(directory, arguments, environment).ended().await
}

/// Everything that comes out of a pipe, as it comes; the channel closes when the pipe does.
fn gather(mut pipe: impl Read + Send + 'static) -> watch::Receiver<String> {
    let (sender, receiver) = watch::channel(String::new());
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = pipe.read(&mut buffer) {
            bytes.extend_from_slice(&buffer[..count]);
            sender.send_replace(String::from_utf8_lossy(&bytes).into_owned());
        }
    });
    receiver
}

impl Program {
    /// Waits until standard output has a line that begins with `start`; gives the rest of it.
    pub async fn line(&mut self, start: &str) -> String {
        let found = within(start, self.out.wait_for(|out| rest_of_line(out, start).is_some()));
        match found.await {
            Ok(out) => rest_of_line(&out, start).expect("the line").to_owned(),
            Err(error) => panic!("no line `{start}`, {error}: {}", *self.err.borrow()),
        }
    }

    /// The address that it says it listens on.
    pub async fn addr(&mut self) -> SocketAddr {
        let rest = self.line("Parlor listens on ").await;
        let (addr, _) = rest.split_once(". ").expect("a sentence");
        addr.parse().expect("an address")
    }

    /// Waits until its log says this.
    pub async fn logged(&mut self, text: &str) {
        let found = within(text, self.err.wait_for(|err| err.contains(text))).await;
        assert!(found.is_ok(), "never logged: {text}");
    }

    /// What it has printed on standard output so far.
    pub fn printed(&self) -> String {
        self.out.borrow().clone()
    }

    pub fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).expect("an id");
        kill_process(Pid::from_raw(id).expect("an id"), signal).expect("a running process");
    }

    /// Waits for its end.
    pub async fn ended(mut self) -> Ended {
        within("the end of the output", async {
            while self.out.changed().await.is_ok() {}
            while self.err.changed().await.is_ok() {}
        })
        .await;
        // Its pipes are closed, so that this does not take long.
        let code = self.child.wait().expect("a child").code();
        Ended { code, out: self.out.borrow().clone(), err: self.err.borrow().clone() }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // One that has ended already is none the worse for it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn rest_of_line<'a>(text: &'a str, start: &str) -> Option<&'a str> {
    let mut whole = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
    whole.find_map(|line| line.strip_prefix(start))
}

impl Ended {
    /// It failed and said why in one line, which holds all of `words`.
    pub fn failed_saying(&self, words: &[&str]) {
        assert_eq!(self.code, Some(1), "{self:?}");
        assert_eq!(self.out, "", "{self:?}");
        let reasons: Vec<_> = self.err.lines().filter(|line| !is_log_line(line)).collect();
        let [reason] = reasons[..] else { panic!("not one line: {self:?}") };
        assert!(reason.starts_with("parlor: "), "{reason}");
        for word in words {
            assert!(reason.contains(word), "no `{word}` in: {reason}");
        }
    }

    /// It ended well, and nothing on the way was an error.
    pub fn succeeded(&self) {
        assert_eq!(self.code, Some(0), "{self:?}");
        for bad in ["ERROR", "panicked"] {
            assert!(!self.err.contains(bad), "{self:?}");
        }
    }
}

/// Log lines begin with the time.
fn is_log_line(line: &str) -> bool {
    line.starts_with("20") && line.contains("Z  ")
}

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

/// Starts the binary in `directory`, with these variables and no others, but that it serves no
/// metrics unless it is told to: all tests' servers would want the same port.
pub fn start(directory: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Program {
    start_by(Command::new(env!("CARGO_BIN_EXE_parlor")).args(arguments), directory, environment)
}

/// The same for a process that outlives a write past the limit of its files' size, of which a
/// signal tells it: what is ignored stays ignored in the program that takes a process over. With
/// `limited`, no file may be written from the beginning.
pub fn start_limitable(directory: &Path, environment: &[(&str, &str)], limited: bool) -> Program {
    let script = r#"trap "" XFSZ && ulimit -S -f "$1" && exec "$0""#;
    let limit = if limited { "0" } else { "unlimited" };
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", script, env!("CARGO_BIN_EXE_parlor"), limit]);
    start_by(&mut shell, directory, environment)
}

fn start_by(command: &mut Command, directory: &Path, environment: &[(&str, &str)]) -> Program {
    let mut child = command
        .current_dir(directory)
        .env_clear()
        // A fault that the whole run of tests has built in.
        .envs(std::env::vars().filter(|(name, _)| name == "BUILT_IN_FAULT"))
        .env("PARLOR_METRICS__LISTEN", "off")
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

    /// Whether it comes so far as to listen.
    pub async fn listens(&mut self) -> bool {
        let start = "Parlor listens on ";
        within(start, self.out.wait_for(|out| rest_of_line(out, start).is_some())).await.is_ok()
    }

    /// Waits until its log says this.
    pub async fn logged(&mut self, text: &str) {
        self.logged_times(text, 1).await;
    }

    /// Waits until its log has a line that says this; gives the line.
    pub async fn log_line(&mut self, text: &str) -> String {
        self.logged(text).await;
        let err = self.err.borrow();
        err.lines().find(|line| line.contains(text)).expect("the line").to_owned()
    }

    /// Waits until its log has said this so many times.
    pub async fn logged_times(&mut self, text: &str, times: usize) {
        let enough = |err: &String| err.matches(text).count() >= times;
        let found = within(text, self.err.wait_for(enough)).await;
        assert!(found.is_ok(), "not logged {times} times: {text}");
    }

    pub fn id(&self) -> i32 {
        i32::try_from(self.child.id()).expect("an id")
    }

    /// The memory that it holds, in KiB.
    pub fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id()));
        let status = status.expect("a running process");
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = resident.and_then(|rest| rest.trim().strip_suffix(" kB"));
        number.expect("a line").parse().expect("a number")
    }

    /// What it has printed on standard output so far.
    pub fn printed(&self) -> String {
        self.out.borrow().clone()
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.id()).expect("an id"), signal).expect("a running process");
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

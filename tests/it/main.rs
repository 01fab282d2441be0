//! Behaviour over real sockets, as clients see it.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "what fails here fails the test")]

mod configuration;
mod conversation;
mod data_directory;
mod http_edge;
mod killing;
mod process;
mod secrecy;
mod starting;
mod stopping;
mod support;

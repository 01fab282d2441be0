//! Parlor.

pub mod app;
pub mod auth;
pub mod cli;
pub mod clock;
pub mod config;
pub mod domain;
pub mod http;
pub mod hub;
pub mod protocol;
pub mod server;
pub mod store;
pub mod transport;
pub mod web;
pub mod ws;

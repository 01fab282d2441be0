//! Parlor.

pub mod domain;
pub mod protocol;

pub mod auth;

pub mod web;

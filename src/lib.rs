//! Parlor.

pub mod domain;
pub mod protocol;

//! Parlor.

pub mod clock;
pub mod domain;
pub mod protocol;
pub mod store;
pub mod transport;
pub mod hub;

//! Behaviour over real sockets, as clients see it.

mod conversation;
mod support;

//! Behaviour over real sockets, as clients see it.

mod conversation;
mod http_edge;
mod support;

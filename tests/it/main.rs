//! Behaviour over real sockets, as clients see it.

mod bad_frames;
mod closing;
mod conversation;
mod crash;
mod crowd;
mod history;
mod ids;
mod joining;
mod limits;
mod listening;
mod messages;
mod presence;
mod raw;
mod revocation;
mod silence;
mod slow_readers;
mod stopping;
mod support;
mod tokens;
mod violations;

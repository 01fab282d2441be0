//! Live rooms: who is in them, what was just said, who has still to hear it.
//!
//! Lock order, never the other way round: a session's own rooms (`ws::rooms`), the hub's map of
//! rooms, a rider, one room's state, the set of vacant rooms, a lane's newcomers, the writer's
//! queue, the registry of connections, one connection's outbound. Before that last one stand also
//! what a session watches, those who watch and then one watcher's place, beside all others. The
//! list of restless rooms and the blocks of the log are locked alone. No lock is held across an
//! await, and no two rooms are locked at once.

mod block;
mod blocks;
mod boarding;
mod connection;
mod connections;
mod inflight;
mod intake;
mod lane;
mod log;
mod news;
mod presence;
mod publish;
mod rider;
mod room;
mod rooms;
mod state;
mod subscription;
#[cfg(test)]
mod tests;
mod vacant;
mod watch;
mod watch_pages;

pub use block::Part;
pub use blocks::{Begin, BlockLimits, Blocks, Find, Ticket};
pub use connection::Connection;
pub use connections::Connections;
pub use lane::{Lane, LaneOptions, LaneStep};
pub use log::{Log, Turn};
pub use news::{News, NewsReceiver};
pub use room::{Closed, Post, Reservation, Reserve, Room};
pub use rooms::Hub;
pub use state::{Cut, Member, PublishError};
pub use subscription::{Gone, Position, Step, Subscription};
pub use watch::{Watchers, Watching, listed};
pub use watch_pages::Page;

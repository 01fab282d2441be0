//! The WebSocket edge: the upgrade, one session for each connection, and what a session decides.

mod act;
mod heartbeats;
mod pulse;
mod rooms;
mod session;
mod state;
mod upgrade;
mod watch;

pub use heartbeats::Heartbeats;
pub use pulse::{Beat, Pulse, Vitals};
pub use session::{Sessions, serve};
pub use state::{Action, Refused, State};
pub use upgrade::{Socket, router};

//! Parlor is a room server: sign in, enter rooms, talk, find everything again. One process, one
//! binary, one database file.
//!
//! This page is the map of the code. The protocol that clients speak is `src/protocol/protocol.md`;
//! how to run a server is in `README.md`.
//!
//! # From a distance
//!
//! HTTP and WebSocket share one port. Both turn what comes in into values that are valid once
//! built, and call the same use cases. A message gets its place in its room under the room's lock,
//! goes into the writer's queue and out to every member in the same breath; one OS thread commits
//! what has gathered in the queue, and when a commit has returned, its senders get their acks.
//! Whoever was away, slow or cut off is served from the log until it has caught up with the room.
//!
//! # Where a message goes, line by line
//!
//! 1. **Read.** `ws::session` (`Session::inbound`) reads messages from `transport::reader`, and
//!    what came with them (`Session::what_is_there`). A connection holds a parser and bytes only
//!    while there is something for it (`transport::boundary` sees where frames end), and sets no
//!    timer: `ws::heartbeats` takes the pulses of all.
//! 2. **Decoded.** `ws::state` (`State::on_text`) has `protocol::client` (`decode`) make a frame of
//!    the text and decides what is to be done; `ws::act` (`Session::perform`) does it.
//! 3. **Once.** `app::messages` (`App::post`), which HTTP calls too, checks the rate and, for a
//!    message with an id, reserves the id in its room before it looks into the table: of many who
//!    send the same, one stores it.
//! 4. **Stamped.** `hub::publish` (`Room::publish`, and `Room::publish_together` for all that one
//!    read brought) gives it its seq and time under the room's lock, puts it into the writer's
//!    queue (`store::queue`) and broadcasts the frame, encoded once by `protocol::chat`.
//! 5. **Sent.** The room's `hub::lane` (`Lane::step`) puts together what there is and gives it to
//!    one member after the other, by `transport::outbound`, the one place that writes to a socket.
//!    A member that catches up, is slow, or whose socket takes no bytes directly has a receiver of
//!    its own: its `hub::subscription` (`Subscription::step`) hands on the frames (`ws::rooms`
//!    takes the turns). In a room that delivers what is committed, both hold the frame until
//!    step 7, a lane in its `hub::intake`.
//! 6. **Stored.** `store::thread` takes what waits, `store::writer` (`Writer::step`) applies it in
//!    one transaction and commits; `store::events` writes the rows, `store::record` their bytes.
//!    `store::disk` stands between redb and the file, so that a failed sync loses nothing.
//! 7. **Acknowledged.** The commit's news go by way of `hub::news` to `hub::rooms`
//!    (`Hub::committed`), which moves the rooms' watermarks, sets the ids free and writes each
//!    connection its acks.
//!
//! Whoever only listens, over HTTP, has the same subscription: `http::event_stream`
//! (`EventStream::chunk`) steps it when the answer has room for more.
//!
//! Who watches the list of all rooms, most of which it never joined, is told by `hub::watch`: it
//! hears of commits alone, so that it costs the way above nothing.
//!
//! On the way `metrics` is told how long it took (by `store::thread` and `hub::rooms`);
//! `server::metrics` shows it, with what it reads elsewhere, on a listener of its own.
//!
//! Whose request it is, `auth::shown` finds out for both edges; whether a cookie counts, which a
//! browser shows whichever page asks, `auth::origins` decides.
//!
//! History takes the other way: `http::messages` asks `store::reader`, on a small pool, over a
//! snapshot that all readers share until the next commit. A subscription that catches up asks
//! `hub::log`, which keeps stretches of logs as frames (`hub::blocks`): a crowd that comes back is
//! served from one read and one encoding.
//!
//! `cli::load` is no part of the server but a client of it, which puts one under load: `measure`
//! has the order of a run, `member` and `sender` are its connections, `hearing` and `tally` decide
//! what is missing, doubled or out of order, and `hold` names the limit that a refusal tells of.
//!
//! Clients written in JavaScript have a library, `src/web/library`: one file, whose `Core` decides
//! without I/O, as `ws::state` does here, and which `tests/js` tries. On it the web client is
//! built, `src/web/page`, of modules without a build step: `app.js` begins, `session.js` has what a
//! person sees who is signed in, and `conversation.js` the open room. `timeline.js` decides which
//! of its messages are shown and `feed.js` shows them; `markdown.js` makes a tree of a text,
//! `render.js` makes nodes of the tree. All words stand in `words.js`.
//!
//! # Who may use whom
//!
//! Lower never uses higher, and the members of one `{}` never use each other; a test holds it:
//!
//! ```text
//! cli -> server -> { http, ws, web } -> app -> { hub, auth } -> { store, transport }
//!     -> { clock, metrics, mutation } -> domain
//! hub, ws, http, metrics, cli -> protocol -> domain
//! cli, server, app -> config -> domain
//! ```
//!
//! # Invariants
//!
//! - Only `store` names redb and bincode; only `http`, `ws`, `web`, `server` and `transport` name
//!   axum and hyper (and, as a client, `cli::load` hyper); only `cli` prints; only `clock` reads
//!   the time of day.
//! - `domain` and `protocol` do no I/O, read no clock, roll no dice.
//! - A `domain` text that exists is valid; nobody validates again.
//! - There is one write transaction at a time, on the writer's thread. Names and slugs are decided
//!   there. What can refuse a message happens before it gets its seq.
//! - Within a room: order of seqs = order in the writer's queue = order on every socket = order in
//!   history.
//! - What is measured for the operator decides nothing, and recording it takes no lock.
//! - No lock is held across an await. The lock order is written in `hub`.
//! - Every queue, frame, page, map and loop has its bound in `domain::limits`.
//! - An ack means committed with an fsync. Nothing else is called ack.
//! - Once queued, a message no longer depends on its connection.
//! - A task without which the server is not whole ends it when it ends itself (`server::tasks`).
//! - A seq that has left the process is never given to another message: after a stop that was not
//!   clean, every room's seqs jump by more than can have been lost (`hub::room`, `store::schema`).
//! - What decides (writer, room, subscription, session state, pulse) is stepped by a driver and
//!   depends on neither threads nor time.

// In reading order: from the values up to the whole.

pub mod domain;

pub mod protocol;

pub mod clock;

pub mod metrics;

pub mod mutation;

pub mod store;

pub mod transport;

pub mod hub;

pub mod auth;

pub mod app;

pub mod http;

pub mod ws;

pub mod web;

pub mod config;

pub mod server;

pub mod cli;

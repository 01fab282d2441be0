//! Every bound of the server, named, with its unit. Fixed ones are constants; those that an
//! operator may set are fields of [`Limits`], one for each key under `[limits]`.
//!
//! # What slow readers can make the server hold
//!
//! One WebSocket connection: [`Limits::waiting_bytes`] and what its last turn put on top, which is
//! one item of a room or one part of a log (a block, [`BLOCK_BYTES`] as records, or one message).
//! Most of it are slices of what other connections hold too, counted here as if they were not.
//! The kernel keeps up to [`KERNEL_SEND_BYTES`] more for each connection, HTTP or WebSocket; that
//! is not in the process's own memory, and `net.ipv4.tcp_mem` bounds it for the machine.
//!
//! The process: [`Limits::waiting_bytes_total`] for sockets; once that is spent, a connection
//! that waits for nothing still gets one item or part at a time, so that it goes on. Whatever is
//! pinned of blocks beyond the slices that wait is within [`BLOCKS_KEPT_BYTES`] and
//! [`BLOCKS_PINNED_BYTES`]. [`ANSWERS_BYTES`] for pages over HTTP, and [`WATCH_PAGES_BYTES`] for
//! those of the list of rooms. With the defaults, that is 256 + 8 + 64 + 64 + 4 MiB, and in the
//! kernel half a mebibyte for each connection that does not read, until it is given up on after
//! [`Limits::write_stall_seconds`].
//!
//! # What a slow disk can make it hold
//!
//! The writer's queue, [`Limits::writer_queue_bytes`], and the batch in the writer's hands,
//! [`BATCH_BYTES`]. In rooms whose members hear nothing before its commit the frames wait too:
//! [`LANE_HELD_BYTES`] in each lane, [`HELD_BYTES_TOTAL`] in all of them.

use std::ops::RangeInclusive;
use std::time::Duration;

// ---- what people write ------------------------------------------------------------------------

pub const USERNAME_CHARACTERS: RangeInclusive<usize> = 3..=32;
pub const DISPLAY_NAME_CHARACTERS: RangeInclusive<usize> = 1..=64;
pub const ROOM_NAME_CHARACTERS: RangeInclusive<usize> = 1..=80;
pub const SLUG_CHARACTERS: RangeInclusive<usize> = 1..=64;
pub const PASSWORD_CHARACTERS: RangeInclusive<usize> = 8..=128;
/// A client's own id of a message.
pub const MESSAGE_ID_BYTES: usize = 64;
/// The `ref` of a frame.
pub const REF_BYTES: usize = 64;
/// Faults reported about one input; the rest is left out.
pub const FIELD_ERRORS: usize = 32;
/// Fields read of one JSON object; an object with more is refused.
pub const JSON_FIELDS: usize = 64;

/// The most that [`Limits::message_bytes`] can be set to: with every character escaped as `\u003c`,
/// which is six bytes for one, and what stands around it, it still fits a request's body.
pub const MESSAGE_BYTES_MAX: usize = (BODY_BYTES - BODY_SPARE_BYTES) / 6;
/// What a request that posts a message holds beside the message: names, quotes and an escaped id.
const BODY_SPARE_BYTES: usize = 1024;
/// What a WebSocket message that carries a chat message holds beside its text.
pub const FRAME_SPARE_BYTES: usize = 256;

// ---- configuration ----------------------------------------------------------------------------

/// A configuration file; a longer one is refused.
pub const CONFIG_FILE_BYTES: usize = 1024 * 1024;
/// The secret that signs tokens, which the configuration may give.
pub const SECRET_BYTES: RangeInclusive<usize> = 32..=1024;
/// How long a sign-in lasts: one minute to one year of 365.25 days.
pub const TOKEN_TTL: RangeInclusive<Duration> =
    Duration::from_mins(1)..=Duration::from_hours(8_766);

/// Other origins that may call the API.
pub const ALLOWED_ORIGINS: usize = 64;

// ---- HTTP -------------------------------------------------------------------------------------

/// A request's body. The largest honest one is a message whose characters are all escaped.
pub const BODY_BYTES: usize = 128 * 1024;
/// The name of a host; DNS has no longer ones.
pub const HOST_BYTES: usize = 253;
/// For a browser to remember what a preflight told it.
pub const PREFLIGHT_AGE: Duration = Duration::from_hours(2);
/// All bodies that are being read at once.
pub const BODIES_BYTES: usize = 64 * 1024 * 1024;
/// All pages of history and of rooms that their readers have not taken yet; past it, a further one
/// is `overloaded`.
pub const ANSWERS_BYTES: usize = 64 * 1024 * 1024;
/// A request's head, which bounds what a connection that never finishes it can hold.
pub const HEAD_BYTES: usize = 16 * 1024;
/// From the first byte of a connection, or the end of the last answer, to a whole request head.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(15);
/// For the whole body of a request.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(20);
/// For an HTTP post to become durable before it is answered `unavailable`.
pub const DURABLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Rooms or messages on one page.
pub const PAGE_ITEMS: RangeInclusive<u64> = 1..=200;
pub const PAGE_ITEMS_DEFAULT: u64 = 50;
/// A stream of events that has nothing to tell says so with a comment this often.
pub const EVENTS_KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Bytes of live events that are put together for one write; one event is always taken.
pub const EVENTS_CHUNK_BYTES: usize = 64 * 1024;
/// How long a write of an answer may wait once its connection is to end.
pub const HURRIED_STALL: Duration = Duration::from_secs(1);
/// A client's own `x-request-id`; a longer one is replaced.
pub const REQUEST_ID_BYTES: usize = 64;
/// What an answer quotes of a body that is not JSON.
pub const ERROR_DETAIL_CHARACTERS: usize = 200;
/// Before trying again when the machine has no file or memory for another connection.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Connections accepted beyond [`Limits::connections`], for plain HTTP while the sockets are full.
pub const HTTP_CONNECTIONS: usize = 256;
/// Requests for the page of metrics at once; further ones wait in the kernel's queue.
pub const METRICS_CONNECTIONS: usize = 16;
/// For one request for the page of metrics, from its connection to its last byte.
pub const METRICS_TIMEOUT: Duration = Duration::from_secs(5);
/// Open files kept back from connections: the database, the listeners, the runtime, the page of
/// metrics.
pub const RESERVED_FILES: usize = 64;

// ---- accounts ---------------------------------------------------------------------------------

/// What is taken for a user name at sign-in, where one that no account can have is merely wrong.
pub const SIGN_IN_NAME_CHARACTERS: RangeInclusive<usize> = 1..=128;
/// Password hashes computed at once; each takes 19 MiB and a core for some tens of milliseconds.
pub const PASSWORD_HASHES: usize = 2;
/// Requests that wait for a password hash; one more is refused with `overloaded`.
pub const PASSWORD_QUEUE: usize = 64;
/// A token; ours have about 250, and a longer text is refused before any work.
pub const TOKEN_BYTES: usize = 2 * 1024;
/// Cookies of the session's name that are looked at in one request; neighbours can set some, too.
pub const SESSION_COOKIES: usize = 4;
/// Sign-ins kept for one account; a further one ends the oldest.
pub const SESSIONS_PER_USER: usize = 64;
/// Keys a rate limiter remembers before it forgets those that are back at rest.
pub const RATE_KEYS: usize = 100_000;

// ---- the socket -------------------------------------------------------------------------------

/// Erroneous frames in a row before the connection is closed with 1008.
pub const BAD_FRAMES: u32 = 20;
/// What one read from a socket takes. The buffer is the thread's; a connection holds one only while
/// it deals with what it brought.
pub const READ_BUFFER_BYTES: usize = 4 * 1024;
/// Messages that are acted upon together because they came together.
pub const READ_TOGETHER: usize = 64;
/// The kernel's send buffer of one connection, as it is asked for.
pub const SEND_BUFFER_BYTES: usize = 256 * 1024;
/// What the kernel then keeps for one connection at most: Linux doubles what it is asked for, to
/// count its own bookkeeping too, and asks for no more than `net.core.wmem_max`.
pub const KERNEL_SEND_BYTES: usize = 2 * SEND_BUFFER_BYTES;
/// Slices of what waits that are given to one system call.
pub const WRITE_SLICES: usize = 64;
/// What the parser of a socket's frames may keep of its own answers (pongs, the echo of a close);
/// they are handed on at once, so this is never reached.
pub const CONTROL_WRITE_BYTES: usize = 64 * 1024;
/// One `typing` a person, a room and this interval is passed on.
pub const TYPING_INTERVAL_MS: u64 = 1_000;
/// How long a closing connection drains what its peer still sends, so that the peer reads the
/// close frame and not a reset.
pub const CLOSE_LINGER: Duration = Duration::from_secs(2);
/// A refused connection's bytes thrown away while lingering.
pub const CLOSE_LINGER_BYTES: usize = 8 * 1024 * 1024;
/// Pauses between pings in which nothing is heard before 4408.
pub const SILENT_HEARTBEATS: u32 = 2;
/// Between two looks at whether a connection is alive, in milliseconds: a quarter of the shortest
/// time after which something is done about it, within these bounds.
pub const PULSE_INTERVAL_MS: RangeInclusive<u64> = 50..=5_000;
/// Connections looked at before others have a turn.
pub const HEARTBEAT_TURN: usize = 256;

// ---- rooms ------------------------------------------------------------------------------------

/// Tries before a message gives up on a room that is dropped from memory under its hands, or on an
/// id that others keep reserving.
pub const POST_TRIES: usize = 64;
/// Times a room is looked up when it is dropped from memory in between.
pub const ROOM_LOOKUPS: usize = 4;
/// Numbers put behind the slug that a name suggests when it is taken.
pub const SLUG_SUFFIXES: RangeInclusive<u32> = 2..=9;
/// Random slugs tried behind those.
pub const RANDOM_SLUGS: usize = 3;
/// Slots of a room's broadcast channel. They are allocated at once and hold frames until
/// overwritten, so few: the log is the long memory.
pub const BROADCAST_SLOTS: usize = 32;
/// Items that a room may be ahead of a lane before publishers wait for it; the rest of the channel
/// is for what waits for nobody.
pub const LANE_LEAD: u64 = BROADCAST_SLOTS as u64 - 8;
/// Items that wait for their commit before a lane is rung to take them in.
pub const LANE_INTAKE: u64 = LANE_LEAD / 2;
/// Bytes of frames that a lane puts together for one write, and one item more.
pub const LANE_BATCH_BYTES: usize = 64 * 1024;
/// Bytes of frames that wait for their commit in one lane, and one item more: those of some full
/// commits of short messages. All lanes of a room share the bytes. Past it, the lane's members read
/// the log.
pub const LANE_HELD_BYTES: usize = 4 * 1024 * 1024;
/// The same in all lanes of the process, each counted by itself. Past it, the members of whichever
/// lane still holds something when it receives read the log.
pub const HELD_BYTES_TOTAL: usize = 64 * 1024 * 1024;
/// Members that ride on each lane of a room before it opens another.
pub const LANE_CROWD: usize = 500;
/// Lanes of a room, for each thread that can run one.
pub const LANES_PER_THREAD: usize = 4;
/// Who leaves a room waits so long for what its lane has still at hand.
pub const LEAVE_PATIENCE: Duration = Duration::from_secs(1);
/// Members, and for each part of a round that goes out by itself fewer, that a lane serves before
/// everybody else on its thread has a turn.
pub const LANE_TURN: usize = 64;
/// Places of members that left a lane, beside as many as ride, before they are cleared.
pub const LANE_SLACK: usize = 64;
/// Changes of presence are gathered this long.
pub const PRESENCE_GATHER: Duration = Duration::from_millis(500);
/// Rooms whose members are told of it before everybody else on the thread has a turn.
pub const PRESENCE_TURN: usize = 64;
/// People whose names `presence` lists; above, it tells their number alone.
pub const PRESENCE_NAMES: usize = 200;
/// Rooms in one frame about the list of rooms.
pub const WATCH_ROOMS: usize = 200;
/// Bytes of such frames that are kept while several connections are told all rooms.
pub const WATCH_PAGES_BYTES: usize = 4 * 1024 * 1024;
/// Changes of the list of rooms are gathered this long.
pub const WATCH_GATHER: Duration = Duration::from_secs(1);
/// Changed rooms of which somebody who watches has still to be told, and as many again while they
/// are being told; past it, whoever is furthest behind is closed with 4408.
pub const WATCH_CHANGES: usize = 262_144;
/// Watchers that are told before everybody else on the thread has a turn.
pub const WATCH_TURN: usize = 64;
/// Bytes of messages on one page of history; one event is always taken.
pub const PAGE_BYTES: usize = 256 * 1024;
/// Events in one block of a room's log, which is encoded once for all members that catch up; also
/// what a member gets before others have their turn.
pub const BLOCK_EVENTS: usize = 256;
/// Bytes of records in such a block; one event is always taken.
pub const BLOCK_BYTES: usize = 64 * 1024;
/// A block that is not the continuation of another begins at a multiple of this seq, so that
/// members a few messages apart share it.
pub const BLOCK_ALIGN: u64 = 32;
/// Bytes of blocks, as frames, that the process keeps for whoever wants the same next.
pub const BLOCKS_KEPT_BYTES: usize = 8 * 1024 * 1024;
/// Bytes of blocks that are not kept any more but of which some connection still has a slice
/// waiting, in the whole process. Past it, who catches up gets small parts of its own.
pub const BLOCKS_PINNED_BYTES: usize = 64 * 1024 * 1024;
/// Bytes of records in such a part; one event is always taken.
pub const LONE_PART_BYTES: usize = 8 * 1024;
/// Blocks read at once; the other threads are free for look-ups, which senders wait for.
pub const CATCH_UP_READS: usize = READ_THREADS / 2;
/// Members that get a block at the same time; the others wait for their turn.
pub const CATCH_UP_TURNS: usize = 8;
/// Idle rooms are looked for and dropped this often.
pub const EVICTION_INTERVAL: Duration = Duration::from_mins(1);

// ---- the store --------------------------------------------------------------------------------

/// Messages and other writes that one commit takes.
pub const BATCH_COMMANDS: usize = 4_096;
/// Bytes of messages that one commit takes.
pub const BATCH_BYTES: usize = 8 * 1024 * 1024;
/// Bytes written since the last sync, which are kept in memory until the next; then one is made at
/// once. Few commits write as much: one of 4,000 messages in as many rooms whose last message was
/// long does.
pub const UNSYNCED_BYTES: usize = 64 * 1024 * 1024;
/// After this long without a commit, one more is made that lets a start after a crash skip the walk
/// over the database.
pub const REST: Duration = Duration::from_secs(2);
/// Events of a deleted room removed in one commit.
pub const PURGE_EVENTS: usize = 1_000;
/// Threads that read the database, hence reads at once.
pub const READ_THREADS: usize = 4;
/// Reads that wait for one of them; further ones wait for a place.
pub const READ_QUEUE: usize = 1_024;
/// After a crash, so much of the database is read ahead of the walk over it.
pub const READ_AHEAD_BYTES: u64 = 8 << 30;
/// Of that, in one piece.
pub const READ_AHEAD_STEP: usize = 256 << 10;
/// What is read of the mark that a stop leaves beside the database.
pub const STOP_MARK_BYTES: u64 = 256;
/// After a fault of storage the database is opened again this often.
pub const STORAGE_RETRY: Duration = Duration::from_millis(250);
/// Commits whose news the live side has not taken yet; then the writer waits.
pub const COMMITS_UNTOLD: usize = 64;
/// A room's seqs jump by this much for each start after a crash.
pub const SEQ_JUMP: u64 = 1 << 20;
/// The most messages the writer's queue can be set to hold.
pub const WRITER_QUEUE_MESSAGES_MAX: usize = 262_144;

// What a crash can lose of a room is less than one jump: the queue full, and the writer's hands
// full, and as much again waiting after a fault.
const _: () = assert!(SEQ_JUMP > 2 * (WRITER_QUEUE_MESSAGES_MAX + BATCH_COMMANDS) as u64);

// ---- stopping ---------------------------------------------------------------------------------

/// From the signal to the end; what has not closed by then is cut.
pub const STOP_DEADLINE: Duration = Duration::from_secs(10);
/// Clients are told to come back after a delay spread over this interval.
pub const RECONNECT_SPREAD_MS: RangeInclusive<u64> = 500..=5_000;

/// The bounds that an operator may set. A *rate* of 0 means no limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one message's text.
    pub message_bytes: usize,
    /// Bytes of one WebSocket message from a client.
    pub frame_bytes: usize,
    /// Rooms that one connection may be in.
    pub rooms_per_connection: usize,
    /// Sockets and streams of events of one user; the oldest is closed for one more.
    pub connections_per_user: usize,
    /// Sockets and streams of events of the process.
    pub connections: usize,
    /// Messages of one user a second, and what counts as some (rate).
    pub messages_per_second: u32,
    /// Messages that a user may send at once after a pause.
    pub message_burst: u32,
    /// Sign-ins, sign-ups and whatever else takes a password, of one address a minute (rate).
    pub sign_ins_per_minute: u32,
    /// Uncommitted messages of one connection; then the server stops reading from it.
    pub unacknowledged: usize,
    /// Messages in the writer's queue.
    pub writer_queue_messages: usize,
    /// Bytes of messages in the writer's queue.
    pub writer_queue_bytes: usize,
    /// Bytes waiting for one connection; past it, it turns from live to catching up.
    pub waiting_bytes: usize,
    /// Bytes waiting for all connections.
    pub waiting_bytes_total: usize,
    /// Bytes of unfinished WebSocket messages of all connections.
    pub partial_input_bytes: usize,
    /// Bytes of the database's cache.
    pub cache_bytes: usize,
    /// Seconds between two pings of a quiet connection.
    pub heartbeat_seconds: u64,
    /// Seconds in which a socket must take something of what waits for it.
    pub write_stall_seconds: u64,
    /// Seconds for which storage may fail before the process gives up and ends.
    pub storage_patience_seconds: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes: 16 * 1024,
            frame_bytes: 64 * 1024,
            rooms_per_connection: 128,
            connections_per_user: 32,
            connections: 100_000,
            messages_per_second: 50,
            message_burst: 200,
            sign_ins_per_minute: 10,
            unacknowledged: 256,
            writer_queue_messages: 65_536,
            writer_queue_bytes: 64 * 1024 * 1024,
            waiting_bytes: 256 * 1024,
            waiting_bytes_total: 256 * 1024 * 1024,
            partial_input_bytes: 64 * 1024 * 1024,
            cache_bytes: 64 * 1024 * 1024,
            heartbeat_seconds: 25,
            write_stall_seconds: 120,
            storage_patience_seconds: 60,
        }
    }
}

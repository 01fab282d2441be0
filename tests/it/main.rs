//! Behaviour over real sockets, as clients see it.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "what fails here fails the test")]
#![expect(clippy::print_stdout, reason = "shown of a test that fails, to repeat it")]

mod bad_frames;
mod bare;
mod bounded;
mod closing;
mod committed;
mod configuration;
mod conversation;
mod crash;
mod crowd;
mod data_directory;
mod disk;
mod event_source;
mod events;
mod events_end;
mod failing_disk;
mod history;
mod http_edge;
mod ids;
mod inside;
mod joining;
mod js;
mod killing;
mod limits;
mod listening;
mod load;
mod messages;
mod metrics;
mod overload;
mod presence;
mod process;
mod raw;
mod resuming;
mod revocation;
mod secrecy;
mod signals;
mod silence;
mod slow_readers;
mod socket;
mod starting;
mod stopping;
mod support;
mod tokens;
mod violations;

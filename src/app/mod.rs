//! The use cases: what a person or program can do. HTTP, the socket and the command line call
//! these and nothing below.

mod accounts;
mod messages;
mod rate;
mod rooms;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::auth::{Origins, Passwords, RandomError, Tokens};
use crate::clock::Clock;
pub use crate::config::Signup;
use crate::domain::{Delivery, Limits, LogId, Refusal};
use crate::hub::Hub;
use crate::store::{Command, Health, ReadError, Reader, Snapshot, SubmitError, WriteQueue};

pub use accounts::{
    ChangePasswordRequest, SetupCode, SignInRequest, SignUpRequest, SignedIn, Token,
};
pub use messages::{Caller, Posted};
pub use rate::{Pace, RateLimits};
pub use rooms::{CreateRoomRequest, RoomView};

/// Everything that lives as long as the server.
#[derive(Debug)]
pub struct App {
    pub hub: Arc<Hub>,
    pub clock: Clock,
    pub settings: Settings,
    reader: Reader,
    queue: WriteQueue,
    health: Health,
    passwords: Passwords,
    tokens: Tokens,
    rates: RateLimits,
}

/// What the use cases are told once, at start.
#[derive(Debug, Clone)]
pub struct Settings {
    pub limits: Limits,
    pub log: LogId,
    pub signup: Signup,
    pub token_ttl: Duration,
    /// Of new rooms that do not say theirs.
    pub delivery: Delivery,
    /// Whose pages may show the session's cookie, and call the API.
    pub origins: Origins,
    /// Needed for the first account; `None`: whoever comes first may make it.
    pub setup_code: Option<SetupCode>,
}

/// The parts that [`App::new`] puts together.
#[derive(Debug)]
pub struct Parts {
    pub hub: Arc<Hub>,
    pub clock: Clock,
    pub reader: Reader,
    pub queue: WriteQueue,
    pub health: Health,
    pub token_secret: Vec<u8>,
}

impl App {
    #[must_use]
    pub fn new(parts: Parts, settings: Settings) -> Arc<Self> {
        Arc::new(Self {
            hub: parts.hub,
            clock: parts.clock,
            reader: parts.reader,
            queue: parts.queue,
            health: parts.health,
            passwords: Passwords::new(),
            tokens: Tokens::new(&parts.token_secret),
            rates: RateLimits::new(&settings.limits),
            settings,
        })
    }

    /// Whether writes reach the disk.
    #[must_use]
    pub fn is_storing(&self) -> bool {
        self.health.is_good()
    }

    /// Forgets what rate limiters need not remember; called now and then.
    pub fn tidy_rates(&self) {
        self.rates.tidy();
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Snapshot) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, Refusal> {
        self.reader.read(read).await.map_err(|error| unreadable(&error))
    }

    /// Has the writer do something and waits until it is on disk.
    async fn write<T>(
        &self,
        command: Command,
        outcome: oneshot::Receiver<T>,
    ) -> Result<T, Refusal> {
        self.queue.submit(command).map_err(|error| match error {
            SubmitError::Full => Refusal::Overloaded,
            SubmitError::Unavailable => Refusal::Unavailable,
        })?;
        // Without an answer: the request met a damaged record, or storage did not come back.
        let unanswered = || {
            if self.health.is_good() { Refusal::Internal } else { Refusal::Unavailable }
        };
        outcome.await.map_err(|_| unanswered())
    }
}

/// A read that failed: the reason goes to the log, the client hears that storage is at fault.
fn unreadable(error: &ReadError) -> Refusal {
    if matches!(error, ReadError::NoSuchRoom) || error.is_too_late() || error.is_fault() {
        // A room that goes and a stop come upon reads; of a fault the writer tells, once.
        tracing::debug!(%error, "a read was not possible");
    } else {
        tracing::error!(%error, "a read failed");
    }
    match error {
        ReadError::Storage(_) | ReadError::Closed => Refusal::Unavailable,
        ReadError::NoSuchRoom => Refusal::NoSuchRoom,
        ReadError::Record(_)
        | ReadError::Aborted(_)
        | ReadError::Failed(_)
        | ReadError::Inconsistent(_) => Refusal::Internal,
    }
}

fn no_randomness(error: RandomError) -> Refusal {
    tracing::error!(%error, "no random bytes");
    Refusal::Internal
}

/// The part of an address that one household or server shares: an IPv6 address is one of 2^64 that
/// its owner can use at will.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) >> 64 << 64).into()),
        v4 @ IpAddr::V4(_) => v4,
    }
}

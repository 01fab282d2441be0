//! Faults that can be built in on purpose, to show that the tests which are meant to find them do.
//!
//! Without the feature `mutations`, which no build that is meant to run a server has, [`is`] is
//! constantly false and nothing of a mutation is left in the program. With it a thread has at most
//! one mutation at a time, which its test has set.

/// One fault, named by what is done wrong. Each stands at one place in the code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutation {
    /// A sync reports success and does nothing.
    SyncDoesNothing,
    /// What was written since the last good sync is not written again after a fault.
    NotWrittenAgain,
    /// A commit that failed counts as done.
    FailedCommitCounts,
    /// A batch whose commit failed is taken for landed without a look.
    LandedUnseen,
    /// A batch whose commit failed is applied again though it landed.
    AppliedTwice,
    /// Every stop counts as a clean one.
    EveryStopIsClean,
    /// Readers keep the snapshot of before the commit.
    StaleSnapshot,
    /// Messages are taken while storage fails.
    TakenWhileFailing,
    /// After a start that followed a crash the seqs do not jump.
    NoJump,
    /// The first event behind a jump does not name the one before.
    NoPrev,
    /// A message that the queue refused has used up its seq.
    RefusedUsesSeq,
    /// Members hear a message before the queue has taken it.
    BroadcastFirst,
    /// A room that holds messages back until they are committed lets them be heard at once.
    HeardBeforeCommit,
    /// The watermark moves when a message is published.
    WatermarkFirst,
    /// An id is reserved by whoever asks.
    NoReservations,
    /// A reservation ends with the publication.
    ReservationEndsEarly,
    /// An id is not looked up in the table.
    NotLookedUp,
    /// A known id is answered whatever the text is.
    TextNotCompared,
    /// A cut's head is one too low.
    HeadTooLow,
    /// The last event of a part of the log is left out.
    LastOfPageSkipped,
    /// A member that fell behind goes on with what is left.
    LagIgnored,
    /// A lane that gave up what waited in it for its commit goes on with what is left.
    MissForgotten,
    /// Who boards a lane gets all of its next round, also what it had before.
    HandedTwice,
    /// What a member's socket did not take from its lane counts as handed over.
    OfferForgotten,
    /// A room is dropped from memory while messages of it are on their way.
    EvictedTooEarly,
    /// An event does not count.
    NotCounted,
}

impl Mutation {
    pub const ALL: [Self; 26] = [
        Self::SyncDoesNothing,
        Self::NotWrittenAgain,
        Self::FailedCommitCounts,
        Self::LandedUnseen,
        Self::AppliedTwice,
        Self::EveryStopIsClean,
        Self::StaleSnapshot,
        Self::TakenWhileFailing,
        Self::NoJump,
        Self::NoPrev,
        Self::RefusedUsesSeq,
        Self::BroadcastFirst,
        Self::HeardBeforeCommit,
        Self::WatermarkFirst,
        Self::NoReservations,
        Self::ReservationEndsEarly,
        Self::NotLookedUp,
        Self::TextNotCompared,
        Self::HeadTooLow,
        Self::LastOfPageSkipped,
        Self::LagIgnored,
        Self::MissForgotten,
        Self::HandedTwice,
        Self::OfferForgotten,
        Self::EvictedTooEarly,
        Self::NotCounted,
    ];
}

/// Whether `mutation` is built in.
#[cfg(not(feature = "mutations"))]
#[must_use]
pub const fn is(_mutation: Mutation) -> bool {
    false
}

#[cfg(feature = "mutations")]
thread_local! {
    static CURRENT: std::cell::Cell<Option<Mutation>> = const { std::cell::Cell::new(None) };
}

/// Whether `mutation` is built in: on this thread, or in the whole process by the environment.
#[cfg(feature = "mutations")]
#[must_use]
pub fn is(mutation: Mutation) -> bool {
    CURRENT.get() == Some(mutation) || of_process() == Some(mutation)
}

/// From here on this thread has this one, or none.
#[cfg(feature = "mutations")]
pub fn set(mutation: Option<Mutation>) {
    CURRENT.set(mutation);
}

/// `BUILT_IN_FAULT` names one for tests of a whole process.
#[cfg(feature = "mutations")]
fn of_process() -> Option<Mutation> {
    static NAMED: std::sync::OnceLock<Option<Mutation>> = std::sync::OnceLock::new();
    *NAMED.get_or_init(|| {
        let name = std::env::var("BUILT_IN_FAULT").ok()?;
        Mutation::ALL.into_iter().find(|mutation| format!("{mutation:?}") == name)
    })
}

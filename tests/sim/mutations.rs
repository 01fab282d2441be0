//! The simulation can fail: with any one fault built in, it finds something wrong.

use parlor::mutation::{self, Mutation};

use crate::{attempt, say};

/// Runs in which a mutation must be found.
const RUNS: u64 = 1_500;

/// What the run said that found it, and after how many.
fn caught(mutation: Mutation) -> Option<(u64, String)> {
    mutation::set(Some(mutation));
    let found = (0..RUNS).find_map(|seed| Some((seed + 1, attempt(seed).err()?)));
    mutation::set(None);
    found
}

#[test]
fn every_mutation_is_caught() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let outcomes = Mutation::ALL.map(|mutation| (mutation, caught(mutation)));
    std::panic::set_hook(hook);
    let mut count = 0;
    for (mutation, outcome) in &outcomes {
        match outcome {
            Some((runs, found)) => {
                count += 1;
                let found = found.lines().next().unwrap_or_default();
                say(&format!("{mutation:?}: caught in run {runs}: {found}"));
            }
            None => say(&format!("{mutation:?}: NOT caught in {RUNS} runs")),
        }
    }
    say(&format!("mutations caught: {count} of {}", outcomes.len()));
    assert_eq!(count, outcomes.len());
}

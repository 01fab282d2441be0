//! How a benchmark ends.

use std::process::ExitCode;

use crate::Failure;

/// `Ok(false)`: something was lost, doubled or out of order.
pub fn end(benchmark: &str, outcome: Result<bool, Failure>) -> ExitCode {
    match outcome {
        Ok(true) => return ExitCode::SUCCESS,
        Ok(false) => eprintln!("{benchmark}: messages are missing, doubled or out of order"),
        Err(error) => eprintln!("{benchmark}: {error}"),
    }
    ExitCode::FAILURE
}

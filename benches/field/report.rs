//! Tables and JSON.

use std::fmt::Write as _;
use std::path::Path;

use serde::Serialize;
use serde_json::{Value, json};

use super::task::{Outcome, Task};
use crate::Failure;

/// What other processes may take of a core before it is told.
const QUIET: f64 = 0.05;

/// What came of a task, turn by turn, for each server that was put to it.
pub struct Results<'a> {
    pub task: &'a Task,
    pub servers: Vec<Result>,
}

#[derive(Serialize)]
pub struct Result {
    pub server: &'static str,
    pub turns: Vec<Outcome>,
}

impl Result {
    pub fn outcome(&self) -> Outcome {
        Outcome::of_turns(&self.turns)
    }
}

impl Results<'_> {
    /// A line for each server. In brackets, what the first one's figure is of it.
    pub fn table(&self) -> String {
        let figures = self.task.figures();
        let mut table = format!("{}\n{:9}", self.task.title(), "");
        for figure in &figures {
            let _ = write!(table, "{:>22}", figure.name);
        }
        let _ = writeln!(table, "{:>10}{:>9}{:>14}", "missing", "doubled", "out of order");
        let outcomes: Vec<Outcome> = self.servers.iter().map(Result::outcome).collect();
        for (result, outcome) in self.servers.iter().zip(&outcomes) {
            let _ = write!(table, "{:9}", result.server);
            for figure in &figures {
                let own = (figure.of)(outcome);
                let part = (figure.of)(&outcomes[0]) / own;
                let _ = write!(table, "{own:>15.*} ({part:.2})", figure.decimals);
            }
            let Outcome { missing, doubled, out_of_order, .. } = outcome;
            let _ = writeln!(table, "{missing:>10}{doubled:>9}{out_of_order:>14}");
        }
        let others = outcomes.iter().map(|outcome| outcome.others).fold(0.0, f64::max);
        if others > QUIET {
            let _ =
                writeln!(table, "The machine was not quiet: others took {others:.2} of a core.");
        }
        table
    }

    fn json(&self) -> Value {
        let servers = self.servers.iter().map(|result| {
            json!({"server": result.server, "medians": result.outcome(), "turns": result.turns})
        });
        json!({
            "work": self.task.name,
            "title": self.task.title(),
            "servers": servers.collect::<Vec<_>>(),
        })
    }
}

/// Every turn, as JSON.
pub fn write(path: &Path, all: &[Results<'_>]) -> std::result::Result<(), Failure> {
    let works: Vec<_> = all.iter().map(Results::json).collect();
    Ok(std::fs::write(path, serde_json::to_vec_pretty(&json!({ "works": works }))?)?)
}

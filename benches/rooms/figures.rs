//! Figures of works: lines and JSON.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::Failure;
use crate::field::median::median;

/// What came of a part of a work.
#[derive(Clone)]
pub struct Row {
    pub name: &'static str,
    /// `None`: nobody said anything.
    pub counts: Option<Counts>,
    pub figures: Vec<Figure>,
}

#[derive(Clone, Copy, Default)]
pub struct Counts {
    pub sent: u64,
    pub expected: u64,
    pub delivered: u64,
    pub doubled: u64,
    pub out_of_order: u64,
}

#[derive(Clone, Copy)]
pub struct Figure {
    pub name: &'static str,
    pub value: f64,
    pub decimals: usize,
}

impl Figure {
    pub fn new(name: &'static str, value: f64, decimals: usize) -> Self {
        Self { name, value, decimals }
    }
}

impl Counts {
    pub fn missing(&self) -> u64 {
        self.expected.saturating_sub(self.delivered)
    }
}

impl Row {
    pub fn is_sound(&self) -> bool {
        self.counts.is_none_or(|counts| {
            counts.missing() == 0 && counts.doubled == 0 && counts.out_of_order == 0
        })
    }

    pub fn line(&self) -> String {
        let mut line = format!("  {:36}", self.name);
        for Figure { name, value, decimals } in &self.figures {
            let _ = write!(line, "{value:>9.decimals$} {name}");
        }
        if let Some(counts) = &self.counts {
            let Counts { sent, delivered, doubled, out_of_order, .. } = counts;
            let missing = counts.missing();
            let _ = write!(
                line,
                "\n  {:36}sent {sent}, delivered {delivered}, missing {missing}, \
                 doubled {doubled}, out of order {out_of_order}",
                ""
            );
        }
        line
    }

    fn json(&self) -> Value {
        let figures =
            self.figures.iter().map(|figure| (figure.name.to_owned(), figure.value.into()));
        let counts = self.counts.map(|counts| {
            json!({
                "sent": counts.sent,
                "expected": counts.expected,
                "delivered": counts.delivered,
                "missing": counts.missing(),
                "doubled": counts.doubled,
                "outOfOrder": counts.out_of_order,
            })
        });
        let figures = figures.collect::<serde_json::Map<_, _>>();
        json!({"part": self.name, "figures": figures, "counts": counts})
    }
}

/// Of several turns with the same rows: the sums of what is counted, the medians of the rest.
pub fn medians(turns: &[Vec<Row>]) -> Vec<Row> {
    let Some(first) = turns.first() else { return Vec::new() };
    let mut rows = first.clone();
    for (at, row) in rows.iter_mut().enumerate() {
        for (place, figure) in row.figures.iter_mut().enumerate() {
            figure.value = median(turns.iter().map(|turn| turn[at].figures[place].value));
        }
        let sum = |of: fn(&Counts) -> u64| {
            turns.iter().filter_map(|turn| turn[at].counts.as_ref()).map(of).sum()
        };
        row.counts = row.counts.map(|_| Counts {
            sent: sum(|counts| counts.sent),
            expected: sum(|counts| counts.expected),
            delivered: sum(|counts| counts.delivered),
            doubled: sum(|counts| counts.doubled),
            out_of_order: sum(|counts| counts.out_of_order),
        });
    }
    rows
}

/// A work with every turn.
pub fn json(name: &str, title: &str, rows: &[Row], turns: &[Vec<Row>]) -> Value {
    let rows_of = |rows: &[Row]| rows.iter().map(Row::json).collect::<Vec<_>>();
    let turns: Vec<_> = turns.iter().map(|turn| rows_of(turn)).collect();
    json!({"work": name, "title": title, "medians": rows_of(rows), "turns": turns})
}

pub fn write(path: &Path, works: &[Value]) -> Result<(), Failure> {
    Ok(std::fs::write(path, serde_json::to_vec_pretty(&json!({ "works": works }))?)?)
}

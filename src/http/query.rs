//! Query strings: every fault at once, unknown parameters ignored, of a repeated one the last
//! counts.

use std::ops::RangeInclusive;

use axum::http::HeaderMap;

use crate::domain::limits::{PAGE_ITEMS, PAGE_ITEMS_DEFAULT};
use crate::domain::{Invalid, Refusal, SAFE_INTEGER_END};

/// The parameters, and the faults found in them so far.
#[derive(Debug)]
pub(super) struct Query {
    parameters: Vec<(String, String)>,
    faults: Invalid,
}

impl Query {
    pub(super) fn new(query: Option<&str>) -> Self {
        let query = query.unwrap_or_default().as_bytes();
        let parameters = form_urlencoded::parse(query).into_owned().collect();
        Self { parameters, faults: Invalid::default() }
    }

    /// An integer below 2^53. `None`: absent or at fault.
    pub(super) fn position(&mut self, name: &str) -> Option<u64> {
        self.integer(name, 0..=SAFE_INTEGER_END - 1)
    }

    /// How many entries a page shall have.
    pub(super) fn limit(&mut self) -> Option<u64> {
        self.integer("limit", PAGE_ITEMS)
    }

    /// The same, of a header.
    pub(super) fn header_position(&mut self, headers: &HeaderMap, name: &str) -> Option<u64> {
        let value = headers.get_all(name).iter().next_back()?;
        self.number(name, value.to_str().unwrap_or_default(), 0..=SAFE_INTEGER_END - 1)
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let found = self.parameters.iter().rev().find(|(key, _)| key == name);
        found.map(|(_, text)| text.as_str())
    }

    fn integer(&mut self, name: &str, range: RangeInclusive<u64>) -> Option<u64> {
        let text = self.text(name)?.to_owned();
        self.number(name, &text, range)
    }

    fn number(&mut self, name: &str, text: &str, range: RangeInclusive<u64>) -> Option<u64> {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = if digits { text.parse().ok() } else { None };
        let number = number.filter(|number| range.contains(number));
        if number.is_none() {
            let rule = format!("must be an integer from {} to {}", range.start(), range.end());
            self.faults.push(name, rule);
        }
        number
    }

    /// Of these at most one may be there.
    pub(super) fn exclusive(&mut self, names: [&str; 2]) {
        let given = |name: &&str| self.parameters.iter().any(|(key, _)| key == name);
        if names.iter().all(given) {
            let [a, b] = names;
            self.faults.push(a, format!("cannot be given together with {b}"));
            self.faults.push(b, format!("cannot be given together with {a}"));
        }
    }

    pub(super) fn finish(self) -> Result<(), Refusal> {
        Ok(self.faults.finish()?)
    }
}

/// The number of entries that a page has without a wish.
pub(super) fn page_items(limit: Option<u64>) -> usize {
    usize::try_from(limit.unwrap_or(PAGE_ITEMS_DEFAULT)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(query: &str) -> Vec<String> {
        let mut query = Query::new(Some(query));
        query.position("before");
        query.position("after");
        query.limit();
        query.exclusive(["before", "after"]);
        match query.finish() {
            Err(Refusal::Invalid(faults)) => {
                faults.errors().iter().map(|error| error.field.clone()).collect()
            }
            other => {
                assert_eq!(other, Ok(()));
                Vec::new()
            }
        }
    }

    #[test]
    fn numbers_have_bounds() {
        for good in ["", "limit=1", "limit=200", "before=0", "after=9007199254740991", "x=y&&="] {
            assert_eq!(faults(good), [""; 0], "{good}");
        }
        for bad in ["limit=0", "limit=201", "limit=", "limit=1.0", "limit=+1", "limit=99999999999"]
        {
            assert_eq!(faults(bad), ["limit"], "{bad}");
        }
        for bad in ["before=abc", "before=-1", "before=9007199254740992", "before=%201"] {
            assert_eq!(faults(bad), ["before"], "{bad}");
        }
    }

    #[test]
    fn every_fault_is_told_and_both_directions_are_two() {
        assert_eq!(faults("limit=x&after=y"), ["after", "limit"]);
        assert_eq!(faults("before=1&after=1"), ["before", "after"]);
    }

    #[test]
    fn of_a_repeated_parameter_the_last_counts() {
        assert_eq!(faults("limit=0&limit=5"), [""; 0]);
        assert_eq!(faults("limit=5&limit=0"), ["limit"]);
        let mut query = Query::new(Some("limit=5&limi%74=6"));
        assert_eq!(query.limit(), Some(6));
        assert_eq!(page_items(None), 50);
    }
}

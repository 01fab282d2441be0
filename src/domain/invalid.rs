//! Gathers everything that is wrong with an input, so that the sender hears of all faults at once.

use std::fmt;

use super::limits::FIELD_ERRORS;

/// One fault: the field's name as the sender wrote it, and the rule it breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    pub field: String,
    pub message: String,
}

/// The faults of one input, in the order found; at most [`FIELD_ERRORS`] are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Invalid {
    errors: Vec<FieldError>,
}

impl Invalid {
    #[must_use]
    pub fn field(field: &str, message: impl Into<String>) -> Self {
        let mut invalid = Self::default();
        invalid.push(field, message);
        invalid
    }

    pub fn push(&mut self, field: &str, message: impl Into<String>) {
        if self.errors.len() < FIELD_ERRORS {
            self.errors.push(FieldError { field: field.to_owned(), message: message.into() });
        }
    }

    /// Keeps the value or notes the fault; `None` means that [`Self::finish`] will fail.
    pub fn check<T, E: fmt::Display>(&mut self, field: &str, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.push(field, error.to_string())).ok()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.errors.is_empty()
    }

    #[must_use]
    pub fn errors(&self) -> &[FieldError] {
        &self.errors
    }

    /// # Errors
    /// With all faults, when there is one.
    pub fn finish(self) -> Result<(), Self> {
        if self.is_empty() { Ok(()) } else { Err(self) }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{} {}", error.field, error.message)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_faults_are_kept_in_order_and_their_number_is_bounded() {
        let mut invalid = Invalid::default();
        assert_eq!(invalid.check("a", Ok::<_, String>(1)), Some(1));
        assert_eq!(invalid.clone().finish(), Ok(()));
        for index in 0..FIELD_ERRORS + 5 {
            invalid.push(&index.to_string(), "is wrong");
        }
        assert_eq!(invalid.errors().len(), FIELD_ERRORS);
        assert!(invalid.to_string().starts_with("0 is wrong; 1 is wrong"));
        assert!(invalid.finish().is_err());
    }
}

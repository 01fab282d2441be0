//! How the first account of a database comes to be, which is the admin's.

use crate::app::{SetupCode, Signup};
use crate::auth::{RandomError, random};

/// How the first account comes to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FirstAccount {
    Exists,
    /// Nobody may sign up, and nobody has.
    Closed,
    /// Whoever signs up first with this code has it; or, if the server listens for this machine
    /// alone, on this machine.
    SetupCode(String),
}

impl FirstAccount {
    /// Whoever can reach the server could make it, directly or by way of what stands in front of
    /// it: so it takes a code that only its operator sees.
    pub(super) fn of(has_accounts: bool, signup: Signup) -> Result<Self, RandomError> {
        Ok(match (has_accounts, signup) {
            (true, _) => Self::Exists,
            (false, Signup::Closed) => Self::Closed,
            (false, Signup::Open) => Self::SetupCode(random::setup_code()?),
        })
    }

    pub(super) fn setup_code(&self) -> Option<SetupCode> {
        match self {
            Self::SetupCode(code) => Some(SetupCode(code.clone())),
            Self::Exists | Self::Closed => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_takes_a_code_unless_there_is_one_or_can_be_none() {
        let first = |has_accounts, signup| FirstAccount::of(has_accounts, signup).unwrap();
        assert_eq!(first(true, Signup::Open), FirstAccount::Exists);
        assert_eq!(first(true, Signup::Closed), FirstAccount::Exists);
        assert_eq!(first(false, Signup::Closed), FirstAccount::Closed);
        let codes = [first(false, Signup::Open), first(false, Signup::Open)];
        assert!(codes[0].setup_code().is_some());
        assert_ne!(codes[0], codes[1], "another one at each start");
    }
}

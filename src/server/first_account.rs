//! How the first account of a database comes to be, which is the admin's.

use std::net::SocketAddr;

use crate::app::{SetupCode, Signup};
use crate::auth::{RandomError, random};
use crate::config::Config;
use crate::domain::WebOrigin;
use crate::store::Opened;

/// How the first account comes to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FirstAccount {
    Exists,
    /// Nobody may sign up, and nobody has.
    Closed,
    /// Whoever signs up first, on this machine, has it.
    Open,
    /// Whoever signs up first with this code has it; or, if the server listens for this machine
    /// alone, on this machine.
    SetupCode(String),
}

impl FirstAccount {
    /// Whoever can reach the server could make it; so where others than this machine's own users
    /// can, directly or by way of what stands in front of it, it takes a code that only its
    /// operator sees.
    pub(super) fn of(
        opened: &Opened,
        addr: SocketAddr,
        config: &Config,
    ) -> Result<Self, RandomError> {
        if opened.has_accounts {
            return Ok(Self::Exists);
        }
        if config.auth.signup == Signup::Closed {
            return Ok(Self::Closed);
        }
        if addr.ip().is_loopback() && config.public_url.as_ref().is_none_or(WebOrigin::is_loopback)
        {
            return Ok(Self::Open);
        }
        Ok(Self::SetupCode(random::setup_code()?))
    }

    pub(super) fn setup_code(&self) -> Option<SetupCode> {
        match self {
            Self::SetupCode(code) => Some(SetupCode(code.clone())),
            Self::Exists | Self::Closed | Self::Open => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_needs_a_code_unless_only_this_machine_can_ask() {
        let first_account = |has_accounts, addr: &str, signup, public: &str| {
            let opened = Opened {
                log: crate::domain::LogId(1),
                boot: 0,
                clean: true,
                restored: false,
                secret: Vec::new(),
                has_accounts,
            };
            let mut config = Config { public_url: WebOrigin::parse(public), ..Config::default() };
            config.auth.signup = signup;
            FirstAccount::of(&opened, addr.parse().unwrap(), &config).unwrap()
        };
        let (here, anywhere) = ("127.0.0.1:1", "0.0.0.0:1");
        assert_eq!(first_account(true, anywhere, Signup::Open, ""), FirstAccount::Exists);
        assert_eq!(first_account(false, here, Signup::Closed, ""), FirstAccount::Closed);
        for (addr, public, needs_code) in [
            (here, "", false),
            (here, "http://localhost:8080", false),
            (here, "http://127.0.0.1:8080", false),
            (anywhere, "", true),
            (anywhere, "http://localhost:8080", true),
            // Once a proxy on the same machine opened it to whoever came first.
            (here, "https://chat.example.org", true),
            (here, "http://192.168.1.5:8080", true),
        ] {
            let told = first_account(false, addr, Signup::Open, public);
            assert_eq!(matches!(told, FirstAccount::SetupCode(_)), needs_code, "{addr} {public}");
            assert_eq!(told == FirstAccount::Open, !needs_code, "{addr} {public}");
        }
    }
}

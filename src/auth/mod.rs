//! Who someone is: passwords and their hashes, tokens and which requests show one, and everything
//! drawn by lot. Knows no account and no database; reads no clock.

mod origins;
mod password;
pub mod random;
mod shown;
mod token;

pub use origins::{Origins, Withheld};
pub use password::{HashError, Passwords};
pub use random::RandomError;
pub use shown::{Facts, Header, NotShown, SESSION_COOKIE, Shown};
pub use token::{Claims, MintError, Tokens};

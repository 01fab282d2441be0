//! Who someone is: passwords and their hashes, tokens, and everything drawn by lot. Knows no
//! account and no database; reads no clock.

mod password;
pub mod random;
mod token;

pub use password::{HashError, Passwords};
pub use random::RandomError;
pub use token::{Claims, MintError, Tokens};

//! Who someone is: passwords and their hashes, tokens, and everything drawn by lot. Knows no
//! account and no database; reads no clock.

mod password;
pub mod random;
mod shown;
mod token;

pub use password::{HashError, Passwords};
pub use random::RandomError;
pub use shown::shown_token;
pub use token::{Claims, MintError, Tokens};

//! Everything drawn by lot, from the operating system's generator.

use crate::domain::{LogId, SessionId};

/// Bytes of the secret that signs tokens: as many as HMAC-SHA-256 puts out.
pub const SECRET_BYTES: usize = 32;

/// The symbols of a setup code, 32 of them: those that look alike (l and 1, o and 0) are left out.
const CODE_ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
/// Symbols of a setup code, five bits each: sixty bits are past guessing through a rate limit.
const CODE_SYMBOLS: usize = 12;
/// A setup code is copied by eye, so a `-` stands between groups of this many.
const CODE_GROUP: usize = 4;

/// The operating system gave no random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gives no random bytes: {0}")]
pub struct RandomError(getrandom::Error);

/// `N` random bytes.
pub fn bytes<const N: usize>() -> Result<[u8; N], RandomError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(RandomError)?;
    Ok(bytes)
}

pub fn session_id() -> Result<SessionId, RandomError> {
    bytes().map(u128::from_ne_bytes).map(SessionId)
}

pub fn log_id() -> Result<LogId, RandomError> {
    bytes().map(u128::from_ne_bytes).map(LogId)
}

/// What signs the tokens of a database that was given no secret.
pub fn secret() -> Result<[u8; SECRET_BYTES], RandomError> {
    bytes()
}

/// For [`Slug::from_random`](crate::domain::Slug::from_random).
pub fn six_bytes() -> Result<[u8; 6], RandomError> {
    bytes()
}

/// What the first account of a reachable server must quote: `xxxx-xxxx-xxxx`.
pub fn setup_code() -> Result<String, RandomError> {
    bytes().map(spell_code)
}

fn spell_code(random: [u8; CODE_SYMBOLS]) -> String {
    let mut code = String::with_capacity(CODE_SYMBOLS + CODE_SYMBOLS / CODE_GROUP);
    for (index, byte) in random.into_iter().enumerate() {
        if index > 0 && index % CODE_GROUP == 0 {
            code.push('-');
        }
        // 256 is a multiple of 32: every symbol is equally likely.
        code.push(char::from(CODE_ALPHABET[usize::from(byte % 32)]));
    }
    code
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    #[test]
    fn nothing_is_drawn_twice() {
        let sessions: HashSet<_> = (0..100).map(|_| session_id().unwrap()).collect();
        let logs: HashSet<_> = (0..100).map(|_| log_id().unwrap()).collect();
        let secrets: HashSet<_> = (0..100).map(|_| secret().unwrap()).collect();
        let codes: HashSet<_> = (0..100).map(|_| setup_code().unwrap()).collect();
        assert_eq!([sessions.len(), logs.len(), secrets.len(), codes.len()], [100; 4]);
        assert!((0..100).any(|_| six_bytes().unwrap() != [0; 6]));
    }

    #[test]
    fn a_setup_code_is_three_groups_of_four() {
        assert_eq!(spell_code([0; CODE_SYMBOLS]), "aaaa-aaaa-aaaa");
        assert_eq!(spell_code([31; CODE_SYMBOLS]), "9999-9999-9999");
        assert_eq!(
            spell_code([0, 1, 2, 3, 10, 11, 12, 13, 22, 23, 24, 25]),
            "abcd-kmnp-yz23",
            "l and o, 0 and 1 are left out"
        );
    }

    #[test]
    fn no_symbol_is_in_the_alphabet_twice() {
        let symbols: HashSet<_> = CODE_ALPHABET.iter().collect();
        assert_eq!(symbols.len(), CODE_ALPHABET.len());
    }

    proptest! {
        #[test]
        fn every_code_can_be_typed(random: [u8; CODE_SYMBOLS]) {
            let code = spell_code(random);
            prop_assert_eq!(code.len(), 14);
            for (index, symbol) in code.bytes().enumerate() {
                let dash = index % 5 == 4;
                prop_assert_eq!(symbol == b'-', dash, "{}", code);
                prop_assert!(dash || CODE_ALPHABET.contains(&symbol), "{}", code);
            }
        }
    }
}

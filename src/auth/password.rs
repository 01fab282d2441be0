//! Password hashes: argon2id on threads that may block, few at once and a bounded queue for the
//! rest, because each one takes a core and 19 MiB for some tens of milliseconds.

use std::sync::Arc;

use argon2::password_hash::{self, PasswordHasher, PasswordVerifier};
use argon2::{Argon2, PasswordHash};
use tokio::sync::Semaphore;

use super::random;
use crate::domain::Password;
use crate::domain::limits::{PASSWORD_HASHES, PASSWORD_QUEUE};

/// Bytes of a salt.
const SALT_BYTES: usize = 16;

/// What the password of an account that does not exist is compared with. It costs what a stored
/// hash costs, because its parameters and lengths are the same (a test holds them together); no
/// password is known to give an output of zeros, and the answer is "no" even if one did.
const DUMMY: &str = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA\
                     $AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Why there is no answer about a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// As many as may wait are waiting already. Nothing was done; it can be tried again.
    #[error("too many passwords are waiting to be hashed")]
    Busy,
    /// No random bytes, no memory, or a stored hash that is none.
    #[error("a password could not be hashed")]
    Failed,
}

/// Hashes and verifies passwords. Dropping one of its futures while it waits gives its place to
/// another; a hash that has begun is finished, and counted until then.
#[derive(Debug)]
pub struct Passwords {
    /// One permit for each hash that runs or waits.
    places: Arc<Semaphore>,
    /// One permit for each hash that runs.
    running: Arc<Semaphore>,
}

impl Default for Passwords {
    fn default() -> Self {
        Self::new()
    }
}

impl Passwords {
    #[must_use]
    pub fn new() -> Self {
        Self::bounded(PASSWORD_HASHES, PASSWORD_QUEUE)
    }

    fn bounded(running: usize, waiting: usize) -> Self {
        Self {
            places: Arc::new(Semaphore::new(running + waiting)),
            running: Arc::new(Semaphore::new(running)),
        }
    }

    /// The password's hash with a salt of its own, as a PHC string: `$argon2id$v=19$…`.
    pub async fn hash(&self, password: Password) -> Result<String, HashError> {
        self.run(move || hash(&password)).await
    }

    /// Whether `stored`, an earlier result of [`Self::hash`], is of this password. Without a stored
    /// hash, because no such account exists, the same work is done and the answer is no: the time
    /// it takes does not tell which names exist.
    pub async fn verify(
        &self,
        password: Password,
        stored: Option<String>,
    ) -> Result<bool, HashError> {
        self.run(move || verify(&password, stored.as_deref())).await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, HashError> + Send + 'static,
    ) -> Result<T, HashError> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| HashError::Busy)?;
        // Never closed, so only waiting can come of it.
        let permit =
            Arc::clone(&self.running).acquire_owned().await.map_err(|_| HashError::Failed)?;
        let task = tokio::task::spawn_blocking(move || {
            // Held here rather than by the future, which may be dropped while the hash goes on.
            let _held = (permit, place);
            work()
        });
        task.await.map_err(|_| HashError::Failed)?
    }
}

fn hash(password: &Password) -> Result<String, HashError> {
    let salt: [u8; SALT_BYTES] = random::bytes().map_err(|_| HashError::Failed)?;
    let hash: PasswordHash = Argon2::default()
        .hash_password_with_salt(password.expose().as_bytes(), &salt)
        .map_err(|_| HashError::Failed)?;
    Ok(hash.to_string())
}

fn verify(password: &Password, stored: Option<&str>) -> Result<bool, HashError> {
    let against = stored.unwrap_or(DUMMY);
    match Argon2::default().verify_password(password.expose().as_bytes(), against) {
        Ok(()) => Ok(stored.is_some()),
        Err(password_hash::Error::PasswordInvalid) => Ok(false),
        Err(_) => Err(HashError::Failed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::{Pin, pin};
    use std::task::{Context, Poll, Waker};

    fn password(text: &str) -> Password {
        Password::parse(text).unwrap()
    }

    fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[tokio::test]
    async fn a_password_is_known_again_and_no_other_is() {
        let passwords = Passwords::new();
        let stored = passwords.hash(password("correct horse")).await.unwrap();
        for (tried, expected) in
            [("correct horse", true), ("correct horsf", false), ("Correct horse", false)]
        {
            let answer = passwords.verify(password(tried), Some(stored.clone())).await;
            assert_eq!(answer, Ok(expected), "{tried}");
        }
    }

    #[tokio::test]
    async fn every_hash_has_its_own_salt_and_does_not_show_the_password() {
        let passwords = Passwords::new();
        let one = passwords.hash(password("correct horse")).await.unwrap();
        let two = passwords.hash(password("correct horse")).await.unwrap();
        assert_ne!(one, two);
        assert!(one.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{one}");
        assert!(!one.contains("horse"));
    }

    #[test]
    fn the_dummy_costs_what_a_stored_hash_costs() {
        let stored = hash(&password("correct horse")).unwrap();
        let (stored, dummy) =
            (PasswordHash::new(&stored).unwrap(), PasswordHash::new(DUMMY).unwrap());
        assert_eq!(dummy.algorithm, stored.algorithm);
        assert_eq!(dummy.version, stored.version);
        assert_eq!(dummy.params, stored.params);
        let lengths = |hash: &PasswordHash| {
            (hash.salt.as_ref().unwrap().len(), hash.hash.as_ref().unwrap().len())
        };
        assert_eq!(lengths(&dummy), lengths(&stored));
        assert_eq!(lengths(&dummy).0, SALT_BYTES);
    }

    #[tokio::test]
    async fn an_account_that_does_not_exist_has_no_password() {
        assert_eq!(Passwords::new().verify(password("correct horse"), None).await, Ok(false));
    }

    #[tokio::test]
    async fn a_stored_text_that_is_no_hash_is_a_fault_and_not_an_answer() {
        let passwords = Passwords::new();
        for bad in ["", "correct horse", "$argon2id$", "$2b$10$abcdefghijklmnopqrstuv"] {
            let answer = passwords.verify(password("correct horse"), Some(bad.to_owned())).await;
            assert_eq!(answer, Err(HashError::Failed), "{bad}");
        }
    }

    #[tokio::test]
    async fn beyond_the_queue_is_busy_and_a_dropped_future_leaves_its_place() {
        let passwords = Passwords::bounded(2, 1);
        let held = Arc::clone(&passwords.running).acquire_many_owned(2).await.unwrap();
        let _running = Arc::clone(&passwords.places).acquire_many_owned(2).await.unwrap();
        {
            let mut waiting = pin!(passwords.hash(password("waits here")));
            assert!(poll(waiting.as_mut()).is_pending());
            assert_eq!(passwords.hash(password("one too many")).await, Err(HashError::Busy));
            let answer = passwords.verify(password("one too many"), None).await;
            assert_eq!(answer, Err(HashError::Busy));
        }
        let mut next = pin!(passwords.verify(password("takes the place"), None));
        assert!(poll(next.as_mut()).is_pending());
        drop(held);
        assert_eq!(next.await, Ok(false));
    }

    #[tokio::test]
    async fn a_running_hash_keeps_its_permits_until_it_ends() {
        let passwords = Passwords::bounded(1, 0);
        let (release, wait) = std::sync::mpsc::channel::<()>();
        {
            let work = move || wait.recv().map_err(|_| HashError::Failed);
            let mut running = pin!(passwords.run(work));
            assert!(poll(running.as_mut()).is_pending());
        }
        assert_eq!(passwords.hash(password("not yet now")).await, Err(HashError::Busy));
        release.send(()).unwrap();
        // Ends with the work: were it not given back, this would wait for ever.
        let _all = passwords.places.acquire().await.unwrap();
        assert_eq!(passwords.running.available_permits(), 1);
    }

    #[tokio::test]
    async fn work_that_panics_is_a_fault_and_gives_its_permits_back() {
        let passwords = Passwords::bounded(1, 0);
        let panics = || -> Result<(), HashError> { std::panic::resume_unwind(Box::new(())) };
        assert_eq!(passwords.run(panics).await, Err(HashError::Failed));
        let _place = passwords.places.acquire().await.unwrap();
        let _permit = passwords.running.acquire().await.unwrap();
    }
}

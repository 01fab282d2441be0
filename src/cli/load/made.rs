//! The accounts and rooms of a run: made, and taken away again. What is asked for is noted before
//! it is asked for, so that nothing stays behind unknown when an answer does not come.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::api::{Api, CallError, Refused, SignedIn};
use super::hold::{Asked, Hold};
use super::run::Run;
use super::table::counted;
use super::{Failure, note};
use crate::protocol::ErrorCode;

/// Between two lines of progress.
const PROGRESS: Duration = Duration::from_secs(1);
/// When the server does not say how long to wait.
const PAUSE: Duration = Duration::from_secs(1);

/// What a run has made, or may have.
#[derive(Debug, Default)]
pub struct Made {
    pub accounts: Vec<Account>,
    pub rooms: Vec<Room>,
    /// Of all the accounts that were made.
    password: String,
    /// How far the deletion is.
    gone: Gone,
}

#[derive(Debug, Default)]
struct Gone {
    accounts: usize,
    rooms: usize,
}

#[derive(Debug)]
pub struct Account {
    /// `None`: somebody else's, given by its token.
    username: Option<String>,
    /// `None`: not known whether it was made.
    pub token: Option<String>,
    is_admin: bool,
}

#[derive(Debug)]
pub struct Room {
    slug: String,
    /// 0: not known whether it was made.
    pub id: u64,
    /// Whose it is.
    account: usize,
}

/// What could not be taken away, for people to do it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Left {
    pub rooms: Vec<String>,
    pub accounts: Vec<String>,
    pub admin: Option<String>,
    pub reason: Option<String>,
    password: String,
}

/// Calls on behalf of a run: waits where the server says so, and notes what held it back.
pub struct Errand<'a> {
    pub api: &'a Api,
    pub run: &'a Run,
    pub stop: &'a CancellationToken,
    /// When it was last told how far this is.
    pub told: Instant,
}

impl Errand<'_> {
    /// Says what is being done, if that takes long.
    fn goes_on(&mut self, what: &str) {
        if self.told.elapsed() >= PROGRESS {
            self.told = Instant::now();
            note(what);
        }
    }

    /// What was asked for cannot be had. Whoever stopped the run wants no reason.
    fn gives_up(&self, failure: Failure) -> Result<(), Failure> {
        if self.stop.is_cancelled() { Ok(()) } else { Err(failure) }
    }

    /// Asks until the answer is yes, or a no for good, or the run is stopped.
    async fn ask<T>(
        &mut self,
        asked: Asked,
        what: &str,
        call: impl AsyncFn(&Api) -> Result<T, CallError>,
    ) -> Result<T, CallError> {
        self.goes_on(what);
        loop {
            let error = match call(self.api).await {
                Err(CallError::Refused(refused)) => refused,
                other => return other,
            };
            let hold = error.code.and_then(|code| Hold::of_error(code, asked));
            if let Some(hold) = hold {
                self.run.tally.holds().met(hold);
            }
            let retryable = error.code.is_some_and(ErrorCode::retryable);
            let (Some(hold), true) = (hold, retryable) else {
                return Err(CallError::Refused(error));
            };
            let wait = error.retry_after.unwrap_or(PAUSE);
            note(&format!("{what}: waiting {} s for {}", wait.as_secs(), hold.name()));
            self.run.tally.holds().waited(hold, wait);
            if self.stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
                return Err(CallError::Refused(error));
            }
            self.told = Instant::now();
        }
    }
}

impl Made {
    pub fn new(password: String) -> Self {
        Self { password, ..Self::default() }
    }

    /// Accounts that are there already.
    pub fn borrow(&mut self, tokens: &[String]) {
        let account = |token: &String| Account {
            username: None,
            token: Some(token.clone()),
            is_admin: false,
        };
        self.accounts.extend(tokens.iter().map(account));
    }

    /// Signs up `count` accounts, or stops early when the run does.
    pub async fn sign_up(
        &mut self,
        errand: &mut Errand<'_>,
        tag: &str,
        count: usize,
    ) -> Result<(), Failure> {
        for number in 0..count {
            if errand.stop.is_cancelled() {
                return Ok(());
            }
            let username = format!("load-{tag}-{number}");
            self.accounts.push(Account {
                username: Some(username.clone()),
                token: None,
                is_admin: false,
            });
            let what = format!("account {} of {count}", number + 1);
            let password = &self.password;
            let call = async |api: &Api| api.sign_up(&username, password).await;
            match errand.ask(Asked::Account, &what, call).await {
                Ok(SignedIn { token, is_admin }) => {
                    let made = self.accounts.last_mut().into_iter();
                    made.for_each(|account| {
                        account.is_admin = is_admin;
                        account.token = Some(token.clone());
                    });
                }
                Err(error) => {
                    if error.had_no_effect() {
                        self.accounts.pop();
                    }
                    return errand.gives_up(not_signed_up(&error, errand.run));
                }
            }
        }
        Ok(())
    }

    /// Makes `count` rooms, each account some of them.
    pub async fn make_rooms(
        &mut self,
        errand: &mut Errand<'_>,
        tag: &str,
        count: usize,
    ) -> Result<(), Failure> {
        for number in 0..count {
            if errand.stop.is_cancelled() {
                return Ok(());
            }
            let account = number % self.accounts.len().max(1);
            let token = self.accounts.get(account).and_then(|account| account.token.clone());
            let token = token.unwrap_or_default();
            let slug = format!("load-{tag}-{number}");
            self.rooms.push(Room { slug: slug.clone(), id: 0, account });
            let what = format!("room {} of {count}", number + 1);
            let call = async |api: &Api| api.make_room(&token, &slug).await;
            match errand.ask(Asked::Room, &what, call).await {
                Ok(id) => self.rooms.last_mut().into_iter().for_each(|room| room.id = id),
                Err(error) => {
                    if error.had_no_effect() {
                        self.rooms.pop();
                    }
                    return errand.gives_up(refused("a room cannot be made", &error, Asked::Room));
                }
            }
        }
        Ok(())
    }

    /// Takes everything away, first the rooms, whose owners can do it. What is left then is told by
    /// [`Self::left`], also of a deletion that was given up.
    pub async fn delete(&mut self, errand: &mut Errand<'_>) -> Result<(), Failure> {
        while let Some(room) = self.rooms.last() {
            let token = self.accounts.get(room.account).and_then(|account| account.token.clone());
            let token = token.unwrap_or_default();
            let what = format!("deleting {}", count(self.rooms.len(), "room"));
            let call = async |api: &Api| api.delete_room(&token, &room.slug).await;
            match errand.ask(Asked::Room, &what, call).await {
                Err(CallError::Refused(Refused { code: Some(ErrorCode::NoSuchRoom), .. })) => {}
                Err(error) => return Err(Failure(error.to_string())),
                Ok(()) => self.gone.rooms += 1,
            }
            self.rooms.pop();
        }
        self.accounts.retain(|account| account.username.is_some());
        while let Some(index) = self.accounts.iter().rposition(|account| !account.is_admin) {
            let what = format!("deleting {}", count(index + 1, "account"));
            if self.delete_account(errand, index, &what).await? {
                self.gone.accounts += 1;
            }
            self.accounts.remove(index);
        }
        Ok(())
    }

    /// False: there was none.
    async fn delete_account(
        &self,
        errand: &mut Errand<'_>,
        index: usize,
        what: &str,
    ) -> Result<bool, Failure> {
        let failed = |error: CallError| Failure(error.to_string());
        let Some(Account { username: Some(username), token, .. }) = self.accounts.get(index) else {
            return Ok(false);
        };
        let token = if let Some(token) = token {
            token.clone()
        } else {
            let call = async |api: &Api| api.sign_in(username, &self.password).await;
            match errand.ask(Asked::Account, what, call).await {
                Ok(signed_in) => signed_in.token,
                Err(CallError::Refused(Refused {
                    code: Some(ErrorCode::Unauthorized), ..
                })) => {
                    return Ok(false);
                }
                Err(error) => return Err(failed(error)),
            }
        };
        let call = async |api: &Api| api.delete_account(&token, &self.password).await;
        errand.ask(Asked::Account, what, call).await.map_err(failed)?;
        Ok(true)
    }

    /// Rooms and accounts that are deleted.
    pub fn gone(&self) -> String {
        let (rooms, accounts) =
            (count(self.gone.rooms, "room"), count(self.gone.accounts, "account"));
        format!("deleted {rooms} and {accounts}")
    }

    pub fn left(&self, reason: Option<String>) -> Left {
        let name = |account: &Account| account.username.clone();
        let (admins, others): (Vec<_>, Vec<_>) =
            self.accounts.iter().partition(|account| account.is_admin);
        Left {
            rooms: self.rooms.iter().map(|room| room.slug.clone()).collect(),
            accounts: others.into_iter().filter_map(name).collect(),
            admin: admins.into_iter().find_map(name),
            reason,
            password: self.password.clone(),
        }
    }
}

impl Left {
    /// Nothing that should have been deleted; the admin's account is kept on purpose.
    pub fn is_nothing(&self) -> bool {
        self.rooms.is_empty() && self.accounts.is_empty()
    }
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rooms, accounts, admin, reason, password } = self;
        if !self.is_nothing() {
            let reason = reason.as_deref().unwrap_or("stopped");
            writeln!(f, "NOT deleted ({reason}):")?;
            for (what, names) in [("rooms", rooms), ("accounts", accounts)] {
                if !names.is_empty() {
                    writeln!(f, "  {what}: {}", names.join(" "))?;
                }
            }
        }
        if let Some(admin) = admin {
            writeln!(
                f,
                "{admin} is this database's first account and so its admin for ever: it is kept"
            )?;
        }
        if !accounts.is_empty() || admin.is_some() {
            writeln!(f, "  password: {password}")?;
        }
        Ok(())
    }
}

fn count(number: usize, one: &str) -> String {
    counted(u64::try_from(number).unwrap_or(u64::MAX), one)
}

fn not_signed_up(error: &CallError, run: &Run) -> Failure {
    if let CallError::Refused(Refused { code: Some(ErrorCode::Invalid), fields, .. }) = error
        && fields.iter().any(|field| field == "setupCode")
    {
        run.tally.holds().met(Hold::FirstAccount);
        let about = Hold::FirstAccount.about();
        return Failure(format!("nobody has signed up on this server yet, and {about}"));
    }
    refused("an account cannot be made", error, Asked::Account)
}

/// A refusal, and the bound that it tells of.
fn refused(what: &str, error: &CallError, asked: Asked) -> Failure {
    let hold = match error {
        CallError::Refused(refused) => refused.code.and_then(|code| Hold::of_error(code, asked)),
        CallError::Unheard(_) | CallError::Failed(_) => None,
    };
    let told = hold.map(|hold| format!(" ({}: {})", hold.name(), hold.about())).unwrap_or_default();
    Failure(format!("{what}: {error}{told}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(name: &str, is_admin: bool) -> Account {
        Account { username: Some(name.to_owned()), token: None, is_admin }
    }

    #[test]
    fn what_is_left_is_named_with_its_password() {
        let mut made = Made::new("secret".to_owned());
        made.borrow(&["token".to_owned()]);
        made.accounts.push(account("load-a-0", false));
        made.rooms.push(Room { slug: "load-a-0".to_owned(), id: 7, account: 0 });
        let left = made.left(Some("503".to_owned()));
        assert!(!left.is_nothing());
        let expected = "NOT deleted (503):\n  rooms: load-a-0\n  accounts: load-a-0\n  \
                        password: secret\n";
        assert_eq!(left.to_string(), expected);
    }

    #[test]
    fn the_admin_is_kept_and_told() {
        let mut made = Made::new("secret".to_owned());
        made.accounts.push(account("load-a-0", true));
        let left = made.left(None);
        assert!(left.is_nothing());
        let said = left.to_string();
        assert!(said.contains("admin") && said.contains("password: secret"), "{said}");
        assert_eq!(Made::new(String::new()).left(None).to_string(), "");
    }
}

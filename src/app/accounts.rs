//! Accounts and sign-ins.

use std::fmt;
use std::net::IpAddr;

use subtle::ConstantTimeEq;

use super::{App, network, no_randomness};
use crate::auth::{Claims, HashError, random};
use crate::config::Signup;
use crate::domain::{
    DisplayName, Identity, Invalid, Millis, Password, Refusal, SessionId, User, UserId, Username,
};
use crate::store::{
    ChangePassword, Command, DeleteUser, Reply, SignUp, SignUpRefused, StartSession,
};

/// What the first account of a server that others can reach must quote. `Debug` hides it.
#[derive(Clone)]
pub struct SetupCode(pub String);

impl SetupCode {
    /// Takes as long for a wrong code as for the right one.
    fn matches(&self, given: &Self) -> bool {
        self.0.as_bytes().ct_eq(given.0.as_bytes()).into()
    }
}

impl fmt::Debug for SetupCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SetupCode(***)")
    }
}

#[derive(Debug)]
pub struct SignUpRequest {
    pub username: Username,
    pub password: Password,
    pub display_name: Option<DisplayName>,
    pub setup_code: Option<SetupCode>,
    /// Whether it may make the first account without the setup code.
    pub may_be_first: bool,
}

/// The name is as it was typed: one that no account can have is a wrong name, not a fault.
#[derive(Debug)]
pub struct SignInRequest {
    pub username: String,
    pub password: Password,
}

#[derive(Debug)]
pub struct ChangePasswordRequest {
    pub current: Password,
    pub new: Password,
}

/// A token and when it ends.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    pub token: String,
    pub expires_at: Millis,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token(until {})", self.expires_at)
    }
}

#[derive(Debug)]
pub struct SignedIn {
    pub user: User,
    pub token: Token,
}

impl App {
    pub async fn sign_up(
        &self,
        request: SignUpRequest,
        address: IpAddr,
    ) -> Result<SignedIn, Refusal> {
        if self.settings.signup == Signup::Closed {
            return Err(Refusal::SignupClosed);
        }
        self.rates.sign_ins.check(&network(address))?;
        let password_hash = self.passwords.hash(request.password).await.map_err(not_hashed)?;
        let display_name = request
            .display_name
            .unwrap_or_else(|| DisplayName::from_stored(request.username.as_str()));
        let session = random::session_id().map_err(no_randomness)?;
        let now = self.clock.now();
        let (reply, outcome) = Reply::channel();
        let command = SignUp {
            username: request.username,
            display_name,
            password_hash,
            may_be_first: request.may_be_first || self.has_setup_code(request.setup_code.as_ref()),
            session,
            created_at: now,
            expires_at: now.saturating_add(self.token_millis()),
            reply,
        };
        let user = match self.write(Command::SignUp(command), outcome).await? {
            Ok(user) => user,
            Err(SignUpRefused::UsernameTaken) => return Err(Refusal::UsernameTaken),
            Err(SignUpRefused::NotFirst) => {
                let rule = "must be the code that the server printed at its start: the first \
                            account needs it, but on the server's own machine, under localhost";
                return Err(Invalid::field("setupCode", rule).into());
            }
        };
        tracing::info!(user = %user.user_id, "an account was made");
        let token = self.mint(user.user_id, session, now)?;
        Ok(SignedIn { user, token })
    }

    fn has_setup_code(&self, given: Option<&SetupCode>) -> bool {
        match &self.settings.setup_code {
            Some(code) => given.is_some_and(|given| code.matches(given)),
            // There is one until there is an account.
            None => true,
        }
    }

    pub async fn sign_in(
        &self,
        request: SignInRequest,
        address: IpAddr,
    ) -> Result<SignedIn, Refusal> {
        let address = network(address);
        self.rates.sign_ins.check(&address)?;
        let name = Username::parse(&request.username).ok();
        // Names that cannot exist share one key, so that they cannot fill the memory.
        let key = name.as_ref().map(Username::folded).unwrap_or_default();
        self.rates.failures.check(address, &key, self.clock.now())?;
        let account = match name {
            Some(name) => self.read(move |snapshot| snapshot.account_by_name(&name)).await?,
            None => None,
        };
        let stored = account.as_ref().map(|account| account.password_hash.clone());
        let right = self.passwords.verify(request.password, stored).await.map_err(not_hashed)?;
        let Some(account) = account.filter(|_| right) else {
            self.rates.failures.failed(address, &key, self.clock.now());
            return Err(Refusal::Unauthorized);
        };
        let session = random::session_id().map_err(no_randomness)?;
        let now = self.clock.now();
        let (reply, outcome) = Reply::channel();
        let command = StartSession {
            user: account.user.user_id,
            password_hash: account.password_hash,
            session,
            created_at: now,
            expires_at: now.saturating_add(self.token_millis()),
            reply,
        };
        // The account can have been deleted meanwhile, or have another password.
        self.write(Command::StartSession(command), outcome).await?.ok_or(Refusal::Unauthorized)?;
        let token = self.mint(account.user.user_id, session, now)?;
        Ok(SignedIn { user: account.user, token })
    }

    /// Who shows this token, if it is worth anything.
    pub async fn authenticate(&self, token: &str) -> Result<Identity, Refusal> {
        let claims = self.tokens.verify(token, self.clock.now()).ok_or(Refusal::Unauthorized)?;
        let (user, session) = (claims.user_id, claims.session);
        let account = self
            .read(move |snapshot| match snapshot.session(user, session)? {
                Some(_) => snapshot.account(user),
                None => Ok(None),
            })
            .await?
            .ok_or(Refusal::Unauthorized)?;
        Ok(Identity {
            user_id: user,
            username: account.user.username,
            role: account.user.role,
            session,
            expires_at: claims.expires_at,
        })
    }

    /// The same for several, of which one may be worth something; gives that one too. Where more
    /// are, of different sessions, none is: there is no telling whose the request is.
    pub async fn authenticate_one(
        &self,
        tokens: &[impl AsRef<str>],
    ) -> Result<(Identity, String), Refusal> {
        let mut found: Option<(Identity, &str)> = None;
        for token in tokens.iter().map(AsRef::as_ref) {
            match (self.authenticate(token).await, &found) {
                (Err(Refusal::Unauthorized), _) => {}
                (Err(refusal), _) => return Err(refusal),
                (Ok(identity), Some((one, _))) if one.session != identity.session => {
                    return Err(Refusal::Unauthorized);
                }
                (Ok(identity), _) => found = Some((identity, token)),
            }
        }
        let (identity, token) = found.ok_or(Refusal::Unauthorized)?;
        Ok((identity, token.to_owned()))
    }

    pub async fn sign_out(&self, identity: &Identity) -> Result<(), Refusal> {
        let (reply, outcome) = Reply::channel();
        let (user, session) = (identity.user_id, identity.session);
        self.write(Command::EndSession { user, session, reply }, outcome).await
    }

    /// A newer token of the same session.
    pub async fn refresh(&self, identity: &Identity) -> Result<Token, Refusal> {
        let (reply, outcome) = Reply::channel();
        let (user, session) = (identity.user_id, identity.session);
        let now = self.clock.now();
        let expires_at = now.saturating_add(self.token_millis());
        let command = Command::ExtendSession { user, session, expires_at, reply };
        if !self.write(command, outcome).await? {
            return Err(Refusal::Unauthorized);
        }
        self.mint(user, session, now)
    }

    pub async fn user(&self, user: UserId) -> Result<User, Refusal> {
        let account = self.read(move |snapshot| snapshot.account(user)).await?;
        account.map(|account| account.user).ok_or(Refusal::Unauthorized)
    }

    pub async fn change_password(
        &self,
        identity: &Identity,
        request: ChangePasswordRequest,
        address: IpAddr,
    ) -> Result<(), Refusal> {
        self.check_password(identity, request.current, "currentPassword", address).await?;
        let password_hash = self.passwords.hash(request.new).await.map_err(not_hashed)?;
        let (reply, outcome) = Reply::channel();
        let (user, keep) = (identity.user_id, identity.session);
        let command = ChangePassword { user, password_hash, keep, reply };
        let found = self.write(Command::ChangePassword(command), outcome).await?;
        if found { Ok(()) } else { Err(Refusal::Unauthorized) }
    }

    pub async fn delete_account(
        &self,
        identity: &Identity,
        password: Password,
        address: IpAddr,
    ) -> Result<(), Refusal> {
        self.check_password(identity, password, "password", address).await?;
        let (reply, outcome) = Reply::channel();
        let command = DeleteUser { user: identity.user_id, reply };
        if !self.write(Command::DeleteUser(command), outcome).await? {
            return Err(Refusal::Unauthorized);
        }
        // The hub does so too when it hears of the commit, which may be a moment after the answer.
        self.hub.log.blocks.forget_all();
        tracing::info!(user = %identity.user_id, "an account was deleted");
        Ok(())
    }

    /// Someone with a token proves to be its owner. A wrong password here is a fault of its field.
    async fn check_password(
        &self,
        identity: &Identity,
        password: Password,
        field: &str,
        address: IpAddr,
    ) -> Result<(), Refusal> {
        let (user, address) = (identity.user_id, network(address));
        let key = identity.username.folded();
        // It costs what a sign-in costs, and tells as much.
        self.rates.sign_ins.check(&address)?;
        self.rates.failures.check(address, &key, self.clock.now())?;
        let account = self.read(move |snapshot| snapshot.account(user)).await?;
        let stored = account.map(|account| account.password_hash);
        if self.passwords.verify(password, stored).await.map_err(not_hashed)? {
            return Ok(());
        }
        self.rates.failures.failed(address, &key, self.clock.now());
        Err(Invalid::field(field, "is not the account's password").into())
    }

    fn mint(&self, user: UserId, session: SessionId, now: Millis) -> Result<Token, Refusal> {
        let claims = Claims::lasting(user, session, now, self.settings.token_ttl);
        let token = self.tokens.mint(&claims).map_err(|error| {
            tracing::error!(%error, "a token could not be made");
            Refusal::Internal
        })?;
        Ok(Token { token, expires_at: claims.expires_at })
    }

    fn token_millis(&self) -> Millis {
        Millis::try_from(self.settings.token_ttl.as_millis()).unwrap_or(Millis::MAX)
    }
}

fn not_hashed(error: HashError) -> Refusal {
    match error {
        HashError::Busy => Refusal::Overloaded,
        HashError::Failed => {
            tracing::error!(%error, "password");
            Refusal::Internal
        }
    }
}

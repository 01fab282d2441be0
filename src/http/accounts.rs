//! Accounts and sign-ins.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::Http;
use super::cookie::{Comer, Cookies, SetCookie};
use super::extract::{Asker, Body, FromFields, PeerAddr, finish, text};
use super::problem::Problem;
use crate::app::{self, ChangePasswordRequest, SetupCode, SignInRequest, SignUpRequest};
use crate::auth::random;
use crate::domain::limits::SIGN_IN_NAME_CHARACTERS;
use crate::domain::{DisplayName, Identity, Limits, Password, Refusal, TextError, User, Username};
use crate::protocol::{Fields, Value};

// ---- what comes -------------------------------------------------------------------------------

/// A new account.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(super) struct SignUp {
    /// ASCII letters, digits, `_`, `-` and `.`; unique without regard to case.
    #[schema(value_type = String, min_length = 3, max_length = 32)]
    username: Username,
    #[schema(value_type = String, format = Password, min_length = 8, max_length = 128)]
    password: Password,
    /// The user name, if left out.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 64)]
    display_name: Option<DisplayName>,
    /// What the server printed at its start; the first account may need it.
    #[schema(value_type = Option<String>)]
    setup_code: Option<SetupCode>,
    /// Whether the token goes into the cookie `parlor_session` instead of the answer.
    #[schema(value_type = Option<bool>)]
    cookie: bool,
}

impl FromFields for SignUp {
    fn from_fields(mut fields: Fields<'_>, _: &Limits) -> Result<Self, Refusal> {
        let username = fields.required("username", text(Username::parse));
        let password = fields.required("password", text(Password::parse));
        let display_name = fields.optional("displayName", text(DisplayName::parse));
        let setup_code = fields.optional("setupCode", Value::text);
        let setup_code = setup_code.map(|code| SetupCode(code.into_owned()));
        let cookie = fields.optional("cookie", Value::boolean).unwrap_or_default();
        let read = username.zip(password).map(|(username, password)| Self {
            username,
            password,
            display_name,
            setup_code,
            cookie,
        });
        finish(fields, read)
    }
}

/// A name and a password that may be an account's.
#[derive(ToSchema)]
pub(super) struct SignIn {
    #[schema(min_length = 1, max_length = 128)]
    username: String,
    /// `None`: one that no account can have.
    #[schema(value_type = String, format = Password, min_length = 1)]
    password: Option<Password>,
    /// Whether the token goes into the cookie `parlor_session` instead of the answer.
    #[schema(value_type = Option<bool>)]
    cookie: bool,
}

impl FromFields for SignIn {
    fn from_fields(mut fields: Fields<'_>, _: &Limits) -> Result<Self, Refusal> {
        let username = fields.required("username", text(sign_in_name));
        let password = fields.required("password", text(sign_in_password));
        let cookie = fields.optional("cookie", Value::boolean).unwrap_or_default();
        let read = username.zip(password);
        let read = read.map(|(username, password)| Self { username, password, cookie });
        finish(fields, read)
    }
}

fn sign_in_name(name: &str) -> Result<String, TextError> {
    if SIGN_IN_NAME_CHARACTERS.contains(&name.chars().count()) {
        Ok(name.to_owned())
    } else {
        Err(TextError::Characters(SIGN_IN_NAME_CHARACTERS))
    }
}

/// A password that breaks the rules is a wrong one and no fault: the rules may have been others
/// when it was chosen.
fn sign_in_password(password: &str) -> Result<Option<Password>, TextError> {
    if password.is_empty() {
        return Err(TextError::Empty);
    }
    Ok(Password::parse(password).ok())
}

/// The account's password, to confirm what cannot be undone.
#[derive(ToSchema)]
pub(super) struct DeleteMe {
    #[schema(value_type = String, format = Password, min_length = 8, max_length = 128)]
    password: Password,
}

impl FromFields for DeleteMe {
    fn from_fields(mut fields: Fields<'_>, _: &Limits) -> Result<Self, Refusal> {
        let password = fields.required("password", text(Password::parse));
        finish(fields, password.map(|password| Self { password }))
    }
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(super) struct ChangePassword {
    #[schema(value_type = String, format = Password, min_length = 8, max_length = 128)]
    current_password: Password,
    #[schema(value_type = String, format = Password, min_length = 8, max_length = 128)]
    new_password: Password,
}

impl FromFields for ChangePassword {
    fn from_fields(mut fields: Fields<'_>, _: &Limits) -> Result<Self, Refusal> {
        let current_password = fields.required("currentPassword", text(Password::parse));
        let new_password = fields.required("newPassword", text(Password::parse));
        let read = current_password.zip(new_password);
        let read =
            read.map(|(current_password, new_password)| Self { current_password, new_password });
        finish(fields, read)
    }
}

// ---- what goes --------------------------------------------------------------------------------

/// An account as others may see it.
#[derive(Serialize, ToSchema)]
#[schema(as = User)]
#[serde(rename_all = "camelCase")]
pub(super) struct UserBody {
    user_id: u64,
    username: String,
    display_name: String,
    /// `admin` or `member`.
    #[schema(example = "member")]
    role: &'static str,
    created_at: u64,
}

impl From<User> for UserBody {
    fn from(user: User) -> Self {
        Self {
            user_id: user.user_id.get(),
            username: user.username.to_string(),
            display_name: user.display_name.to_string(),
            role: user.role.as_str(),
            created_at: user.created_at,
        }
    }
}

#[derive(Serialize, ToSchema)]
pub(super) struct Me {
    user: UserBody,
}

/// Who one is now, and the token that proves it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SignedIn {
    user: UserBody,
    /// Left out where it is in the cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    /// Milliseconds since the Unix epoch.
    expires_at: u64,
}

impl SignedIn {
    fn new(user: User, Token { token, expires_at }: Token) -> Self {
        Self { user: user.into(), token, expires_at }
    }
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Token {
    /// Left out where it is in the cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    /// Milliseconds since the Unix epoch.
    expires_at: u64,
}

/// A token as it is given, in the answer or in the cookie.
fn give(
    http: &Http,
    token: app::Token,
    in_cookie: Option<Cookies>,
) -> Result<(SetCookie, Token), Refusal> {
    let kept = in_cookie.map(|cookies| cookies.keep(&token, http.app.clock.now())).transpose()?;
    let app::Token { token, expires_at } = token;
    let shown = Token { token: kept.is_none().then_some(token), expires_at };
    Ok((kept.flatten(), shown))
}

// ---- the calls --------------------------------------------------------------------------------

/// Make an account and sign in.
#[utoipa::path(
    post, path = "/signup", tag = "accounts",
    request_body = SignUp,
    responses((
        status = 201, description = "The account is made.", body = SignedIn,
        headers(("Set-Cookie" = Option<String>, description = "`parlor_session`, if asked for.")),
    )),
)]
pub(super) async fn sign_up(
    State(http): State<Http>,
    peer: PeerAddr,
    comer: Comer,
    Body(body): Body<SignUp>,
) -> Result<(StatusCode, SetCookie, Json<SignedIn>), Problem> {
    let SignUp { username, password, display_name, setup_code, cookie } = body;
    comer.admit(cookie)?;
    let request = SignUpRequest {
        username,
        password,
        display_name,
        setup_code,
        may_be_first: comer.may_be_first,
    };
    let app::SignedIn { user, token } = http.app.sign_up(request, peer.ip()).await?;
    let (set_cookie, token) = give(&http, token, cookie.then_some(comer.cookies))?;
    Ok((StatusCode::CREATED, set_cookie, Json(SignedIn::new(user, token))))
}

/// Sign in: a new session with a token of its own.
#[utoipa::path(
    post, path = "/signin", tag = "accounts",
    request_body = SignIn,
    responses((
        status = 200, description = "Signed in.", body = SignedIn,
        headers(("Set-Cookie" = Option<String>, description = "`parlor_session`, if asked for.")),
    )),
)]
pub(super) async fn sign_in(
    State(http): State<Http>,
    peer: PeerAddr,
    comer: Comer,
    Body(body): Body<SignIn>,
) -> Result<(SetCookie, Json<SignedIn>), Problem> {
    let SignIn { username, password, cookie } = body;
    comer.admit(cookie)?;
    let password = match password {
        Some(password) => password,
        None => nobodys_password()?,
    };
    let request = SignInRequest { username, password };
    let signed_in = http.app.sign_in(request, peer.ip()).await.map_err(|refusal| match refusal {
        Refusal::Unauthorized => Problem::from(refusal).saying("wrong user name or password"),
        refusal => refusal.into(),
    });
    let app::SignedIn { user, token } = signed_in?;
    let (set_cookie, token) = give(&http, token, cookie.then_some(comer.cookies))?;
    Ok((set_cookie, Json(SignedIn::new(user, token))))
}

/// In place of a password that no account can have: the same work is done and counted as for any
/// wrong one, so that nothing tells them apart.
fn nobodys_password() -> Result<Password, Refusal> {
    let fault = |error: &dyn std::fmt::Display| {
        tracing::error!(%error, "no password could be drawn");
        Refusal::Internal
    };
    let drawn = random::bytes().map_err(|error| fault(&error))?;
    Password::parse(&format!("{:032x}", u128::from_ne_bytes(drawn))).map_err(|error| fault(&error))
}

/// End the token's session.
#[utoipa::path(
    post, path = "/signout", tag = "accounts", security(("token" = []), ("cookie" = [])),
    responses((
        status = 204, description = "The session has ended.",
        headers(("Set-Cookie" = Option<String>, description = "Clears a cookie that was shown.")),
    )),
)]
pub(super) async fn sign_out(
    State(http): State<Http>,
    asker: Asker,
    cookies: Cookies,
) -> Result<(SetCookie, StatusCode), Problem> {
    http.app.sign_out(&asker.identity).await?;
    Ok((clear(&asker, cookies)?, StatusCode::NO_CONTENT))
}

/// The cookie goes with the session that it showed.
fn clear(asker: &Asker, cookies: Cookies) -> Result<SetCookie, Refusal> {
    if asker.by_cookie { cookies.clear() } else { Ok(None) }
}

/// Get a newer token of the same session, in the way the old one was shown.
#[utoipa::path(
    post, path = "/refresh", tag = "accounts", security(("token" = []), ("cookie" = [])),
    responses((
        status = 200, description = "A later expiry.", body = Token,
        headers(("Set-Cookie" = Option<String>, description = "`parlor_session`, if shown.")),
    )),
)]
pub(super) async fn refresh(
    State(http): State<Http>,
    asker: Asker,
    cookies: Cookies,
) -> Result<(SetCookie, Json<Token>), Problem> {
    let token = http.app.refresh(&asker.identity).await?;
    let (set_cookie, token) = give(&http, token, asker.by_cookie.then_some(cookies))?;
    Ok((set_cookie, Json(token)))
}

/// Who one is.
#[utoipa::path(
    get, path = "/me", tag = "accounts", security(("token" = []), ("cookie" = [])),
    responses((status = 200, description = "The token's account.", body = Me)),
)]
pub(super) async fn me(State(http): State<Http>, identity: Identity) -> Result<Json<Me>, Problem> {
    let user = http.app.user(identity.user_id).await?;
    Ok(Json(Me { user: user.into() }))
}

/// End the account.
#[utoipa::path(
    delete, path = "/me", tag = "accounts", security(("token" = []), ("cookie" = [])),
    request_body = DeleteMe,
    responses((
        status = 204, description = "The account has ended; its name is free again.",
        headers(("Set-Cookie" = Option<String>, description = "Clears a cookie that was shown.")),
    )),
)]
pub(super) async fn delete_me(
    State(http): State<Http>,
    asker: Asker,
    peer: PeerAddr,
    cookies: Cookies,
    Body(body): Body<DeleteMe>,
) -> Result<(SetCookie, StatusCode), Problem> {
    http.app.delete_account(&asker.identity, body.password, peer.ip()).await?;
    Ok((clear(&asker, cookies)?, StatusCode::NO_CONTENT))
}

/// Change the password; every other session of the account ends.
#[utoipa::path(
    post, path = "/me/password", tag = "accounts", security(("token" = []), ("cookie" = [])),
    request_body = ChangePassword,
    responses((status = 204, description = "The password is changed.")),
)]
pub(super) async fn change_password(
    State(http): State<Http>,
    identity: Identity,
    peer: PeerAddr,
    Body(body): Body<ChangePassword>,
) -> Result<StatusCode, Problem> {
    let ChangePassword { current_password: current, new_password: new } = body;
    let request = ChangePasswordRequest { current, new };
    http.app.change_password(&identity, request, peer.ip()).await?;
    Ok(StatusCode::NO_CONTENT)
}

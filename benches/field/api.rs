//! HTTP calls of a client that knows only the protocol.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};

use crate::Failure;

/// For one answer.
const PATIENCE: Duration = Duration::from_mins(1);

pub struct Api {
    url: String,
    token: Option<String>,
    client: reqwest::Client,
}

impl Api {
    pub fn new(addr: SocketAddr, token: Option<String>) -> Result<Self, Failure> {
        let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build()?;
        Ok(Self { url: format!("http://{addr}/api/v1"), token, client })
    }

    /// Gives the token.
    pub async fn sign_up(&self, username: &str) -> Result<String, Failure> {
        let body = json!({"username": username, "password": "correct horse"});
        let answer = self.post("/signup", &body).await?;
        Ok(answer["token"].as_str().ok_or("no token")?.to_owned())
    }

    /// Gives the room's id.
    pub async fn make_room(&self, name: &str) -> Result<u64, Failure> {
        let answer = self.post("/rooms", &json!({"name": name})).await?;
        Ok(answer["room"]["roomId"].as_u64().ok_or("no room")?)
    }

    async fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        let request = self.client.post(format!("{}{path}", self.url)).json(body);
        let request = match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        Ok(request.send().await?.error_for_status()?.json().await?)
    }
}

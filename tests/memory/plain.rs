//! The application written the usual way: plaintext settings, `secrecy` for secrets, reqwest for
//! the calls.

#![allow(clippy::panic)] // a test reads its exit status and stderr

mod app;

use app::Account;
use reqwest::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use std::error::Error;
use std::sync::Arc;
use tokio::sync::RwLock;

#[derive(Deserialize)]
struct Settings {
    username: String,
    password: SecretString,
    login: String,
    orders: String,
    ca: String,
}

#[derive(Serialize)]
struct Login<'a> {
    username: &'a str,
    password: &'a str,
}

#[derive(Clone, Deserialize)]
struct Token {
    access_token: SecretString,
}

#[derive(Clone)]
struct Acme {
    settings: Arc<Settings>,
    client: reqwest::Client,
    token: Arc<RwLock<Option<Token>>>,
}

impl Acme {
    fn open() -> Result<Acme, Box<dyn Error>> {
        let path = std::env::args().nth(1).ok_or("it is run as: PROGRAM SETTINGS-FILE")?;
        let settings: Settings = toml::from_str(&std::fs::read_to_string(path)?)?;
        let _ = rustls::crypto::ring::default_provider().install_default();
        let roots = reqwest::Certificate::from_pem_bundle(settings.ca.as_bytes())?;
        let client = reqwest::Client::builder().tls_certs_only(roots).no_proxy().build()?;
        Ok(Acme { settings: Arc::new(settings), client, token: Arc::default() })
    }

    async fn log_in(&self) -> reqwest::Result<Token> {
        let login = Login {
            username: &self.settings.username,
            password: self.settings.password.expose_secret(),
        };
        let mut held = self.token.write().await;
        let token: Token = self
            .client
            .post(&self.settings.login)
            .json(&login)
            .send()
            .await?
            .error_for_status()?
            .json()
            .await?;
        *held = Some(token.clone());
        Ok(token)
    }

    async fn try_call(&self, number: u64, token: &Token) -> reqwest::Result<reqwest::Response> {
        let call = if number % 4 == 3 {
            self.client.post(&self.settings.orders).json(&["lamp", "oil"])
        } else {
            self.client.get(&self.settings.orders)
        };
        call.bearer_auth(token.access_token.expose_secret()).send().await
    }

    async fn answered(&self, number: u64) -> reqwest::Result<bool> {
        let held = self.token.read().await.clone();
        let token = match held {
            Some(token) => token,
            None => self.log_in().await?,
        };
        let mut answer = self.try_call(number, &token).await?;
        if answer.status() == StatusCode::UNAUTHORIZED {
            let token = self.log_in().await?;
            answer = self.try_call(number, &token).await?;
        }
        let good = answer.status().is_success();
        answer.bytes().await?;
        Ok(good)
    }
}

impl Account for Acme {
    async fn call(&self, number: u64) -> bool {
        self.answered(number).await.unwrap_or(false)
    }

    async fn renew(&self) -> bool {
        self.log_in().await.is_ok()
    }
}

fn main() {
    app::serve("no guarded memory", || Acme::open().unwrap_or_else(|error| panic!("{error}")));
}

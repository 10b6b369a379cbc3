//! An application that uses its own `reqwest::Client` with our middleware. It bypasses the writer
//! below HTTP, so its requests contain the token in plaintext.

#![allow(clippy::panic)] // a test reads its exit status and stderr

mod app;
mod source;

use app::Account;
use bootseal::TokenSource;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use std::error::Error;

#[derive(Clone)]
struct Acme {
    source: TokenSource,
    client: ClientWithMiddleware,
    orders: String,
}

impl Acme {
    fn open() -> Result<Acme, Box<dyn Error>> {
        let (source, orders) = source::open()?;
        let _ = rustls::crypto::ring::default_provider().install_default();
        let ca = source.profile().ca.unwrap_or_default();
        let roots = reqwest::Certificate::from_pem_bundle(ca.as_bytes())?;
        let builder = reqwest::Client::builder()
            .tls_certs_only(roots)
            .no_proxy()
            .redirect(source.redirect_policy());
        let layer = source.middleware().with_redirect_policy();
        Ok(Acme {
            client: ClientBuilder::new(builder.build()?).with(layer).build(),
            source,
            orders,
        })
    }
}

impl Account for Acme {
    async fn call(&self, number: u64) -> bool {
        let call = if number % 4 == 3 {
            self.client.post(&self.orders).body("[\"lamp\", \"oil\"]")
        } else {
            self.client.get(&self.orders)
        };
        match call.send().await {
            Ok(answer) => answer.status().is_success() && answer.bytes().await.is_ok(),
            Err(_) => false,
        }
    }

    async fn renew(&self) -> bool {
        source::renew(&self.source).await
    }
}

fn main() {
    app::serve(&source::memory(), || Acme::open().unwrap_or_else(|error| panic!("{error}")));
}

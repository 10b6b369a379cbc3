//! An application that makes its calls with Bootseal, through the client of its token source.

use crate::app::Account;
use crate::source;
use bootseal::{Client, TokenSource};
use std::error::Error;

#[derive(Clone)]
struct Acme {
    source: TokenSource,
    /// One client for each version of HTTP.
    clients: [Client; 2],
    orders: String,
}

impl Acme {
    fn open() -> Result<Acme, Box<dyn Error>> {
        let (source, orders) = source::open()?;
        let clients = [source.client_builder().http1_only().build(), source.client()];
        Ok(Acme { clients, source, orders })
    }
}

impl Account for Acme {
    async fn call(&self, number: u64) -> bool {
        let client = &self.clients[(number % 2) as usize];
        let call = if number % 4 == 3 || number.is_multiple_of(8) {
            client.post(&self.orders).json(&["lamp", "oil"])
        } else {
            client.get(&self.orders)
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

pub(crate) fn main() {
    crate::app::serve(&source::memory(), || Acme::open().unwrap_or_else(|error| panic!("{error}")));
}

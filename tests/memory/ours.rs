//! How does an application make its calls with Bootseal? Through the client of its token source.

use crate::app::Account;
use crate::source;
use bootseal::{Client, TokenSource};
use std::error::Error;

#[derive(Clone)]
struct Acme {
    source: TokenSource,
    client: Client,
    orders: String,
}

impl Acme {
    fn open() -> Result<Acme, Box<dyn Error>> {
        let (source, orders) = source::open()?;
        Ok(Acme { client: source.client(), source, orders })
    }
}

impl Account for Acme {
    async fn call(&self, number: u64) -> bool {
        let call = if number % 4 == 3 {
            self.client.post(&self.orders).json(&["lamp", "oil"])
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

pub(crate) fn main() {
    crate::app::serve(&source::memory(), || Acme::open().unwrap_or_else(|error| panic!("{error}")));
}

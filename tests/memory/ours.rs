//! How does an application use Bootseal? As the README says: a loader, a token source, its client.

use crate::app::Account;
use bootseal::{Client, Loader, TokenSource};
use std::error::Error;

#[derive(Clone)]
struct Acme {
    source: TokenSource,
    client: Client,
    orders: String,
}

impl Acme {
    fn open() -> Result<Acme, Box<dyn Error>> {
        let [sealed, key, orders] = &std::env::args().skip(1).collect::<Vec<_>>()[..] else {
            return Err("it is run as: PROGRAM SEALED-FILE KEY-FILE URL-OF-ORDERS".into());
        };
        let vault = Loader::exactly(sealed).identity_file(key).load()?;
        let source = vault.token_source("acme")?;
        Ok(Acme { client: source.client(), source, orders: orders.clone() })
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
        match self.source.token().await {
            Ok(token) => self.source.reject(&token) && self.source.token().await.is_ok(),
            Err(_) => false,
        }
    }
}

pub(crate) fn main() {
    let report = bootseal::report().unwrap_or_else(|error| panic!("{error}"));
    crate::app::serve(&report.to_string(), || Acme::open().unwrap_or_else(|error| panic!("{error}")));
}

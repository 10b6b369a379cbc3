//! The vendor in its own process, so that its copies of the requests are not in the scanned memory.
//! Each line on standard input is a command, and the reply is a line of JSON; it ends with its
//! input.

#![allow(clippy::panic)] // a test reads its exit status and stderr

use bootseal_vendor_sim::Vendor;
use serde_json::{Value, json};
use std::error::Error;
use std::io::{BufRead, Write};
use std::time::Duration;

fn main() -> Result<(), Box<dyn Error>> {
    let mut vendor = Vendor::start()?;
    vendor.keep_tokens();
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let told: Value = serde_json::from_str(&line?)?;
        let milliseconds =
            || told["ms"].as_u64().map(Duration::from_millis).ok_or("ms is no number");
        match told["do"].as_str() {
            Some("user") => {
                let (name, password) = (told["name"].as_str(), told["password"].as_str());
                vendor = vendor.with_user(name.ok_or("no name")?, password.ok_or("no password")?);
            }
            Some("life") => vendor.lifetime(milliseconds()?),
            Some("slow") => vendor.slow(milliseconds()?),
            Some("revoke") => vendor.revoke_all(),
            Some("tell") => {}
            _ => return Err(format!("what is {:?}?", told["do"]).into()),
        }
        let state = json!({
            "login": vendor.url("/login"), "orders": vendor.url("/orders"), "ca": vendor.ca_pem(),
            "logins": vendor.logins(), "calls": vendor.calls(), "tokens": vendor.tokens(),
        });
        writeln!(out, "{state}")?;
        out.flush()?;
    }
    Ok(())
}

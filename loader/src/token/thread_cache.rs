//! Which token did this thread see last? With it the present one is found by one count, without a search; and no token is kept alive.

use crate::token::{Handle, Token};
use std::cell::RefCell;
use std::sync::{Arc, Weak};

/// More sources than these, on one thread in turn, take each other's place and are searched for.
const PLACES: usize = 8;

struct Seen {
    source: u64,
    number: u64,
    handle: Weak<Handle>,
}

thread_local! {
    static SEEN: [RefCell<Option<Seen>>; PLACES] = const { [const { RefCell::new(None) }; PLACES] };
}

/// The token of this source and number, where this thread saw it last and it still is.
pub(crate) fn recall(source: u64, number: u64) -> Option<Token> {
    // A thread that is about to end remembers nothing.
    let found = SEEN.try_with(|places| {
        let place = places[place(source)].try_borrow().ok()?;
        let seen = place.as_ref().filter(|seen| (seen.source, seen.number) == (source, number))?;
        seen.handle.upgrade().map(Token)
    });
    found.ok().flatten()
}

pub(crate) fn remember(token: &Token) {
    let seen = Seen { source: token.0.source, number: token.0.number, handle: Arc::downgrade(&token.0) };
    let _ = SEEN.try_with(|places| places[place(seen.source)].replace(Some(seen)));
}

fn place(source: u64) -> usize {
    // At most 7.
    (source % PLACES as u64) as usize
}

#[cfg(test)]
#[cfg(feature = "testing")]
mod tests {
    use super::*;
    use crate::TokenSource;
    use bootseal_vendor_sim::Vendor;

    fn source(vendor: &Vendor) -> TokenSource {
        let login = format!("[acme.login]\nurl = \"{}\"\nbasic = true\n", vendor.url("/login"));
        let values = [("acme.username", "quickstart"), ("acme.password", "open sesame")];
        crate::testing::vault(values, &login).unwrap().token_source("acme").unwrap()
    }

    fn text(source: &TokenSource) -> Vec<u8> {
        source.token_blocking().unwrap().expose(<[u8]>::to_vec)
    }

    #[test]
    fn many_sources_on_one_thread_are_not_mixed_up() {
        let vendor = Vendor::start_plain().unwrap();
        let sources: Vec<_> = (0..2 * PLACES + 1).map(|_| source(&vendor)).collect();
        let first: Vec<_> = sources.iter().map(text).collect();
        assert_eq!(first, sources.iter().map(text).collect::<Vec<_>>());
        assert_eq!(vendor.logins(), sources.len() as u64);
    }

    #[test]
    fn a_token_that_is_gone_is_not_kept_alive() {
        let vendor = Vendor::start_plain().unwrap();
        let source = source(&vendor);
        text(&source); // from the login; the next one is looked up
        let token = source.token_blocking().unwrap();
        let (id, number) = (token.0.source, token.0.number);
        drop(token);
        assert!(recall(id, number).is_some_and(|token| token.0.number == number));
        drop(source);
        // The thread of its login may be about to end.
        let long = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while recall(id, number).is_some() {
            assert!(std::time::Instant::now() < long);
            std::thread::yield_now();
        }
    }
}

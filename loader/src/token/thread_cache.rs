//! A per-thread cache of the present token, which saves a search and costs one reference count.
//!
//! The cache keeps no token alive.

use crate::token::token::{Handle, Token};
use std::cell::RefCell;
use std::sync::{Arc, Weak};

/// The number of slots per thread. If a thread uses more sources than this, they evict each other,
/// and their tokens must be searched for.
const SLOTS: usize = 8;

struct Seen {
    source: u64,
    number: u64,
    handle: Weak<Handle>,
}

thread_local! {
    static SEEN: [RefCell<Option<Seen>>; SLOTS] = const { [const { RefCell::new(None) }; SLOTS] };
}

/// The token of this source and number, if it is the token that this thread used last and it still
/// exists.
pub(crate) fn recall(source: u64, number: u64) -> Option<Token> {
    // A thread that is about to end has no cache any more.
    let found = SEEN.try_with(|slots| {
        let slot = slots[slot(source)].try_borrow().ok()?;
        let seen = slot.as_ref().filter(|seen| (seen.source, seen.number) == (source, number))?;
        seen.handle.upgrade().map(Token)
    });
    found.ok().flatten()
}

pub(crate) fn remember(token: &Token) {
    let seen =
        Seen { source: token.0.source, number: token.0.number, handle: Arc::downgrade(&token.0) };
    let _ = SEEN.try_with(|slots| slots[slot(seen.source)].replace(Some(seen)));
}

fn slot(source: u64) -> usize {
    // At most 7.
    (source % SLOTS as u64) as usize
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
        let sources: Vec<_> = (0..2 * SLOTS + 1).map(|_| source(&vendor)).collect();
        let first: Vec<_> = sources.iter().map(text).collect();
        assert_eq!(first, sources.iter().map(text).collect::<Vec<_>>());
        assert_eq!(vendor.logins(), sources.len() as u64);
    }

    #[test]
    fn the_cache_keeps_no_token_alive() {
        let vendor = Vendor::start_plain().unwrap();
        let source = source(&vendor);
        text(&source); // from the login; the next one is looked up
        let token = source.token_blocking().unwrap();
        let (id, number) = (token.0.source, token.0.number);
        drop(token);
        assert!(recall(id, number).is_some_and(|token| token.0.number == number));
        drop(source);
        // The thread of the login may still hold the token.
        let long = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while recall(id, number).is_some() {
            assert!(std::time::Instant::now() < long);
            std::thread::yield_now();
        }
    }
}

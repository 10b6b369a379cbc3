//! A URL template with an arbitrary captured value: the value stays in its path segment or query
//! value, and the host is fixed.
#![no_main]

use bootseal_core::{Secret, UrlTemplate};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (String, Vec<u8>)| {
    let (text, value) = input;
    let Ok(template) = UrlTemplate::parse(&text) else { return };
    let base = template.base();
    assert!(base.has_host() && base.fragment().is_none() && base.username().is_empty());
    let value = Secret::copy_of(&value).expect("memory");
    let Ok(url) = template.fill(|_| Some(value.clone())) else { return };
    assert_eq!((url.origin(), url.fragment(), url.username()), (base.origin(), None, ""));
    assert_eq!(url.path().split('/').count(), base.path().split('/').count());
    assert_eq!(url.query().is_some(), base.query().is_some());
    assert_eq!(url.query_pairs().count(), base.query_pairs().count());
});

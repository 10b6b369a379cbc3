//! Plaintext settings: after values are emptied, nothing of them is left, and the rest of the text
//! is unchanged.
#![no_main]

use bootseal_core::PlainDocument;
use libfuzzer_sys::fuzz_target;
use std::collections::HashSet;

fuzz_target!(|text: String| {
    let Ok(plain) = PlainDocument::parse(text) else { return };
    let all: HashSet<_> = plain.names().map(|(path, _)| path).collect();
    let blocks = all.iter().filter(|path| plain.has_blocks(path)).count();
    for kept in [true, false] {
        let again = PlainDocument::parse(plain.emptied(&all, kept)).expect("it is still TOML");
        assert_eq!(again.properties().count(), all.len() - blocks);
        assert!(again.properties().all(|property| property.value.as_str() == Some("")));
        assert!(kept || again.comments().next().is_none());
    }
});

//! Plaintext settings: after values are emptied, nothing of them is left, and the rest of the text
//! is unchanged.
#![no_main]

use bootseal_core::PlainDocument;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: String| {
    let Ok(plain) = PlainDocument::parse(text) else { return };
    let all = plain.properties().iter().map(|property| property.path.clone()).collect();
    if let Ok(emptied) = plain.emptied(&all) {
        let again = PlainDocument::parse(emptied).expect("it is still TOML");
        assert_eq!(again.properties().len(), plain.properties().len());
        assert!(again.properties().iter().all(|property| property.value.as_str() == Some("")));
    }
});

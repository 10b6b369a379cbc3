//! Identity files, pins and property paths of arbitrary content.
#![no_main]

use bootseal_core::{IdentityFile, Pin, PropertyPath};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = IdentityFile::from_reader(&mut &bytes[..]);
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = text.parse::<Pin>();
        if let Ok(path) = text.parse::<PropertyPath>() {
            assert_eq!(path.to_string().parse::<PropertyPath>().expect("what we print parses"), path);
        }
    }
});

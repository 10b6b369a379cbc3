//! Strict framing of requests: however a stream is split, the same bytes pass and the same byte is
//! refused.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (Vec<u8>, Vec<u16>)| {
    let (stream, cuts) = input;
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| usize::from(*cut) % (stream.len() + 1)).collect();
    cuts.sort_unstable();
    cuts.push(stream.len());
    let mut from = 0;
    let pieces: Vec<&[u8]> = cuts.into_iter().map(|cut| &stream[std::mem::replace(&mut from, cut)..cut]).collect();
    assert_eq!(bootseal_gateway::fuzzed_framing(&pieces), bootseal_gateway::fuzzed_framing(&[&stream]));
});

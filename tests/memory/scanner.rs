//! Runs scan.py and reads its findings. The head of scan.py describes what it searches and counts.

use super::process::beside;
use super::secrets::Needles;
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write;
use std::process::{Command, Stdio};

/// The findings for each needle.
pub(crate) type Found = BTreeMap<String, Finding>;

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Finding {
    pub(crate) full: u64,
    pub(crate) frag: u64,
    hits: Vec<Hit>,
}

#[derive(Clone, Debug, Deserialize)]
struct Hit {
    full: bool,
    spelling: String,
    bytes: u64,
    place: String,
}

#[derive(Debug, Deserialize)]
struct Image {
    bytes: u64,
    unreadable: Vec<Unreadable>,
    found: Found,
}

#[derive(Debug, Deserialize)]
struct Unreadable {
    place: String,
}

impl Finding {
    pub(crate) fn total(&self) -> u64 {
        self.full + self.frag
    }
}

/// Panics if the scanner does not find exactly what it planted itself.
pub(crate) fn prove() {
    run("prove", "");
}

/// The findings in each of `images`.
pub(crate) fn scan(
    process: u32,
    images: &[&'static str],
    needles: &Needles,
) -> BTreeMap<&'static str, Found> {
    let in_hex = |value: &Vec<u8>| {
        value.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
    };
    let needles: BTreeMap<_, Vec<_>> =
        needles.iter().map(|(name, values)| (name, values.iter().map(in_hex).collect())).collect();
    let asked = json!({ "pid": process, "images": images, "needles": needles });
    let mut answer: BTreeMap<String, Image> =
        serde_json::from_str(&run("scan", &asked.to_string())).unwrap();
    let mut found = BTreeMap::new();
    for &name in images {
        let image = answer.remove(name).unwrap();
        assert!(image.bytes > 1 << 20, "only {} bytes of {name} were read", image.bytes);
        // Only secret pages and kernel mappings may be unreadable. In any other gap, a secret would
        // not be found.
        let excused = ["/secretmem", "[vvar", "[vdso"];
        let missed = image
            .unreadable
            .iter()
            .find(|missed| !excused.iter().any(|kind| missed.place.starts_with(kind)));
        assert!(missed.is_none(), "{missed:?} could not be read");
        found.insert(name, image.found);
    }
    found
}

/// The kinds of places in which secrets were found, one a line, to help find the cause.
pub(crate) fn places(found: &Found) -> String {
    let mut kinds: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for (needle, finding) in found {
        for Hit { full, spelling, bytes, place } in &finding.hits {
            let what = if *full { "all" } else { "a piece" };
            kinds
                .entry(format!("{what} of the {needle}, {spelling}, in {place}"))
                .or_default()
                .push(*bytes);
        }
    }
    kinds.iter().fold(String::new(), |mut text, (kind, sizes)| {
        let (least, most) = (sizes.iter().min().unwrap(), sizes.iter().max().unwrap());
        let _ = writeln!(text, "    {} x {kind} ({least} to {most} bytes)", sizes.len());
        text
    })
}

fn run(verb: &str, input: &str) -> String {
    let mut python = Command::new("python3");
    python.arg(beside("scan.py")).arg(verb);
    let mut child =
        python.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let ended = child.wait_with_output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    String::from_utf8(ended.stdout).unwrap()
}

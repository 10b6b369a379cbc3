//! Edits of a sealed file by someone without a key: every reader refuses each of them.

use super::*;

/// A sealed value with another first character.
fn other_nonce(sealed: &str) -> String {
    let at = sealed.find("sealed:").unwrap() + "sealed:".len();
    let other = if sealed[at..].starts_with('A') { "B" } else { "A" };
    format!("{}{other}{}", &sealed[..at], &sealed[at + 1..])
}

/// The signature with S + L: the same equation in other bytes.
fn s_plus_l(text: &str) -> Vec<u8> {
    const L: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(signature(text)).unwrap();
    let mut carry = 0;
    for (byte, add) in bytes[32..].iter_mut().zip(L) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        (*byte, carry) = (sum as u8, sum >> 8);
    }
    assert_eq!(carry, 0);
    bytes
}

/// The last base64 character with an unused bit set: it decodes to the same 64 bytes.
fn base64_twin(text: &str) -> String {
    let old = signature(text);
    let last = old.chars().last().unwrap();
    edit(text, old, &format!("{}{}", &old[..85], char::from(last as u8 + 1)))
}

/// An edit of the file: its name, the edit, and the error kind that it must cause.
type Attack = (&'static str, fn(&Scene) -> String, Kind);

#[rustfmt::skip] // one attack a line
const ATTACKS: &[Attack] = &[
    // Edits that sops 3.11.0 accepts or earlier versions accepted.
    ("a property renamed", |s| edit(&s.text, "\nurl = ", "\nevil = "), Kind::Forged),
    ("two names swapped", |s| edit(&edit(&edit(&s.text, "\nurl = ", "\nX = "), "\nport = ", "\nurl = "), "\nX = ", "\nport = "), Kind::Forged),
    ("two readable values swapped", |s| edit(&s.text, "\"https://acme.example/login\"\nport = \"8443\"", "\"8443\"\nport = \"https://acme.example/login\""), Kind::Forged),
    ("a byte moved to the neighbour", |s| edit(&s.text, "login\"\nport = \"8443\"", "login8\"\nport = \"443\""), Kind::Forged),
    ("an empty property added", |s| edit(&s.text, "timeout = ", "empty = \"\"\ntimeout = "), Kind::Forged),
    ("an empty property deleted", |s| edit(&s.text, "note = \"\"\n", ""), Kind::Forged),
    ("a readable value changed", |s| edit(&s.text, "\"10s\"", "\"11s\""), Kind::Forged),
    ("a type changed", |s| edit(&s.text, "\"8443\"", "8443"), Kind::Forged),
    ("a value under another table", |s| edit(&edit(&s.text, "timeout = \"10s\"\n", ""), "[db]\n", "[db]\ntimeout = \"10s\"\n"), Kind::Forged),
    ("a mode that signs less", |s| edit(&s.text, "format = 1\n", "format = 1\nonly_sealed = true\n"), Kind::Forged),
    ("a login to another host", |s| edit(&s.text, "https://api.acme.example", "https://evil.example"), Kind::Forged),
    ("a host where the token may go", |s| edit(&s.text, "[acme.login]\n", "[acme.login]\nhosts = [\"evil.example\"]\n"), Kind::Forged),
    ("a comment changed", |s| edit(&s.text, "+1 555 0100", "+1 900 6666"), Kind::Forged),
    ("a comment deleted", |s| edit(&s.text, "# Acme payments: call +1 555 0100 before a change\n", ""), Kind::Forged),
    ("a comment behind a value", |s| edit(&s.text, "# changed by ops", "# changed by 0ps"), Kind::Forged),
    ("one blank more", |s| edit(&s.text, "port = ", "port =  "), Kind::Forged),
    ("another order", |s| {
        let login = part(&s.text, "[acme.login]", "\n\n");
        edit(&edit(&s.text, login, ""), "[acme]", &format!("{login}[acme]"))
    }, Kind::Forged),
    // Sealed values.
    ("a sealed value under another name", |s| edit(&s.text, sealed(&s.text, "db", "password"), sealed(&s.text, "acme", "password")), Kind::Forged),
    ("two sealed values swapped", |s| {
        let (a, b) = (sealed(&s.text, "acme", "password"), sealed(&s.text, "db", "password"));
        edit(&edit(&edit(&s.text, a, "X"), b, a), "X", b)
    }, Kind::Forged),
    ("a sealed value where a readable one was", |s| edit(&s.text, "\"10s\"", sealed(&s.text, "acme", "password")), Kind::Forged),
    ("a sealed value in an array", |s| edit(&s.text, "\"10s\"", &format!("[{}]", sealed(&s.text, "acme", "password"))), Kind::Forged),
    ("a sealed value of another vault", |s| edit(&s.text, sealed(&s.text, "acme", "password"), sealed(&s.foreign, "acme", "password")), Kind::Forged),
    ("a sealed value of an older copy", |s| edit(&s.text, sealed(&s.text, "acme", "username"), &other_nonce(sealed(&s.older, "acme", "username"))), Kind::Forged),
    ("a sealed value deleted", |s| edit(&s.text, line(&s.text, "username = "), ""), Kind::Forged),
    ("a sealed value made readable", |s| edit(&s.text, sealed(&s.text, "acme", "password"), "\"from-mallory\""), Kind::Forged),
    ("a sealed value cut", |s| { let old = sealed(&s.text, "acme", "password"); edit(&s.text, old, &format!("{}\"", &old[..old.len() - 4])) }, Kind::Forged),
    // [bootseal].
    ("a recipient added", |s| edit(&s.text, "access = [\n", "access = [\n  { name = \"eve\", role = \"reader\", recipient = \"age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj\" },\n"), Kind::Forged),
    ("a recipient exchanged", |s| edit(&s.text, part(&s.text, "recipient = \"", "\""), "recipient = \"age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj\""), Kind::Forged),
    ("a reader made a writer", |s| edit(&s.text, "\"reader\"", "\"writer\""), Kind::Forged),
    ("a reader taken out", |s| edit(&s.text, line(&s.text, "  { name = \"payments-app\""), ""), Kind::Forged),
    ("the data key of another vault", |s| edit(&s.text, part(&s.text, "read_key = \"\"\"", "\"\"\""), part(&s.foreign, "read_key = \"\"\"", "\"\"\"")), Kind::Forged),
    ("the signing seed of another vault", |s| edit(&s.text, part(&s.text, "write_key = \"\"\"", "\"\"\""), part(&s.foreign, "write_key = \"\"\"", "\"\"\"")), Kind::Forged),
    ("the data key of an older copy", |s| edit(&s.text, part(&s.text, "read_key = \"\"\"", "\"\"\""), part(&s.older, "read_key = \"\"\"", "\"\"\"")), Kind::Forged),
    ("a higher generation", |s| edit(&s.text, "generation = 2", "generation = 3"), Kind::Forged),
    ("a lower generation", |s| edit(&s.text, "generation = 2", "generation = 1"), Kind::Forged),
    ("an older copy with the newer generation", |s| edit(&s.older, "generation = 1", "generation = 2"), Kind::Forged),
    ("another epoch", |s| edit(&s.text, "epoch = 1", "epoch = 2"), Kind::Forged),
    ("a removal", |s| edit(&s.text, "read_key = ", "removed = [{ name = \"bob\", at = 2026-01-01T00:00:00Z }]\nread_key = "), Kind::Forged),
    ("a handover", |s| edit(&s.text, "read_key = ", &format!("handover = [{{ from = \"{}\", generation = 1, signature = \"{}\" }}]\nread_key = ", s.pin, signature(&s.text))), Kind::Forged),
    ("a comment in [bootseal]", |s| edit(&s.text, "epoch = 1\n", "epoch = 1 # all is well\n"), Kind::Forged),
    ("[bootseal] twice", |s| edit(&s.text, "[bootseal]\n", "[bootseal]\nformat = 1\n[bootseal]\n"), Kind::Forged),
    // Edits of the last two lines.
    ("another vault's id", |s| edit(&s.text, line(&s.text, "vault = "), line(&s.foreign, "vault = ")), Kind::Forged),
    ("another vault's id and signature", |s| edit(&edit(&s.text, line(&s.text, "vault = "), line(&s.foreign, "vault = ")), signature(&s.text), signature(&s.foreign)), Kind::Forged),
    ("another vault's signature", |s| edit(&s.text, signature(&s.text), signature(&s.foreign)), Kind::Forged),
    ("the signature of an older copy", |s| edit(&s.text, signature(&s.text), signature(&s.older)), Kind::Forged),
    ("no signature but zeros", |s| signed(&s.text, &[0; 64]), Kind::Forged),
    ("S + L", |s| signed(&s.text, &s_plus_l(&s.text)), Kind::Forged),
    ("a bit of the signature that carries nothing", |s| base64_twin(&s.text), Kind::Malformed),
    ("a padded signature", |s| edit(&s.text, signature(&s.text), &format!("{}==", signature(&s.text))), Kind::Malformed),
    ("the id in capitals", |s| edit(&s.text, line(&s.text, "vault = "), &format!("vault = \"{}\"\n", s.pin.to_uppercase())), Kind::Malformed),
    ("the id in single quotes", |s| edit(&s.text, line(&s.text, "vault = "), &format!("vault = '{}'\n", s.pin)), Kind::Malformed),
    ("a line between the last two", |s| edit(&s.text, "signature = ", "# note\nsignature = "), Kind::Malformed),
    ("the last two lines swapped", |s| edit(&edit(&s.text, line(&s.text, "vault = "), ""), line(&s.text, "signature = "), &format!("{}{}", line(&s.text, "signature = "), line(&s.text, "vault = "))), Kind::Malformed),
    ("a property before them", |s| edit(&s.text, "vault = \"", "note = 1\nvault = \""), Kind::Forged),
    // Additions behind the last two lines.
    ("a line behind the signature", |s| format!("{}acme.url = \"https://evil.example\"\n", s.text), Kind::Malformed),
    ("a comment behind the signature", |s| format!("{}# note\n", s.text), Kind::Malformed),
    ("a table behind the signature", |s| format!("{}\n[acme.login]\nurl = \"https://evil.example\"\n", s.text), Kind::Malformed),
    ("a blank line behind the signature", |s| format!("{}\n", s.text), Kind::Malformed),
    ("blanks behind the signature", |s| format!("{}  ", s.text), Kind::Malformed),
    ("blanks at the end of the last line", |s| format!("{}  \n", s.text.trim_end()), Kind::Malformed),
    ("the file twice", |s| format!("{}{}", s.text, s.text), Kind::Forged),
    ("another vault before it", |s| format!("{}{}", s.foreign, s.text), Kind::Forged),
    // Whole files.
    ("another vault, sealed for our own recipients", |s| s.foreign.clone(), Kind::WrongVault),
    ("another vault behind our text", |s| format!("{}{}", s.text, s.foreign), Kind::Forged),
    ("another vault that names ours", |s| edit(&s.foreign, line(&s.foreign, "vault = "), line(&s.text, "vault = ")), Kind::Forged),
    ("a merge that git left", |s| edit(&s.text, "timeout = \"10s\"\n", "<<<<<<< HEAD\ntimeout = \"10s\"\n=======\ntimeout = \"20s\"\n>>>>>>> theirs\n"), Kind::Forged),
    ("the input in clear", |_| INPUT.replace("secret:", ""), Kind::Malformed),
    ("nothing", |_| String::new(), Kind::Malformed),
    ("a line feed", |_| "\n".into(), Kind::Malformed),
    ("the last two lines alone", |s| format!("{}{}", line(&s.text, "vault = "), line(&s.text, "signature = ")), Kind::Forged),
    // Bytes.
    ("a byte order mark", |s| format!("\u{feff}{}", s.text), Kind::Malformed),
    ("a NUL", |s| edit(&s.text, "# changed", "# \0changed"), Kind::Malformed),
    ("a NUL at the end", |s| format!("{}\0", s.text), Kind::Malformed),
    ("a lone CR", |s| edit(&s.text, "# changed", "# \rchanged"), Kind::Malformed),
    ("a CR before CR LF", |s| edit(&s.text, "\n", "\r\r\n"), Kind::Malformed),
    ("a CR at the end", |s| format!("{}\r", s.text), Kind::Malformed),
    ("a CR for the last LF", |s| format!("{}\r", s.text.trim_end()), Kind::Malformed),
    ("LF CR for LF", |s| s.text.replace('\n', "\n\r"), Kind::Malformed),
    ("a zero-width space", |s| edit(&s.text, "[acme]", "[acme]\u{200b}"), Kind::Forged),
    ("another Unicode line end", |s| edit(&s.text, "timeout = \"10s\"\n", "timeout = \"10s\"\u{2028}"), Kind::Forged),
];

#[test]
fn every_edit_is_refused_by_every_reader() {
    let scene = Scene::new();
    let good = scene.readings(scene.text.as_bytes(), &scene.pin);
    assert!(
        good.iter().all(|reading| reading.code == 0),
        "{}",
        good.iter().map(|r| r.err.as_str()).collect::<String>()
    );
    let mut wrong = Vec::new();
    for (name, change, kind) in ATTACKS {
        let changed = change(&scene);
        assert_ne!(changed, scene.text, "{name} changes nothing");
        let problems = scene.readings(changed.as_bytes(), &scene.pin).into_iter();
        wrong.extend(
            problems
                .filter_map(|reading| reading.problem(*kind))
                .map(|what| format!("{name}: {what}")),
        );
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn invalid_utf_8_is_refused() {
    let scene = Scene::new();
    let mut wrong = Vec::new();
    for bytes in [&b"\xff"[..], b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80"] {
        let changed = [b"# ", bytes, b"\n", scene.text.as_bytes()].concat();
        let problems = scene.readings(&changed, &scene.pin).into_iter();
        wrong.extend(problems.filter_map(|reading| reading.problem(Kind::Malformed)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_file_truncated_anywhere_is_refused() {
    let scene = Scene::new();
    let bytes = scene.text.as_bytes();
    let mut wrong = Vec::new();
    // At every byte, in this process. Only without its last newline is the file still complete.
    for at in 0..bytes.len() - 1 {
        match scene.values(&bytes[..at]) {
            Err(error) if error.kind() == Kind::Malformed => {}
            other => wrong.push(format!("cut at byte {at}: {other:?}")),
        }
    }
    // After every line and at some bytes, with the real readers.
    let ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
    for at in ends.chain((1..bytes.len()).step_by(89)).filter(|at| *at < bytes.len() - 1) {
        let problems = scene.readings(&bytes[..at], &scene.pin).into_iter();
        wrong.extend(
            problems
                .filter_map(|reading| reading.problem(Kind::Malformed))
                .map(|what| format!("cut at byte {at}: {what}")),
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn lines_deleted_duplicated_or_moved_are_refused() {
    let scene = Scene::new();
    let lines: Vec<&str> = scene.text.split_inclusive('\n').collect();
    let refused = |what: &str, text: String| {
        if text != scene.text {
            let kind = scene.values(text.as_bytes()).map_err(|error| error.kind());
            assert!(matches!(kind, Err(Kind::Forged | Kind::Malformed)), "{what}: {kind:?}");
        }
    };
    for at in 0..lines.len() {
        refused(&format!("line {at} deleted"), [&lines[..at], &lines[at + 1..]].concat().concat());
        refused(&format!("line {at} doubled"), [&lines[..=at], &lines[at..]].concat().concat());
        refused(
            &format!("a blank line before line {at}"),
            format!("{}\n{}", lines[..at].concat(), lines[at..].concat()),
        );
        for to in [0, at.saturating_sub(1), lines.len() - 3] {
            let mut moved = lines.clone();
            let line = moved.remove(at);
            moved.insert(to, line);
            refused(&format!("line {at} moved to {to}"), moved.concat());
        }
    }
}

/// Flips every bit of every byte of a small file, and replaces line ends. No unsigned change is
/// accepted.
#[test]
fn every_flipped_byte_is_refused() {
    let home = Home::with_vault("# a\n[acme]\nurl = \"x\"\nkey = \"secret:hunter2\"\n");
    let text = home.read(FILE);
    let (pin, identities) = (
        home.vault_id().parse::<Pin>().unwrap(),
        IdentityFile::read(&home.at(".config/bootseal/identity.txt")).unwrap().identities,
    );
    let values = |bytes: Vec<u8>| -> bootseal_core::Result<Vec<(String, String)>> {
        let vault = SealedFile::parse(bytes)?.verify(&[pin])?.open(&identities)?;
        let key = vault.open(&"acme.key".parse()?)?.secret.expose_str(str::to_owned).unwrap();
        let readable = vault
            .file()
            .properties()
            .map(|(path, property)| (path.to_string(), format!("{property:?}")));
        Ok(readable.chain([("key".into(), key)]).collect())
    };
    let crlf = text.replace('\n', "\r\n");
    let whole = text.trim_end_matches('\n').to_owned();
    for (form, text) in [("LF", text), ("CR LF", crlf), ("no last newline", whole)] {
        let good = values(text.clone().into_bytes()).unwrap();
        for at in 0..text.len() {
            let old = text.as_bytes()[at];
            let mut patterns: Vec<u8> = (0..8).map(|bit| old ^ (1 << bit)).collect();
            patterns.extend(
                [!old, 0, b'\n', b'\r', b' ', b'"', b'#', 0x7f, 0x85, 0xa0]
                    .into_iter()
                    .filter(|new| *new != old),
            );
            for new in patterns {
                let mut flipped = text.clone().into_bytes();
                flipped[at] = new;
                match values(flipped) {
                    Err(error) => {
                        assert!(
                            matches!(error.kind(), Kind::Forged | Kind::Malformed),
                            "{form}, byte {at}, {old:02x} to {new:02x}: {error}"
                        )
                    }
                    // Only another form of a line end may still be the same file.
                    Ok(read) => {
                        let ends = |byte: u8| byte == b'\n' || byte == b'\r';
                        assert!(
                            read == good && ends(old) && ends(new),
                            "{form}, byte {at}, {old:02x} to {new:02x}: accepted"
                        )
                    }
                }
            }
        }
    }
}

/// Line ends as git, editors and mail change them: the values are the same, and the next write
/// restores LF.
#[test]
fn other_line_ends_change_no_value() {
    let scene = Scene::new();
    let good = scene.values(scene.text.as_bytes()).unwrap();
    let lines: Vec<&str> = scene.text.lines().collect();
    let mixed = |crlf: fn(usize) -> bool| -> String {
        lines
            .iter()
            .enumerate()
            .map(|(at, line)| format!("{line}{}", if crlf(at) { "\r\n" } else { "\n" }))
            .collect()
    };
    let forms = [
        ("CR LF", mixed(|_| true)),
        ("every second", mixed(|at| at % 2 == 0)),
        ("inside the key blocks", mixed(|at| at % 7 == 3)),
        (
            "the last one",
            mixed({
                fn last(at: usize) -> bool {
                    at > 40
                }
                last
            }),
        ),
        ("no last newline", scene.text.trim_end_matches('\n').to_owned()),
        ("CR LF, no last newline", mixed(|_| true).trim_end().to_owned()),
    ];
    for (name, form) in forms {
        assert_ne!(form, scene.text, "{name}");
        assert_eq!(scene.values(form.as_bytes()).unwrap(), good, "{name}");
        for reading in scene.readings(form.as_bytes(), &scene.pin) {
            assert_eq!(reading.code, 0, "{name}: {}: {}", reading.name, reading.err);
        }
        scene.alice.write(FILE, &form);
        scene.alice.ok_with(&["set", "db.password", "-"], b"renewed");
        let mended = scene.alice.read(FILE);
        assert!(
            !mended.contains('\r') && mended.ends_with("\"\n") && !mended.ends_with("\n\n"),
            "{name}"
        );
        // Changing one value changes its line, the generation and the signature.
        let changed = mended.lines().zip(&lines).filter(|(new, old)| new != *old).count();
        assert_eq!((changed, mended.lines().count()), (3, lines.len()), "{name}");
        scene.alice.write(FILE, &scene.text);
    }
}

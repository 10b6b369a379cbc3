//! Reading or sealing a file of up to 16 MiB takes at most 64 MiB of memory, whoever signed it.

use crate::support::Home;
use bootseal_core::{Access, Identity, Role, Vault};
use std::process::Stdio;

/// Runs bootseal with `args`. Returns its peak memory in MiB, its exit code and its stderr.
fn peak(home: &Home, args: &[&str]) -> (u64, i32, String) {
    let mut command = home.command(args);
    let errors = home.at("stderr");
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command.stderr(std::fs::File::create(&errors).unwrap());
    let mut child = command.spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut most = 0;
    let code = loop {
        // The kernel keeps the highest value, so each read also covers all peaks before it.
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let now = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
        most = most.max(now.unwrap_or_default());
        if let Some(ended) = child.try_wait().unwrap() {
            break ended.code().unwrap();
        }
        std::thread::yield_now();
    };
    (most / 1024, code, std::fs::read_to_string(errors).unwrap())
}

/// Another person's vault, filled up to 16 MiB with a comment.
fn foreign(user: &str) -> String {
    let me = Identity::generate().unwrap();
    let access = Access::new("eve", Role::Writer, me.recipient()).unwrap();
    let fill = (16 << 20) - user.len() - 4096;
    let user = format!("{user}#{}\n", "x".repeat(fill));
    Vault::create(vec![access], &user).unwrap().sign().unwrap()
}

/// How many names or elements a test uses: with `just limits`, which takes minutes, all of
/// `count`; otherwise a sixteenth of it.
fn most(count: usize) -> usize {
    if is_whole() { count } else { count / 16 }
}

fn is_whole() -> bool {
    std::env::var_os("BOOTSEAL_TEST_WHOLE").is_some()
}

fn keys(count: usize) -> String {
    (0..count).map(|at| format!("k{at:x} = 1\n")).collect()
}

fn within(home: &Home, args: &[&str], code: i32, what: &str) {
    within_mib(64, home, args, code, what);
}

fn within_mib(most: u64, home: &Home, args: &[&str], code: i32, what: &str) {
    let (peak, ended, errors) = peak(home, args);
    assert_eq!(ended, code, "{args:?}: {errors}");
    assert!(errors.contains(what), "{args:?}: {errors}");
    assert!((1..=most).contains(&peak), "{args:?} needed {peak} MiB");
}

#[test]
fn a_file_with_as_much_as_is_allowed_takes_little_memory() {
    let home = Home::new();
    for user in [keys(most(131_072)), format!("[[a]]\n{}", keys(most(1_000_000)))] {
        home.write("x.sealed.toml", foreign(&user));
        within(&home, &["verify", "-f", "x.sealed.toml"], 0, "not pinned");
        within(&home, &["list", "-f", "x.sealed.toml"], 0, "not trusted yet");
    }
}

#[test]
fn a_large_file_of_another_vault_than_the_known_one_is_refused_unparsed() {
    let home = Home::with_vault("a = 1\n");
    home.write("app.sealed.toml", foreign(&keys(most(131_072))));
    within(&home, &["verify"], 3, "different vault");
    within(&home, &["list"], 3, "different vault");
}

#[test]
fn an_input_with_more_than_is_allowed_takes_little_memory() {
    let home = Home::with_vault("a = 1\n");
    let whole = |text: &str| text.repeat((15 << 20) / text.len());
    for (text, what, is_long) in [
        (keys(1_000_000), "131072 properties", false),
        (format!("a = [{}]\n", whole("1,")), "1048576 array elements", true),
        (format!("a = [{}]\n", whole("{},")), "1048576 array elements", true),
        (whole("[[a]]\n"), "1048576 array elements", true),
        ((0..500_000).map(|at| format!("[a{at}]\n")).collect(), "131072 tables", false),
        (format!("a = {}\n", whole("[")), "recursion", false),
    ] {
        if is_long && !is_whole() {
            continue;
        }
        home.write("in.toml", text);
        within(&home, &["seal", "in.toml", "-f", "app.sealed.toml"], 1, what);
    }
}

/// A released binary must need at most 64 MiB. One that is built without optimisation needs 11 MiB
/// more, because the binary itself is larger.
const WITHOUT_OPTIMISATION: u64 = 64 + 11;

#[test]
fn sealing_as_much_as_is_allowed_takes_little_memory() {
    let home = Home::with_vault("a = 1\n");
    let fill = |text: String| {
        let rest = (16 << 20) - 8192 - text.len();
        format!("{text}#{}\n", "x".repeat(rest))
    };
    // First many readable values, then sealed values that nearly fill the file.
    home.write("readable.toml", fill(keys(most(131_072))));
    let args = ["seal", "readable.toml", "--plain", "*", "-o", "one.sealed.toml"];
    within_mib(WITHOUT_OPTIMISATION, &home, &args, 0, "");
    home.write("sealed.toml", keys(most(100_000)));
    let args = ["seal", "sealed.toml", "-o", "two.sealed.toml"];
    within_mib(WITHOUT_OPTIMISATION, &home, &args, 0, "");
    // An input whose sealed form would be too large is refused before anything is sealed.
    home.write("more.toml", fill(keys(131_072)));
    let args = ["seal", "more.toml", "-o", "three.sealed.toml"];
    within_mib(WITHOUT_OPTIMISATION, &home, &args, 1, "larger than 16 MiB");
    let array = format!("a = [{}]\n", "{b=1},".repeat(most(500_000)));
    home.write("array.toml", array);
    let args = ["seal", "array.toml", "-o", "four.sealed.toml"];
    within_mib(WITHOUT_OPTIMISATION, &home, &args, 0, "");
}

/// A vault of this home with as many readable properties, array elements and `[[blocks]]` as a file
/// may have, in three files; `many` has a new value for each property.
fn large(home: &Home) -> [&'static str; 3] {
    let properties = |value: &str| -> String {
        let lines = (0..most(130_000)).map(|at| format!("k{at:x} = \"{}\"\n", value.repeat(100)));
        lines.collect()
    };
    let array: String = (0..most(1_000_000)).map(|at| format!("'{at:x}',\n")).collect();
    let blocks = "[[a]]\nb = 1\n".repeat(most(500_000));
    for (name, text) in [
        ("many", properties("v")),
        ("other", properties("w")),
        ("array", format!("k0 = 1\na = [{array}]\n")),
        ("blocks", format!("k0 = 1\n{blocks}")),
    ] {
        home.write("in.toml", text);
        home.ok(&["seal", "in.toml", "--plain", "*", "-o", &format!("{name}.sealed.toml"), "-q"]);
    }
    ["many.sealed.toml", "array.sealed.toml", "blocks.sealed.toml"]
}

/// The limit for a part of what is allowed is lower, because a program that builds all of it would
/// stay below the whole limit.
fn limit() -> u64 {
    if is_whole() { WITHOUT_OPTIMISATION } else { 40 }
}

#[test]
fn printing_as_much_as_is_allowed_takes_little_memory() {
    let home = Home::with_vault("a = 1\n");
    for file in large(&home) {
        let name = if file.starts_with("many") { "k0" } else { "a" };
        let run = |args: &[&str]| within_mib(limit(), &home, args, 0, "");
        run(&["get", name, "-f", file]);
        run(&["get", name, "--json", "-f", file]);
        run(&["list", "--json", "-f", file]);
        run(&["list", "--values", "-f", file]);
        run(&["list", "--values", "--json", "-f", file]);
        for format in ["json", "yaml", "toml", "properties", "env", "sh"] {
            run(&["export", "--format", format, "--force", "-f", file]);
        }
        run(&["git", "textconv", file]);
        if is_whole() || file.starts_with("many") {
            run(&["exec", "-f", file, "--only", "k0", "--", "true"]);
        }
    }
}

#[test]
fn a_diff_of_as_much_as_is_allowed_takes_little_memory() {
    let home = Home::with_vault("a = 1\n");
    large(&home);
    for args in [&["diff"][..], &["diff", "--json"], &["diff", "--reveal"]] {
        let args = [args, &["many.sealed.toml", "other.sealed.toml"]].concat();
        within_mib(limit(), &home, &args, 0, "");
    }
}

#[test]
fn a_diff_of_arrays_that_are_too_large_to_build_takes_little_memory() {
    let home = Home::with_vault("a = 1\n");
    let count = |whole: usize| most(whole).max(300_000);
    let elements = |value: usize| format!("'{value}',").repeat(count(1_000_000));
    let names = |value: usize| -> String {
        let pairs = (0..count(900_000)).map(|at| format!("k{at:x}={value},"));
        pairs.collect::<String>().trim_end_matches(',').to_owned()
    };
    let texts = |value: usize| {
        [
            format!("a = [{}]\n", elements(value)),
            format!("a = [{{ b = [{}] }}]\n", elements(value)),
            format!("a = [{{ {} }}]\n", names(value)),
            format!("[[a]]\nb = [{}]\n", elements(value)),
        ]
    };
    for (at, (before, after)) in texts(1).into_iter().zip(texts(2)).enumerate() {
        if !is_whole() && at != 1 {
            continue;
        }
        let names = ["before", "after"].map(|name| format!("{name}{at}.sealed.toml"));
        for (name, text) in names.iter().zip([before, after]) {
            home.write("in.toml", text);
            home.ok(&["seal", "in.toml", "--plain", "*", "-o", name, "-q"]);
        }
        for args in [&["diff"][..], &["diff", "--json"]] {
            let args = [args, &[names[0].as_str(), &names[1]]].concat();
            within_mib(limit(), &home, &args, 0, "");
        }
    }
}

#[test]
fn a_change_in_an_array_that_is_too_large_is_shown_by_size_and_hash() {
    let home = Home::with_vault("a = 1\n");
    for (name, host) in [("before", "a"), ("after", "b")] {
        home.write("in.toml", format!("a = [{}'{host}.example']\n", "'x.example',".repeat(90_000)));
        home.ok(&["seal", "in.toml", "--plain", "*", "-o", &format!("{name}.sealed.toml"), "-q"]);
    }
    let files = ["before.sealed.toml", "after.sealed.toml"];
    let diff = home.ok(&[&["diff"][..], &files].concat());
    assert!(diff.contains("a: changed, \"(1080013 bytes of TOML, SHA-256 "), "{diff}");
    let json: serde_json::Value =
        serde_json::from_str(&home.ok(&[&["diff", "--json"][..], &files].concat())).unwrap();
    let change = &json["properties"][0];
    assert_ne!(change["before"], change["after"]);
}

#[test]
fn a_change_in_a_file_with_as_much_as_is_allowed_takes_little_memory() {
    let home = Home::with_vault("a = 1\n");
    for file in large(&home) {
        for args in [&["set", "z", "--plain", "1"][..], &["rename", "z", "y"], &["unset", "y"]] {
            within_mib(limit(), &home, &[args, &["-f", file]].concat(), 0, "");
        }
    }
}

#[test]
fn a_huge_array_in_a_login_table_is_refused_before_it_is_built() {
    let home = Home::with_vault("a = 1\n");
    let array = "{b=1},".repeat(500_000);
    let user = format!("[acme.login]\nurl = \"https://a.example/\"\nbefore = [{array}]\n");
    home.write("x.sealed.toml", foreign(&user));
    within(&home, &["verify", "-f", "x.sealed.toml"], 0, "more than 256 KiB");
}

#[test]
fn a_hand_edit_with_200_000_comments_takes_little_memory() {
    let home = Home::with_vault("a = 1\n");
    std::fs::copy(home.at("app.sealed.toml"), home.at("old.toml")).unwrap();
    let text = home.read("app.sealed.toml");
    home.write("app.sealed.toml", format!("{}{text}", "#\n".repeat(200_000)));
    within(&home, &["diff", "old.toml", "app.sealed.toml"], 0, "");
    let args = ["sign", "--against", "old.toml", "--yes"];
    within(&home, &args, 0, "167232 more comments, SHA-256 ");
    // A change in a comment that is not listed is a change too.
    std::fs::copy(home.at("app.sealed.toml"), home.at("old.toml")).unwrap();
    let text = home.read("app.sealed.toml");
    let at = text.rfind("#\n").unwrap();
    home.write("app.sealed.toml", format!("{}#x\n{}", &text[..at], &text[at + 2..]));
    let diff = home.ok(&["diff", "old.toml", "app.sealed.toml"]);
    assert_eq!(diff.matches("167232 more comments").count(), 2, "{diff}");
}

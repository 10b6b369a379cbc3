//! Snapshots of every verb in tests/cmd: command, input, stdout, stderr and exit code in one file,
//! for success and for failure. `TRYCMD=overwrite` rewrites them.

use crate::running::Running;
use crate::support::{Home, Ran, root, verbs};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

const PIN: &str = "vault1tuawd74a8wze79cchvhygajj37vsq2hvzqtxyc8n6sncvv0vr5jsgl33j6";

/// A new folder with the initial files of each case. Git does not store file modes, and a key that
/// others can read is refused.
fn base(name: &str) -> PathBuf {
    let base = root().join("target").join(name);
    let _ = std::fs::remove_dir_all(&base);
    std::fs::create_dir_all(&base).unwrap();
    for file in std::fs::read_dir(root().join("tests/cmd/files")).unwrap() {
        let file = file.unwrap();
        let copy = base.join(file.file_name());
        std::fs::copy(file.path(), &copy).unwrap();
        let script = file.path().extension().is_some_and(|extension| extension == "sh");
        std::fs::set_permissions(
            copy,
            std::fs::Permissions::from_mode(if script { 0o700 } else { 0o600 }),
        )
        .unwrap();
    }
    base
}

/// Runs a program there as alice, isolated from the real home.
fn run(base: &Path, home: &Home, program: &str, args: &[&str]) -> Ran {
    let mut command = Command::new(program);
    command
        .args(args)
        .current_dir(base)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.envs([
        ("HOME", home.path()),
        ("BOOTSEAL_IDENTITY", Path::new("alice.key")),
        ("BOOTSEAL_PIN", Path::new(PIN)),
    ]);
    for who in ["GIT_AUTHOR", "GIT_COMMITTER"] {
        command
            .env(format!("{who}_NAME"), "alice")
            .env(format!("{who}_EMAIL"), "alice@example.org");
    }
    command.env("GIT_CONFIG_NOSYSTEM", "1").output().unwrap().into()
}

fn ok(base: &Path, home: &Home, program: &str, args: &[&str]) {
    let ran = run(base, home, program, args);
    assert_eq!(ran.code, 0, "{program} {args:?}: {ran:?}");
}

/// A repository with an uncommitted change.
fn in_git(home: &Home) {
    let (base, bootseal) = (base("cmd-git"), env!("CARGO_BIN_EXE_bootseal"));
    ok(&base, home, "git", &["init", "-q", "-b", "main", "."]);
    ok(&base, home, "git", &["add", "app.sealed.toml"]);
    ok(&base, home, "git", &["commit", "-qm", "a vault"]);
    ok(&base, home, bootseal, &["set", "acme.timeout", "--plain", "20s"]);
}

/// A repository in which two branches were merged without our driver.
fn in_a_merge(home: &Home) {
    let (base, bootseal) = (base("cmd-merge"), env!("CARGO_BIN_EXE_bootseal"));
    ok(&base, home, "git", &["init", "-q", "-b", "main", "."]);
    ok(&base, home, "git", &["add", "app.sealed.toml"]);
    ok(&base, home, "git", &["commit", "-qm", "a vault"]);
    for (branch, timeout) in [("theirs", "20s"), ("main", "30s")] {
        ok(&base, home, "git", &["checkout", "-q", "-B", branch, "main"]);
        ok(&base, home, bootseal, &["set", "acme.timeout", "--plain", timeout]);
        ok(&base, home, "git", &["commit", "-qam", branch]);
    }
    assert_eq!(run(&base, home, "git", &["merge", "-q", "theirs"]).code, 1, "a conflict");
}

/// The vault with a profile for a running vendor.
fn with_a_vendor(home: &Home) -> Running {
    let made_up = Home::with_vault("[acme]\nusername = \"svc\"\npassword = \"secret:hunter2\"\n");
    made_up.ok(&["profile", "acme", "--preset", "simplejwt", "--url", "http://127.0.0.1:9"]);
    let vendor = Running::start(&made_up, &["acme", "--port", "0"]);
    let base = base("cmd-login");
    ok(
        &base,
        home,
        env!("CARGO_BIN_EXE_bootseal"),
        &["profile", "acme", "--preset", "simplejwt", "--url", &vendor.origin],
    );
    vendor
}

/// The vault with a profile for a vendor that does not exist.
fn with_a_profile(home: &Home) {
    let (base, bootseal) = (base("cmd-route"), env!("CARGO_BIN_EXE_bootseal"));
    let profile = ["profile", "acme", "--preset", "simplejwt", "--url", "https://api.acme.example"];
    ok(&base, home, bootseal, &profile);
}

#[test]
fn every_verb_prints_its_snapshot() {
    base("cmd");
    let home = Home::new();
    in_git(&home);
    in_a_merge(&home);
    let _vendor = with_a_vendor(&home);
    with_a_profile(&home);
    let cases = trycmd::TestCases::new();
    cases.register_bin("bootseal", Path::new(env!("CARGO_BIN_EXE_bootseal")));
    // Each case has its own folder as home, so that vaults known in one are unknown in others.
    cases
        .env("HOME", ".")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("NO_COLOR", "1")
        .env("USER", "alice");
    cases.case(root().join("tests/cmd/*.toml"));
    cases.run();
}

/// Verbs whose success is tested elsewhere: `vendor` runs until it is interrupted
/// (tests/cli/vendor.rs), `doctor` has findings on most machines (tests/cli/doctor.rs), and `vaults
/// forget` needs a known vault (tests/cli/known_vaults.rs).
const SHOWN_ELSEWHERE: [&str; 3] = ["vendor", "doctor", "vaults"];

#[test]
fn every_verb_has_a_snapshot_of_success_and_of_failure() {
    let cases: Vec<toml::Table> = std::fs::read_dir(root().join("tests/cmd"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .map(|path| toml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap())
        .collect();
    let of = |verb: &[String], well: bool| {
        cases.iter().any(|case| {
            let args: Vec<&str> =
                case["args"].as_array().unwrap().iter().map(|arg| arg.as_str().unwrap()).collect();
            args.starts_with(&verb.iter().map(String::as_str).collect::<Vec<_>>())
                && (case["status"].as_str() == Some("success")) == well
        })
    };
    let all = verbs(&Home::new());
    // `access`, `git` and `help` alone do nothing.
    let leaves = all.iter().filter(|verb| {
        !all.iter().any(|other| other.len() > verb.len() && other.starts_with(verb))
    });
    let leaves: Vec<_> = leaves.filter(|verb| verb.iter().all(|word| word != "help")).collect();
    assert!(leaves.len() > 30, "{leaves:?}");
    let mut missing = Vec::new();
    for verb in leaves {
        for (well, how) in [(true, "going well"), (false, "failing")] {
            let elsewhere = well && SHOWN_ELSEWHERE.contains(&verb[0].as_str());
            if !elsewhere && !of(verb, well) {
                missing.push(format!("{} {how}", verb.join(" ")));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:?}");
}

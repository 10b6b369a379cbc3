//! Ciphertext of other tools is not a value: `seal` refuses it and names `import`, and `import`
//! lists what it cannot open in place. The tools themselves make the ciphertext.

use crate::import::{CANARY, age_key, exported, imported, silent, sops, vaulted};
use crate::other_tools::{dotenvx, fed, java_sealed, python};
use crate::support::{Home, Ran};
use serde_json::json;

const PASSWORD: &str = "a master password";

fn jasypt(value: &str) -> String {
    java_sealed(&["PBEWithMD5AndDES"], PASSWORD, &[value]).remove(0)
}

/// One value after `!vault`, as `ansible-vault encrypt_string` prints it.
fn encrypted_string(home: &Home, name: &str, value: &str) -> String {
    home.write("pw", PASSWORD);
    let mut command = python(home, "ansible-vault");
    let args = ["encrypt_string", "--vault-password-file", "pw", "--stdin-name", name];
    fed(command.args(args), value.as_bytes()) + "\n"
}

/// Runs a command that must refuse ciphertext, and leaves no new file.
fn refused(home: &Home, args: &[&str], words: &[&str]) -> Ran {
    let ran = home.run(args);
    assert_eq!(ran.code, 1, "{args:?}: {ran:?}");
    for words in words {
        assert!(ran.err.contains(words), "{args:?}: {words}: {ran:?}");
    }
    silent(&ran);
    assert!(!home.at("never.sealed.toml").exists());
    let json = home.run(&[args, &["--json"]].concat());
    assert!(json.err.lines().last().unwrap().contains("\"kind\":\"conflict\""), "{json:?}");
    ran
}

#[test]
fn seal_refuses_the_files_of_every_tool_and_names_the_import() {
    let home = Home::new();
    let recipient = age_key(&home, "age.key");
    home.write("in.yaml", format!("# c\npw: {CANARY}\nhosts:\n  # c\n  - h\n"));
    home.write("in.json", format!("{{\"pw\": \"{CANARY}\"}}"));
    home.write("in.env", format!("PW={CANARY}\n"));
    for name in ["in.yaml", "in.json", "in.env"] {
        sops(&home, &["encrypt", "--age", &recipient, name], &format!("sops-{name}"));
    }
    home.write(".env", format!("PW='{CANARY}'\n"));
    dotenvx(&home, &["encrypt", "-f", ".env"]);
    home.write("app.properties", format!("db.pw={}\n", jasypt(CANARY)));
    home.write("app.toml", format!("[db]\npw = \"secret:{}\"\n", jasypt(CANARY)));
    let spring = java_sealed(&["spring"], "spring-key", &[CANARY]).remove(0);
    home.write("application.yml", format!("db:\n  pw: '{spring}'\n"));
    home.write("vars.yml", encrypted_string(&home, "db_pw", CANARY));
    home.write("vault.yml", format!("pw: {CANARY}\n"));
    vaulted(&home, &["encrypt", "--vault-password-file", "pw", "vault.yml"]);
    std::fs::copy(home.at("vault.yml"), home.at("vault.properties")).unwrap();
    for (name, tool) in [
        ("sops-in.yaml", "sops"),
        ("sops-in.json", "sops"),
        ("sops-in.env", "sops"),
        (".env", "dotenvx"),
        ("app.properties", "jasypt"),
        ("app.toml", "jasypt"),
        ("application.yml", "spring"),
        ("vars.yml", "ansible-vault"),
        ("vault.yml", "ansible-vault"),
        ("vault.properties", "ansible-vault"),
    ] {
        let help = format!("bootseal import --from {tool} {name}");
        refused(&home, &["seal", name, "-o", "never.sealed.toml"], &[name, &help]);
    }
    // What is meant is a choice of the user.
    let keep = ["seal", "app.properties", "-o", "kept.sealed.toml", "--keep-ciphertext"];
    let ran = home.run(&keep);
    assert!(ran.code == 0 && ran.err.contains("db.pw: contains ciphertext of Jasypt"), "{ran:?}");
    let kept = exported(&home, "kept.sealed.toml")["db"]["pw"].as_str().unwrap().to_owned();
    assert!(home.read("app.properties").contains(&kept));
}

#[test]
fn ciphertext_in_arrays_and_in_parts_of_values_is_refused_by_name() {
    let home = Home::with_vault("user = \"bob\"\n");
    let before = home.read("app.sealed.toml");
    let url = format!("jdbc:x?password={}&ssl=on", jasypt(CANARY));
    let text = json!({"db": {"url": url, "list": [{"pw": jasypt(CANARY)}]}, "plain": "x"});
    home.write("in.json", text.to_string());
    for args in [&["-o", "never.sealed.toml"][..], &["-f", "app.sealed.toml"]] {
        let words = ["in: db.list, db.url", "--keep-ciphertext"];
        let ran = refused(&home, &[&["seal", "in.json"], args].concat(), &words);
        assert!(!ran.err.contains("plain"), "{ran:?}");
    }
    assert_eq!(home.read("app.sealed.toml"), before);
    let many: serde_json::Map<_, _> =
        (0..50).map(|at| (format!("n{at:02}"), json!(text["db"]["url"]))).collect();
    home.write("in.json", json!(many).to_string());
    refused(&home, &["seal", "in.json", "-o", "never.sealed.toml"], &["n19, … and 30 more"]);
}

#[test]
fn import_lists_what_it_cannot_open_in_place_and_writes_nothing() {
    let home = Home::new();
    home.write("pw", PASSWORD);
    let whole = jasypt(CANARY);
    let url = format!("jdbc:x://h/shop?user=u&password={whole}&ssl=on");
    home.write("in.properties", format!("db.url={url}\ndb.password={whole}\nnote={whole} # old\n"));
    home.write("only.properties", format!("db.url={url}\n"));
    home.write(
        "in.yml",
        format!("spring:\n  url: '{url}'\n  list: ['{whole} x']\n  pw: {whole}\n"),
    );
    let other = encrypted_string(&home, "other", CANARY);
    let untagged = encrypted_string(&home, "db_pw", CANARY).replace("!vault ", "");
    home.write("vars.yml", format!("{other}{untagged}"));
    // An opened file may contain the ciphertext of another tool.
    home.write("nested.yml", format!("a: '{whole}'\nb: {CANARY}\n"));
    vaulted(&home, &["encrypt", "--vault-password-file", "pw", "nested.yml"]);
    for (tool, file, names, sealed) in [
        ("jasypt", "in.properties", "db.url, note", "db.password"),
        ("jasypt", "only.properties", "db.url", "nothing"),
        ("jasypt", "in.yml", "spring.url, spring.list", "spring.pw"),
        ("ansible-vault", "vars.yml", "db_pw", "other"),
        ("ansible-vault", "nested.yml", "a", "b"),
    ] {
        let import = ["import", "--from", tool, file, "--key-file", "pw", "-o"];
        let words = [file, &format!("ciphertext in {names} cannot be opened in place")];
        let ran = refused(&home, &[&import[..], &["never.sealed.toml"]].concat(), &words);
        let row = |label: &str| {
            let line = ran.out.lines().find(|line| line.starts_with(label));
            line.unwrap_or_else(|| panic!("{file}: {ran:?}"))[label.len()..].trim().to_owned()
        };
        assert!(row("sealed").contains(sealed), "{file}: {ran:?}");
        assert_eq!(row("file"), "none: nothing was written");
        assert!(row("not opened").starts_with(names.split(',').next().unwrap()), "{ran:?}");
    }
    let keep = ["jasypt", "in.properties", "--key-file", "pw", "--keep-ciphertext"];
    imported(&home, &[&keep[..], &["-o", "kept.sealed.toml"]].concat());
    let got = exported(&home, "kept.sealed.toml");
    assert_eq!(got["db"], json!({"url": url, "password": CANARY}));
}

#[test]
fn set_and_exec_warn_of_ciphertext_that_is_not_opened() {
    let home = Home::with_vault("user = \"bob\"\n");
    let ran = home.run_with(&["set", "pw"], jasypt(CANARY).as_bytes());
    assert!(
        ran.code == 0 && ran.err.contains("pw: the value contains ciphertext of Jasypt"),
        "{ran:?}"
    );
    home.write(".env", "PW='s3cret'\nHOST=h\n");
    dotenvx(&home, &["encrypt", "-f", ".env", "-k", "PW"]);
    let ran = home.run(&["exec", "--env-file", ".env", "--", "printenv", "HOST"]);
    assert!(
        ran.err.contains("PW: the program gets ciphertext of dotenvx")
            && ran.err.contains("bootseal import --from dotenvx .env")
            && ran.out == "h\n",
        "{ran:?}"
    );
}

#[test]
fn ciphertext_of_tools_without_an_importer_is_a_warning() {
    let home = Home::new();
    let recipient = age_key(&home, "age.key");
    let mut age = std::process::Command::new("age");
    let armor = fed(age.args(["-a", "-r", &recipient]), CANARY.as_bytes());
    home.write("in.json", json!({"age": armor, "plain": "x"}).to_string());
    let ran = home.run(&["seal", "in.json"]);
    assert!(ran.code == 0 && ran.err.contains("age: contains ciphertext of age"), "{ran:?}");
    // A file that is nothing but ciphertext is in no format.
    home.write("armor.properties", armor);
    let args = ["seal", "armor.properties", "-o", "never.sealed.toml"];
    refused(&home, &args, &["Decrypt armor.properties with age first"]);
}

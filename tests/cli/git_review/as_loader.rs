//! `verify --as-loader` opens a file as the application would.

use super::*;

/// The environment of a loader: a unit with its key and a state folder.
fn as_loader(repo: &Repo, variables: &[(&str, &str)], args: &[&str]) -> Ran {
    let mut command = repo.command("eve", &[&["verify", "--as-loader"][..], args].concat());
    for (name, value) in variables {
        command.env(name, value);
    }
    command.output().unwrap().into()
}

#[test]
fn as_loader_prints_each_source_and_writes_nothing() {
    let repo = Repo::new();
    let (key, state) = (repo.home.at("app.key"), repo.home.at("state"));
    let variables =
        [("BOOTSEAL_IDENTITY", key.to_str().unwrap()), ("BOOTSEAL_STATE", state.to_str().unwrap())];
    let ran = as_loader(&repo, &variables, &[FILE]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(
        ran.out.starts_with(&format!("{FILE}: {}, generation 3, 2 values open\n", repo.pin())),
        "{}",
        ran.out
    );
    for words in [
        "file",
        "key",
        "pin",
        "state",
        "BOOTSEAL_IDENTITY",
        "BOOTSEAL_STATE",
        "nothing seen yet",
        "profile acme: valid",
    ] {
        assert!(ran.out.contains(words), "{words}: {}", ran.out);
    }
    assert!(!state.exists(), "the check writes no state");
    assert!(!repo.home.at("eve/.local").exists());
    repo.loader().load().unwrap();
    let seen = |name: &str| -> Vec<(String, Vec<u8>)> {
        let mut files: Vec<_> = std::fs::read_dir(repo.home.at(name))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_file())
            .map(|path| (path.display().to_string(), std::fs::read(&path).unwrap()))
            .collect();
        files.sort();
        files
    };
    let before = seen("state");
    repo.set("acme.password", "new");
    let ran = as_loader(&repo, &variables, &[FILE]);
    assert!(ran.code == 0 && ran.out.contains("generation 3 was seen"), "{}{}", ran.out, ran.err);
    assert_eq!(seen("state"), before);
    let ran = as_loader(&repo, &variables, &[FILE, "--json"]);
    let document: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(
        (&document["generation"], &document["sealed"], &document["signed"]),
        (&json!(4), &json!(2), &json!(true))
    );
    assert_eq!(document["profiles"], json!([{ "name": "acme", "error": null }]));
    assert!(
        ["file", "key", "pin", "state"].iter().all(|name| document["sources"][name].is_string()),
        "{document}"
    );
}

#[test]
fn as_loader_ends_with_the_error_of_the_loader() {
    let repo = Repo::new();
    let (key, state) = (repo.home.at("app.key"), repo.home.at("state"));
    let (key, state) = (key.to_str().unwrap(), state.to_str().unwrap());
    let foreign = Home::with_vault("a = \"secret:x\"\n").vault_id();
    let path = repo.home.at(FILE);
    let compare = |variables: &[(&str, &str)], code: i32| {
        let ran = as_loader(&repo, variables, &[path.to_str().unwrap()]);
        let map = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).into()))
            .chain([("HOME".to_owned(), repo.home.at("eve").into_os_string())])
            .collect();
        let loader = bootseal::Loader::new(&path).environment(map);
        let error = loader.load().map(drop);
        assert_eq!((ran.code, ran.out.as_str()), (code, ""), "{}", ran.err);
        assert_eq!(error.unwrap_err().exit_code(), code as u8);
        ran.err
    };
    let said = compare(&[], 4);
    assert!(said.contains("no key opens") || said.contains("Tried:"), "{said}");
    let said = compare(&[("BOOTSEAL_IDENTITY", key), ("BOOTSEAL_PIN", &foreign)], 3);
    assert!(said.contains(&foreign), "{said}");
    let pin = format!("{}@99", repo.pin());
    compare(&[("BOOTSEAL_IDENTITY", key), ("BOOTSEAL_PIN", &pin)], 3);
    let old = repo.text();
    repo.set("acme.password", "new");
    repo.loader().load().unwrap();
    repo.write(&old);
    let said = compare(&[("BOOTSEAL_IDENTITY", key), ("BOOTSEAL_STATE", state)], 3);
    let error = repo.loader().load().unwrap_err();
    assert!(
        said.contains("this is generation 3 of the file, and generation 4 was seen here"),
        "{said}"
    );
    assert!(
        error
            .to_string()
            .contains("this is generation 3 of the file, and generation 4 was seen here"),
        "{error}"
    );
    let ran = as_loader(
        &repo,
        &[("BOOTSEAL_IDENTITY", key), ("BOOTSEAL_STATE", state)],
        &[FILE, "--json"],
    );
    assert_eq!(self::error(&ran)["kind"], "old-generation");
}

#[test]
fn as_loader_exits_with_1_and_names_every_broken_profile() {
    let repo = Repo::new();
    repo.ok(&["set", "acme.login.url", "--plain", "http://api.acme.example/login"]);
    repo.ok(&["set", "good.password", "--generate"]);
    repo.ok(&["set", "good.login.url", "--plain", "https://good.example/login"]);
    repo.ok(&["set", "good.login.json.p", "--plain", "${password}"]);
    let key = repo.home.at("app.key");
    let ran = as_loader(&repo, &[("BOOTSEAL_IDENTITY", key.to_str().unwrap())], &[FILE]);
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    assert!(
        ran.out.contains("profile acme: ")
            && ran.out.contains("is not https")
            && ran.out.contains("profile good: valid"),
        "{}",
        ran.out
    );
    let ran = as_loader(&repo, &[("BOOTSEAL_IDENTITY", key.to_str().unwrap())], &[FILE, "--json"]);
    let document: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(ran.code, 1);
    assert!(
        document["profiles"][0]["error"].as_str().unwrap().contains("is not https"),
        "{document}"
    );
}

#[test]
fn as_loader_accepts_one_file_and_one_identity() {
    let repo = Repo::new();
    assert_eq!(as_loader(&repo, &[], &[FILE, FILE]).code, 2);
    assert_eq!(as_loader(&repo, &[], &[FILE, "-i", "app.key", "-i", "app.key"]).code, 2);
    let ran = as_loader(&repo, &[], &[FILE, "-i", "app.key"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.contains("none: an older file would be accepted"), "{}", ran.out);
}

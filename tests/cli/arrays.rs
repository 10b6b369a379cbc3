//! Arrays: a secret inside one is sealed with the whole array, and read by its place in it.

use crate::answers::{document, fails};
use crate::support::Home;
use serde_json::json;

const USERS: &str = "users: [{name: a, password: pa}, {name: b, password: pb}]\nport: 1\n";

/// A home with the sealed form of `text`, in a file of this name.
fn sealed(name: &str, text: &str, more: &[&str]) -> Home {
    let home = Home::new();
    home.ok(&["keygen"]);
    home.write(name, text);
    home.ok(&[&["seal", name, "-o", "app.sealed.toml"], more].concat());
    home
}

#[test]
fn a_pattern_that_matches_inside_an_array_seals_the_whole_array() {
    let toml = "port = 1\nusers = [\n  { name = 'a', password = 'pa' }, # first\n]\n";
    let json = r#"{"users": [{"name": "a", "password": "pa"}], "port": 1}"#;
    let deep = "users:\n- groups: [{members: [{password: pa}]}]\nport: 1\n";
    for (name, text, only, matched) in [
        ("in.yaml", USERS, "*password*", "users[0].password"),
        ("in.yaml", USERS, "users[1].password", "users[1].password"),
        ("in.yaml", USERS, "users[*].password", "users[0].password"),
        ("in.toml", toml, "*.password", "users[0].password"),
        ("in.json", json, "*password", "users[0].password"),
        ("in.yaml", deep, "*password*", "users[0].groups[0].members[0].password"),
    ] {
        let home = Home::new();
        home.write(name, text);
        let out = home.ok(&["seal", name, "--only", only]);
        let row = format!("sealed in in.sealed.toml: users (matched {matched})\nreadable: port\n");
        assert_eq!(out, row, "{name} {only}");
        let file = home.read("in.sealed.toml");
        assert!(!file.contains("pa\"") && !file.contains("'pa'"), "{file}");
    }
    let home = Home::new();
    home.write("in.yaml", USERS);
    let told = document(&home, &["seal", "in.yaml", "--only", "*password*"]);
    assert_eq!((&told["sealed"], &told["readable"]), (&json!(["users"]), &json!(["port"])));
}

#[test]
fn a_pattern_that_cannot_seal_what_it_matches_is_an_error_that_names_it() {
    let login = "[acme]\npassword = \"p\"\nuser = \"u\"\n[acme.login]\nurl = \"https://a.example\"\njson.password = \"${password}\"\nform.pin = \"1234\"\n";
    let users = "users = [{ name = 'a', password = 'pa' }]\n";
    for (text, args, kind, words) in [
        (login, &["--only", "acme.*"][..], "conflict", "acme.login.url, which cannot be sealed"),
        (login, &["--only", "*pin"], "conflict", "acme.login.form.pin, which cannot be sealed"),
        (users, &["--plain", "*.name"], "conflict", "--plain users"),
        (users, &["--only", "*.pasword"], "not-found", "`*.pasword` matches no property"),
        (users, &["--only", "users[1]*"], "not-found", "matches no property"),
        (users, &["--only", "*password", "--plain", "users[1]"], "not-found", "`users[1]`"),
    ] {
        let home = Home::new();
        home.ok(&["keygen"]);
        home.write("app.toml", text);
        let said = fails(&home, &[&["seal", "app.toml"], args].concat(), kind);
        assert!(said.contains(words), "{args:?}: {said}");
        assert!(!home.at("app.sealed.toml").exists());
    }
    // A reference to another property is no secret, and --plain takes a setting out.
    for args in [&["--only", "*password*"][..], &["--only", "acme.*", "--plain", "acme.login.*"]] {
        let home = sealed("app.toml", login, args);
        assert!(!home.read("app.sealed.toml").contains("password = \"p\""));
    }
    // --plain takes one name inside an array out of what --only matches.
    let home = sealed(
        "app.toml",
        "users = [{ name = 'a', password_hint = 'h' }]\n[db]\npassword = 'x'\n",
        &["--only", "*password*", "--plain", "*_hint"],
    );
    assert!(home.read("app.sealed.toml").contains("password_hint = 'h'"));
}

#[test]
fn a_pattern_matches_a_quoted_name_without_its_quotes() {
    let home = Home::new();
    home.write("app.json", r#"{"spring.db.password": "hunter2", "acme": {"password": "x"}}"#);
    let out = home.ok(&["seal", "app.json", "--only", "*.password"]);
    assert!(out.contains(": \"spring.db.password\", acme.password\n"), "{out}");
    assert!(!home.read("app.sealed.toml").contains("hunter2"));
}

#[test]
fn blocks_become_one_array_in_a_new_file_and_stay_a_conflict_in_an_existing_one() {
    let text = "# top\nx = 1\n[a]\ny = 2\n# the users\n[[a.users]]\nname = \"a\" # inner\npassword = \"pa\"\n[a.users.at]\ncity = \"x\"\n\n# about c\n[c]\nz = 1\n[[a.users]]\nname = \"b\"\n# the end\n";
    let home = Home::new();
    home.ok(&["keygen"]);
    home.write("app.toml", text);
    let ran = home.run(&["seal", "app.toml", "--only", "*password", "--keep-comments"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(
        ran.err.contains("a.users: the blocks [[a.users]] became one array; the comments in them"),
        "{}",
        ran.err
    );
    let file = home.read("app.sealed.toml");
    assert!(!file.contains("[[") && !file.contains("pa\"") && !file.contains("inner"), "{file}");
    assert!(file.contains("# about c\n[c]\nz = 1\n"), "{file}");
    let users = document(&home, &["get", "a.users"]);
    let wanted = json!([{ "name": "a", "password": "pa", "at": { "city": "x" } }, { "name": "b" }]);
    assert_eq!(users["value"], wanted);
    assert_eq!(home.ok(&["get", "a.users[0].at.city"]), "x");
    assert_eq!(home.ok(&["get", "a.y"]), "2");

    home.write("plain.toml", "[[users]]\nname = \"a\"\n");
    home.ok(&["seal", "plain.toml", "--plain", "*"]);
    home.write("more.toml", "[[users]]\npassword = \"pa\"\n");
    let before = home.read("plain.sealed.toml");
    let said = fails(&home, &["seal", "more.toml", "-f", "plain.sealed.toml"], "conflict");
    assert!(said.contains("users: this is an array of tables"), "{said}");
    assert_eq!(home.read("plain.sealed.toml"), before);
}

#[test]
fn a_value_inside_an_array_is_read_by_its_place() {
    for more in [&[][..], &["--plain", "*"]] {
        let home = sealed("in.yaml", USERS, more);
        assert_eq!(home.ok(&["get", "users[1].password"]), "pb");
        assert_eq!(home.ok(&["get", "users[0]"]), "{ name = \"a\", password = \"pa\" }");
        assert_eq!(
            document(&home, &["get", "users[0].password"]),
            json!({ "name": "users[0].password", "value": "pa" })
        );
        for (place, words) in [
            ("users[2].password", "there is no users[2]: users has 2 elements, counted from 0"),
            ("users[0].pw", "there is no users[0].pw"),
            ("port[0]", "there is no port[0]"),
            ("nobody[0]", "no such property"),
        ] {
            let said = fails(&home, &["get", place], "not-found");
            assert!(said.contains(words) && !said.contains("pa\""), "{said}");
        }
        let env = ["exec", "--env", "PW=users[1].password", "--", "sh", "-c", "printf %s $PW"];
        assert_eq!(home.ok(&env), "pb");
        let only = [
            "exec",
            "--only",
            "users[1].password",
            "--",
            "sh",
            "-c",
            "echo $USERS_1_PASSWORD$PORT",
        ];
        assert_eq!(home.ok(&only), "pb\n");
        let export =
            |format: &str| home.ok(&["export", "--only", "users[1].password", "--format", format]);
        assert_eq!(export("properties"), "users[1].password=pb\n");
        assert_eq!(export("env"), "USERS_1_PASSWORD='pb'\n");
        assert_eq!(export("toml"), "[\"users[1]\"]\npassword = \"pb\"\n");
        assert_eq!(export("json"), "{\n  \"users[1]\": {\n    \"password\": \"pb\"\n  }\n}\n");
        home.write(".env", "A=bootseal:users[0].password\n");
        let file = ["exec", "--env-file", ".env", "--", "sh", "-c", "printf %s $A"];
        assert_eq!(home.ok(&file), "pa");
        fails(&home, &["export", "--only", "users[7]"], "not-found");
        fails(&home, &["export", "--only", "nobody[7]"], "not-found");
    }
}

#[test]
fn a_property_with_that_literal_name_wins() {
    let home = sealed(
        "app.properties",
        "users[0].password=spring\nusers[0].name=a\n",
        &["--only", "*password*"],
    );
    assert_eq!(home.ok(&["get", "users[0].password"]), "spring");
    assert_eq!(home.ok(&["get", "users[0].name"]), "a");
    assert_eq!(
        home.ok(&["export", "--only", "users[0]", "--format", "json"]),
        "{\n  \"users[0]\": {\n    \"password\": \"spring\",\n    \"name\": \"a\"\n  }\n}\n"
    );
    home.ok_with(&["set", "users[0].password"], b"new");
    assert_eq!(home.ok(&["get", "users[0].password"]), "new");
    home.ok(&["rename", "users[0].name", "user"]);
    home.ok(&["unset", "users[0].password"]);

    let text = "users = [{ password = \"array\" }]\n\"users[0].password\" = \"literal\"\n";
    let home = sealed("app.toml", text, &[]);
    assert_eq!(home.ok(&["get", "users[0].password"]), "literal");
    let env = ["exec", "--env", "P=users[0].password", "--", "sh", "-c", "printf %s $P"];
    assert_eq!(home.ok(&env), "literal");
}

#[test]
fn a_value_inside_an_array_is_changed_only_by_edit() {
    let home = sealed("in.yaml", USERS, &[]);
    for args in [
        &["set", "users[0].password"][..],
        &["set", "users[0].password", "--plain", "x"],
        &["unset", "users[0].password"],
        &["rename", "users[0].password", "p"],
        &["rename", "port", "users[0].port"],
        &["propose", "users[0].password", "--to", "app.sealed.toml", "-o", "p"],
    ] {
        let said = fails(&home, args, "conflict");
        assert!(
            said.contains("inside the array users") && said.contains("bootseal edit"),
            "{args:?}: {said}"
        );
    }
    let said = fails(&home, &["set", "nobody[0].x", "--plain", "x"], "conflict");
    assert!(
        said.contains("there is no array nobody") && said.contains("\"nobody[0]\".x"),
        "{said}"
    );
}

//! `list` shows names and dates, and never a value.

use crate::answers::{ACME, document, fails};
use crate::support::Home;
use serde_json::json;

#[test]
fn list_shows_names_and_dates_and_never_a_value() {
    let home = Home::with_vault(ACME);
    let list = document(&home, &["list"]);
    let date = list["properties"][2]["set_at"].as_str().unwrap().to_owned();
    assert!(date.len() == 20 && date.ends_with('Z') && date.as_bytes()[10] == b'T', "{date}");
    assert_eq!(
        list,
        json!({ "properties": [
            { "name": "title", "sealed": false, "set_at": null, "known_to": [] },
            { "name": "acme.user", "sealed": false, "set_at": null, "known_to": [] },
            { "name": "acme.password", "sealed": true, "set_at": date, "known_to": [] },
        ] })
    );
    let plain = home.ok(&["list"]);
    assert_eq!(
        plain,
        format!(
            "title          readable\nacme.user      readable\nacme.password  sealed    {date}\n"
        )
    );
    assert_eq!(home.ok(&["list", "acme"]), plain.split_once('\n').unwrap().1);
    assert_eq!(home.ok(&["list", "acme.user"]), "acme.user  readable\n");
    fails(&home, &["list", "acm"], "not-found");
    fails(&home, &["list", "a b"], "usage");
}

#[test]
fn list_works_without_an_identity_and_leaves_the_dates_out() {
    let home = Home::with_vault(ACME);
    let other = Home::new();
    std::fs::copy(home.at("app.sealed.toml"), other.at("app.sealed.toml")).unwrap();
    assert_eq!(
        other.ok(&["list"]),
        "title          readable\nacme.user      readable\nacme.password  sealed\n"
    );
    let list = document(&other, &["list"]);
    assert_eq!(
        list["properties"][2],
        json!({ "name": "acme.password", "sealed": true, "set_at": null, "known_to": null })
    );
    assert_eq!(other.ok(&["get", "acme.user"]), "bob", "a readable value needs no identity either");
    let text = fails(&other, &["get", "acme.password"], "no-identity");
    assert!(
        text.contains(
            "Tried: BOOTSEAL_IDENTITY (unset), ~/.config/bootseal/identity.txt (absent), ~/.ssh/id_ed25519 (absent)"
        ) && text.contains("It can be opened by: alice"),
        "{text}"
    );
}

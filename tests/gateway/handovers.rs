//! A state folder that saw a handover under one file name decides for every file name.

use crate::support::{Gateway, Upstream, Usual, reply};
use std::process::{Command, Output};

#[test]
fn a_second_handover_is_refused_under_every_file_name() {
    let upstream = Upstream::start(|_, stream| {
        reply(stream, "200 OK", "ok")?;
        Ok(true)
    });
    let usual = Usual::new(&upstream.origin(), "", "");
    let (sealed, state) = (&usual.sealed, tempfile::tempdir().unwrap());
    let of = |name: &str, text: &str| {
        std::fs::write(sealed.at(name), text).unwrap();
        let mut command = Command::new(sealed.command().get_program());
        command.arg(sealed.at(name)).env_clear().env("BOOTSEAL_IDENTITY", sealed.at("app.key"));
        command.env("BOOTSEAL_STATE", state.path());
        command
    };
    let old = std::fs::read_to_string(sealed.path()).unwrap();
    let new = sealed.changed(|vault| vault.rotate(true).unwrap());
    // A former writer has the same old key, and hands the id over to an id of their own.
    let fork = sealed.changed(|vault| vault.rotate(true).unwrap());
    drop(Gateway::run(of("b.sealed.toml", &old)));
    drop(Gateway::run(of("app.sealed.toml", &new)));
    for name in ["b.sealed.toml", "app.sealed.toml", "other.sealed.toml"] {
        for pin in [None, Some(&sealed.vault)] {
            let mut command = of(name, &fork);
            command.envs(pin.map(|pin| ("BOOTSEAL_PIN", pin)));
            let Output { status, stdout, stderr } = command.output().unwrap();
            let text = String::from_utf8([stdout, stderr].concat()).unwrap();
            assert_eq!(status.code(), Some(3), "{name}, {pin:?}: {text}");
        }
    }
    drop(Gateway::run(of("b.sealed.toml", &new)));
}

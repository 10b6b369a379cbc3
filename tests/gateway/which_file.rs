//! The file that the gateway serves: an argument, `-f`, `BOOTSEAL_FILE`, or `app.sealed.toml` in the
//! current folder.

use crate::support::{Sealed, free_port};
use std::path::Path;

const LOGIN: &str = "[acme.login]\nurl = \"https://api.acme.example/login\"\nbasic = true\n";

fn sealed() -> Sealed {
    let route = format!(
        "{LOGIN}[acme.route]\nlisten = \"127.0.0.1:{}\"\nupstream = \"https://api.acme.example\"\n",
        free_port()
    );
    Sealed::new(&[("acme.username", "svc"), ("acme.password", "x")], &route)
}

/// The exit code and the output of the gateway with these arguments, in the folder of `sealed`.
fn says(sealed: &Sealed, args: &[&str], variable: Option<&Path>) -> (Option<i32>, String) {
    let mut command = sealed.unnamed();
    command.args(args).current_dir(sealed.folder.path());
    if let Some(file) = variable {
        command.env("BOOTSEAL_FILE", file);
    }
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn the_file_is_an_argument_or_an_option_and_beats_the_variable() {
    let sealed = sealed();
    let path = sealed.path();
    let (path, none) = (path.to_str().unwrap(), sealed.at("none.sealed.toml"));
    for args in [&[path][..], &["-f", path], &["--file", path]] {
        let args = [&["--check"], args].concat();
        for variable in [None, Some(none.as_path())] {
            let (code, text) = says(&sealed, &args, variable);
            assert_eq!(code, Some(0), "{args:?} {variable:?}: {text}");
            assert!(text.contains(&sealed.vault), "{text}");
        }
    }
    let (code, text) = says(&sealed, &["--check", path, "-f", path], None);
    assert_eq!(code, Some(2), "{text}");
}

#[test]
fn without_a_name_the_variable_or_the_usual_name_is_used() {
    let sealed = sealed();
    let none = sealed.at("none.sealed.toml");
    assert_eq!(says(&sealed, &["--check"], None).0, Some(0));
    let (code, text) = says(&sealed, &["--check"], Some(&none));
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("none.sealed.toml"), "{text}");
    assert_eq!(says(&sealed, &["--check"], Some(Path::new(""))).0, Some(0), "empty is unset");
}

#[test]
fn healthy_reads_the_same_file() {
    let sealed = sealed();
    let path = sealed.path();
    let (path, none) = (path.to_str().unwrap(), sealed.at("none.sealed.toml"));
    for args in [&["healthy", path][..], &["healthy", "-f", path], &["healthy"]] {
        let variable = if args.len() > 1 { Some(none.as_path()) } else { None };
        let (code, text) = says(&sealed, args, variable);
        assert_eq!(code, Some(1));
        assert!(text.contains("app.sealed.toml has no gateway.admin"), "{args:?}: {text}");
    }
    let (_, text) = says(&sealed, &["healthy"], Some(&none));
    assert!(text.contains("none.sealed.toml"), "{text}");
}

//! The environment variable that a property becomes, and the refusal of variables that are programs.
//!
//! `exec`, `export` and `accept` share the lists in `programs`. Anyone who names properties must
//! not be able to choose what is run; a user who wants such a variable names it with `--env`.

use crate::trust::programs::{is_of_shells, is_program};
use crate::ui::failure::Result;
use bootseal_core::{Error, Kind, PropertyPath, Shown, shell_word};
use std::path::Path;

/// The path in capitals, with `_` for all characters except letters and digits.
pub(crate) fn name_of(path: &PropertyPath) -> String {
    joined(path).to_ascii_uppercase()
}

/// The path with `_` for all characters except letters and digits.
pub(crate) fn joined(path: &PropertyPath) -> String {
    let plain = |next: char| if next.is_ascii_alphanumeric() { next } else { '_' };
    path.segments().join("_").chars().map(plain).collect()
}

/// Whether a shell runs the variable on its own, so that the property is left out.
pub(crate) fn is_left_out(path: &PropertyPath) -> bool {
    is_of_shells(&name_of(path))
}

/// The warning that a property is left out.
pub(crate) fn left_out(path: &PropertyPath) -> String {
    let name = name_of(path);
    format!(
        "{path} is left out: shells run or expand the variable {name}. To pass it: bootseal exec --env {}",
        shell_word(format_args!("{name}={path}"))
    )
}

/// Whether a line of a .env file may set the variable: false if it is left out, because shells run
/// it on their own.
///
/// # Errors
/// [`Kind::Conflict`] if the variable is a program.
pub(crate) fn may_be_set(name: &str, file: &Path) -> Result<bool> {
    if is_of_shells(name) || !is_program(name) {
        return Ok(!is_of_shells(name));
    }
    let what = format!(
        "sets the variable {}, which decides what programs run or whom they trust",
        Shown(name)
    );
    let help = format!(
        "If you want this, seal the value and name it: --env {}. Otherwise remove the line.",
        shell_word(format_args!("{name}=PATH"))
    );
    Err(Error::new(Kind::Conflict, what).in_file(file).with_help(help).into())
}

/// The warning that a line of a .env file is left out.
pub(crate) fn line_left_out(name: &str, file: &Path) -> String {
    format!(
        "{}: {} is left out: shells run or expand the variable. To pass it, seal the value and name it: --env {}",
        Shown::path(file),
        Shown(name),
        shell_word(format_args!("{name}=PATH"))
    )
}

/// The variable of a property.
///
/// # Errors
/// [`Kind::Conflict`] if the variable is a program.
pub(crate) fn of(path: &PropertyPath, help: &str) -> Result<String> {
    let name = name_of(path);
    if !is_program(&name) {
        return Ok(name);
    }
    let what = format!(
        "would become the variable {name}, which decides what programs run or whom they trust"
    );
    let help = help.replace("NAME=PATH", &format!("{name}={path}"));
    Err(Error::new(Kind::Conflict, what).at(path).with_help(help).into())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn variables_that_run_or_redirect_are_programs_and_others_are_not() {
        for path in [
            "path",
            "node.options",
            "java.tool-options",
            "pythonstartup",
            "pythonpath",
            "perl5opt",
            "git.ssh.command",
            "ld.preload",
            "ld.audit",
            "dyld.insert.libraries",
            "prompt.command",
            "ps4",
            "env",
            "https.proxy",
            "HTTP_Proxy",
            "ssl.cert_file",
            "dotnet.startup.hooks",
            "bash.env",
            "git.config.key.0",
            "bash.func.x",
            "rubyopt",
            "npm.config.script-shell",
            "_java.options",
            "kubeconfig",
            "pager",
            "zdotdir",
        ] {
            assert!(is_program(&name_of(&path.parse().unwrap())), "{path}");
        }
        for path in [
            "acme.password",
            "git.token",
            "node.version",
            "java.version",
            "python.version",
            "environment",
            "path.to.key",
            "home.url",
            "proxy.password",
            "ssl.key",
            "shell.user",
            "editor.token",
            "docker.password",
            "aws.secret_access_key",
            "npm.token",
            "pgpassword",
        ] {
            assert!(!is_program(&name_of(&path.parse().unwrap())), "{path}");
        }
    }
}

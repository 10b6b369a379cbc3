//! The environment variable that a property becomes, and the variables that are programs: a shell,
//! an interpreter or a library runs what they contain, or sends secrets where they say.
//!
//! `exec`, `export` and `accept` use the one list. Whoever names properties must not be able to
//! choose what is run; a user who wants such a variable names it with `--env`.

use crate::ui::failure::Result;
use bootseal_core::{Error, Kind, PropertyPath, shell_word};

/// Interactive shells run or expand these on their own. They are left out instead of refused,
/// because `env` is a common name.
const LEFT_OUT: [&str; 7] = ["ENV", "PROMPT_COMMAND", "PS0", "PS1", "PS2", "PS3", "PS4"];

/// Each begins the names of a family.
const FAMILIES: [&str; 12] = [
    "BASH_FUNC_",
    "BOOTSEAL_",
    "COMPLUS_",
    "CORECLR_",
    "COR_PROFILER",
    "DOTNET_",
    "DYLD_",
    "ERL_",
    "GIT_CONFIG",
    "LD_",
    "LUA_INIT",
    "NPM_CONFIG_",
];

const PROGRAMS: &[&str] = &[
    // Shells, and what they start.
    "PATH",
    "IFS",
    "BASH_ENV",
    "BASHOPTS",
    "CDPATH",
    "FPATH",
    "GLOBIGNORE",
    "INPUTRC",
    "SHELL",
    "SHELLOPTS",
    "ZDOTDIR",
    "COMSPEC",
    "PATHEXT",
    "PSMODULEPATH",
    "SYSTEMROOT",
    "WINDIR",
    "HOME",
    "XDG_CONFIG_DIRS",
    "XDG_CONFIG_HOME",
    "XDG_DATA_DIRS",
    "XDG_DATA_HOME",
    "BROWSER",
    "EDITOR",
    "LESSCLOSE",
    "LESSOPEN",
    "MANPAGER",
    "PAGER",
    "SSH_ASKPASS",
    "SUDO_ASKPASS",
    "VISUAL",
    // Interpreters and virtual machines.
    "CATALINA_OPTS",
    "CLASSPATH",
    "GRADLE_OPTS",
    "JAVA_HOME",
    "JAVA_OPTS",
    "JAVA_TOOL_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "MAVEN_OPTS",
    "SBT_OPTS",
    "_JAVA_OPTIONS",
    "ELECTRON_RUN_AS_NODE",
    "NODE_EXTRA_CA_CERTS",
    "NODE_OPTIONS",
    "NODE_PATH",
    "NODE_TLS_REJECT_UNAUTHORIZED",
    "BUNDLE_GEMFILE",
    "GEM_HOME",
    "GEM_PATH",
    "RUBYLIB",
    "RUBYOPT",
    "PERL5DB",
    "PERL5LIB",
    "PERL5OPT",
    "PERLLIB",
    "ELIXIR_ERL_OPTIONS",
    "LUA_CPATH",
    "LUA_PATH",
    "PHPRC",
    "PHP_INI_SCAN_DIR",
    "R_ENVIRON",
    "R_PROFILE",
    "TCLLIBPATH",
    "EMACSLOADPATH",
    "EXINIT",
    "PSQLRC",
    "PSQL_EDITOR",
    "VIMINIT",
    "VIMRUNTIME",
    // Libraries that load modules.
    "GCONV_PATH",
    "GDK_PIXBUF_MODULE_FILE",
    "GIO_EXTRA_MODULES",
    "GLIBC_TUNABLES",
    "GST_PLUGIN_PATH",
    "GTK_MODULES",
    "GTK_PATH",
    "LOCPATH",
    "NLSPATH",
    "OPENSSL_CONF",
    "OPENSSL_ENGINES",
    "OPENSSL_MODULES",
    "QT_PLUGIN_PATH",
    "TERMINFO",
    // Tools that run programs out of their settings.
    "CARGO_HOME",
    "GOFLAGS",
    "MAKEFLAGS",
    "PIP_CONFIG_FILE",
    "RUSTC",
    "RUSTC_WRAPPER",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "DOCKER_CONFIG",
    "DOCKER_HOST",
    "KUBECONFIG",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_ASKPASS",
    "GIT_DIR",
    "GIT_EDITOR",
    "GIT_EXEC_PATH",
    "GIT_EXTERNAL_DIFF",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PAGER",
    "GIT_PROXY_COMMAND",
    "GIT_SEQUENCE_EDITOR",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_TEMPLATE_DIR",
    "GIT_WORK_TREE",
    // Where connections go, and whom they trust.
    "ALL_PROXY",
    "FTP_PROXY",
    "HOSTALIASES",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "LOCALDOMAIN",
    "NO_PROXY",
    "RES_OPTIONS",
    "SOCKS_PROXY",
    "AWS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "CURL_HOME",
    "GIT_SSL_CAINFO",
    "GIT_SSL_CAPATH",
    "GIT_SSL_NO_VERIFY",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
    "REQUESTS_CA_BUNDLE",
    "SSLKEYLOGFILE",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
];

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
    LEFT_OUT.contains(&name_of(path).as_str())
}

/// The warning that a property is left out.
pub(crate) fn left_out(path: &PropertyPath) -> String {
    let name = name_of(path);
    format!(
        "{path} is left out: shells run or expand the variable {name}. To pass it: bootseal exec --env {}",
        shell_word(format_args!("{name}={path}"))
    )
}

/// Whether the variable decides what is run, or whom a connection trusts.
pub(crate) fn is_program(name: &str) -> bool {
    // PYTHONSTARTUP and all of Python's own, but not PYTHON_VERSION.
    let python = name.strip_prefix("PYTHON").and_then(|rest| rest.chars().next());
    LEFT_OUT.contains(&name)
        || PROGRAMS.contains(&name)
        || FAMILIES.iter().any(|family| name.starts_with(family))
        || python.is_some_and(|next| next.is_ascii_alphabetic())
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
    let what = format!("would become the variable {name}, which controls which programs are run");
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

//! Credentials among the words of a text: in an HTTP header (`Bearer …`), in the options of a program
//! (`-Dstore.password=…`, `mysql -psecret`), and password hashes.

use crate::trust::rules::secret_name::is_secret_name;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// The beginnings of password hashes, with which passwords can be guessed offline.
const HASHES: [&str; 14] = [
    "$2a$", "$2b$", "$2x$", "$2y$", "$1$", "$5$", "$6$", "$y$", "$7$", "$apr1$", "$argon2",
    "$scrypt$", "$pbkdf2", "{SSHA",
];
/// The minimum length of a password hash.
const SHORTEST_HASH: usize = 24;
/// The minimum length of a token after `Bearer`.
const SHORTEST_TOKEN: usize = 8;

/// Programs, and the option after which a password follows, in the same word or the next one.
const PROGRAMS: [(&str, &str); 8] = [
    ("mysql", "-p"),
    ("mysqldump", "-p"),
    ("mysqladmin", "-p"),
    ("mariadb", "-p"),
    ("mongosh", "-p"),
    ("sshpass", "-p"),
    ("redis-cli", "-a"),
    ("ldapsearch", "-w"),
];
/// Programs whose option `-p` takes a password only in the same word.
const IN_ONE_WORD: [&str; 4] = ["mysql", "mysqldump", "mysqladmin", "mariadb"];

/// Whether one of the words of a text is a credential, by the words before it.
pub(super) fn has_credential(text: &str, is_placeholder: impl Fn(&str) -> bool) -> bool {
    let words: Vec<&str> = text.split_whitespace().map(unquoted).collect();
    let is_value = |word: &&str| !word.is_empty() && !is_placeholder(word);
    let program = words.iter().find_map(|word| program(word));
    let is_curl = words.iter().any(|word| word.rsplit('/').next() == Some("curl"));
    words.iter().any(|word| is_hash(word))
        || words.iter().enumerate().any(|(at, word)| {
            let next = words.get(at + 1).copied().filter(is_value);
            is_sent(word, next)
                || is_option(word, next, is_value)
                || program.is_some_and(|program| is_short_option(program, word, next, is_value))
                || is_curl && is_user(word, next)
        })
}

fn unquoted(word: &str) -> &str {
    word.trim_matches(['"', '\'', ',', ';'])
}

/// Whether a word is a password hash, alone or after a user name: `bob:$2y$10$…`.
fn is_hash(word: &str) -> bool {
    let hash = word.split_once(':').map_or(word, |(_, hash)| hash);
    let hash = ["{bcrypt}", "{argon2}", "{scrypt}", "{pbkdf2}", "{crypt}", "{CRYPT}"]
        .iter()
        .find_map(|prefix| hash.strip_prefix(prefix))
        .unwrap_or(hash);
    hash.len() >= SHORTEST_HASH && HASHES.iter().any(|prefix| hash.starts_with(prefix))
}

/// Whether a word is a scheme of the header `Authorization`, and the next one its credentials.
fn is_sent(scheme: &str, next: Option<&str>) -> bool {
    // `Authorization:Bearer …`
    let scheme = scheme.rsplit(':').next().unwrap_or(scheme);
    let Some(next) = next else { return false };
    if scheme.eq_ignore_ascii_case("basic") {
        return STANDARD.decode(next).map(Zeroizing::new).is_ok_and(|pair| {
            let at = pair.iter().position(|byte| *byte == b':');
            at.is_some_and(|at| at + 1 < pair.len())
        });
    }
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    scheme.eq_ignore_ascii_case("bearer")
        && next.len() >= SHORTEST_TOKEN
        && next.bytes().all(is_token)
        && next.bytes().any(|byte| byte.is_ascii_digit())
}

/// Whether a word is an option with the name of a secret, and a value: `-Dstore.password=x`,
/// `--password x`.
fn is_option(word: &str, next: Option<&str>, is_value: impl Fn(&&str) -> bool) -> bool {
    let Some(option) = word.strip_prefix("--").or_else(|| word.strip_prefix("-D")) else {
        return false;
    };
    match option.split_once('=') {
        Some((name, value)) => is_secret_name(name) && is_value(&unquoted(value)),
        None => {
            word.starts_with("--")
                && !option.starts_with("no-")
                && is_secret_name(option)
                && next.is_some_and(|next| !next.starts_with('-'))
        }
    }
}

/// The program of a word that is its name or path, and its option for a password.
fn program(word: &str) -> Option<(&'static str, &'static str)> {
    let name = word.rsplit('/').next().unwrap_or(word);
    PROGRAMS.into_iter().find(|(program, _)| *program == name)
}

fn is_short_option(
    (program, option): (&str, &str),
    word: &str,
    next: Option<&str>,
    is_value: impl Fn(&&str) -> bool,
) -> bool {
    match word.strip_prefix(option) {
        Some("") => {
            !IN_ONE_WORD.contains(&program) && next.is_some_and(|next| !next.starts_with('-'))
        }
        Some(value) => is_value(&value),
        None => false,
    }
}

/// Whether a word is curl's option for a user with a password: `-u bob:pw`.
fn is_user(word: &str, next: Option<&str>) -> bool {
    let user = match word {
        "-u" | "--user" => next,
        word => word.strip_prefix("-u").or_else(|| word.strip_prefix("--user=")),
    };
    let password = user.and_then(|user| user.split_once(':')).map(|(_, password)| password);
    password.is_some_and(|password| !password.is_empty() && !password.starts_with('$'))
}

#[cfg(test)]
mod tests {
    fn has_credential(text: &str) -> bool {
        super::has_credential(text, |word| word.starts_with("${"))
    }

    #[test]
    fn credentials_in_headers_options_and_hashes_are_told_from_other_words() {
        let hash = ["$2b$12$", "R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW"].concat();
        let of_bob = format!("bob:{hash}");
        let of_spring = ["{bcrypt}", &hash].concat();
        for text in [
            "Basic dXNlcjpwYXNzd29yZDEyMw==",
            "basic dXNlcjpwYXNzd29yZDEyMw==",
            "Authorization: Basic dXNlcjpwYXNzd29yZDEyMw==",
            "Authorization:Basic dXNlcjpwYXNzd29yZDEyMw==",
            "Bearer abc.def.ghi-0123456789",
            "curl -H 'Authorization: Bearer abc.def.ghi-0123456789' https://x.example",
            "-Djavax.net.ssl.trustStorePassword=changeit",
            "-Xmx1g -Djavax.net.ssl.trustStorePassword=changeit -jar app.jar",
            "--db-password=hunter2",
            "app --password hunter2 --verbose",
            "mysql -uroot -psecret1",
            "/usr/bin/mysqldump -u root -psecret1 shop",
            "sshpass -p hunter2 ssh host",
            "redis-cli -a hunter2 ping",
            "curl -u bob:hunter2 https://x.example",
            "curl --user=bob:hunter2 https://x.example",
            &hash,
            &of_bob,
            &of_spring,
            "$6$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2",
            "{SSHA}W6ph5Mm5Pz8GgiULbPgzG37mj9gOb25R",
        ] {
            assert!(has_credential(text), "{text}");
        }
        for text in [
            "Basic",
            "Basic auth",
            "Basic authentication is required",
            "Basic ${CREDENTIALS}",
            "Bearer",
            "Bearer token",
            "Bearer ${TOKEN}",
            "Bearer authentication",
            "-Djavax.net.ssl.trustStorePassword=${PW}",
            "-Djavax.net.ssl.trustStore=/etc/trust.jks",
            "--password-file /run/pw",
            "--password",
            "app --password --verbose",
            "app --no-password prompt",
            "mysql -uroot -p shop",
            "mysql -uroot --port=3306",
            "docker run -u 1000:1000 image",
            "mkdir -p data1",
            "cp -pr a b",
            "sshpass -e ssh host",
            "curl -u bob https://x.example",
            "$2b$",
            "costs $5$ or $6$",
            "key: value",
        ] {
            assert!(!has_credential(text), "{text}");
        }
    }
}

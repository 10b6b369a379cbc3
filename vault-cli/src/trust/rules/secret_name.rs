//! Names that suggest a secret: `db.password`, `API_KEY`, `clientSecret`.

/// Words that name a secret.
const SECRET: [&str; 36] = [
    "password",
    "passwd",
    "passphrase",
    "passwort",
    "kennwort",
    "passcode",
    "passe",
    "motdepasse",
    "mdp",
    "senha",
    "wachtwoord",
    "pass",
    "psw",
    "pswd",
    "pwd",
    "pw",
    "pin",
    "secret",
    "secrets",
    "token",
    "jwt",
    "bearer",
    "credential",
    "credentials",
    "cred",
    "creds",
    "apikey",
    "secretkey",
    "privatekey",
    "accesskey",
    "authkey",
    "totp",
    "otp",
    "cookie",
    "dsn",
    "webhook",
];
/// Words that name a secret together with `key`.
const KEYS: [&str; 16] = [
    "api",
    "private",
    "secret",
    "access",
    "auth",
    "encryption",
    "signing",
    "sign",
    "master",
    "account",
    "shared",
    "storage",
    "license",
    "licence",
    "app",
    "hmac",
];
/// Words after which a name is about a secret, but is none itself.
const ABOUT: [&str; 38] = [
    "url",
    "uri",
    "endpoint",
    "path",
    "file",
    "dir",
    "folder",
    "name",
    "type",
    "kind",
    "header",
    "prefix",
    "algorithm",
    "alg",
    "length",
    "len",
    "size",
    "min",
    "max",
    "count",
    "limit",
    "ttl",
    "timeout",
    "expiry",
    "expires",
    "lifetime",
    "seconds",
    "age",
    "enabled",
    "required",
    "policy",
    "hint",
    "id",
    "version",
    "encoder",
    "format",
    "rotation",
    "field",
];

/// Whether the last segment of a name, as it is without quotes, suggests a secret.
pub(crate) fn is_secret_name(name: &str) -> bool {
    let words = words(name);
    let Some(last) = words.last() else { return false };
    let is_about = ABOUT.contains(&last.as_str())
        || words.iter().any(|word| matches!(word.as_str(), "public" | "max" | "min" | "num"));
    if is_about {
        return false;
    }
    let names = |word: &String| SECRET.contains(&word.as_str()) || ends_in_secret(word);
    let is_key = |pair: &[String]| {
        KEYS.contains(&pair[0].as_str()) && matches!(pair[1].as_str(), "key" | "keys")
    };
    words.iter().any(names) || words.windows(2).any(is_key)
}

/// Whether a word without separators ends in a long word of the list: `dbpassword`.
fn ends_in_secret(word: &str) -> bool {
    let singular = word.strip_suffix('s').unwrap_or(word);
    let long = [
        "password",
        "passwd",
        "passwort",
        "kennwort",
        "passphrase",
        "secret",
        "apikey",
        "credential",
        "token",
    ];
    long.iter().any(|secret| singular.ends_with(secret))
}

/// The words of the last segment: `users[0].dbPassword` gives `db` and `password`.
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let last = name.rsplit('.').next().unwrap_or_default();
    let last = last.split('[').next().filter(|rest| !rest.is_empty()).unwrap_or(last);
    let mut previous = ' ';
    for next in last.chars() {
        let begins = previous.is_lowercase() && next.is_uppercase() || !previous.is_alphanumeric();
        if next.is_alphabetic() {
            match words.last_mut() {
                Some(word) if !begins => word.extend(next.to_lowercase()),
                _ => words.push(next.to_lowercase().collect()),
            }
        }
        // Digits separate nothing: `password2`.
        previous = if next.is_ascii_digit() { previous } else { next };
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets_are_told_from_names_about_them() {
        for name in [
            "password",
            "db.password",
            "DB_PASSWORD",
            "spring.datasource.password",
            "dbPassword",
            "dbpassword",
            "client_secret",
            "clientSecret",
            "api-key",
            "apiKey",
            "API_KEY",
            "apikey",
            "access_token",
            "private_key",
            "aws_secret_access_key",
            "users[0].password",
            "password2",
            "users[0].pw",
            "MYSQL_ROOT_PASSWORD",
            "sentry.dsn",
            "jwt.secret",
            "auth.token",
            "passwords[1]",
            "userpasswords",
            "secrets[0]",
            "SecretKey",
            "keystore-password",
            "AccountKey",
            "pin",
            "cred",
            "db.cred",
            "psw",
            "DB_PSW",
            "kennwort",
            "dbKennwort",
            "datenbankkennwort",
            "mot_de_passe",
            "motDePasse",
            "MOT_DE_PASSE",
        ] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in [
            "user",
            "username",
            "port",
            "token_url",
            "tokenEndpoint",
            "password_file",
            "password.min-length",
            "max_tokens",
            "public_key",
            "key",
            "keyboard",
            "api_key_id",
            "secret_name",
            "passenger",
            "compass",
            "bypass",
            "monkey",
            "spinner",
            "pinned",
            "author",
            "token_ttl",
            "password_policy",
            "tokenizer",
            "secretary",
            "credit",
            "accredited",
            "cred_file",
            "passenger_count",
            "",
        ] {
            assert!(!is_secret_name(name), "{name}");
        }
    }
}

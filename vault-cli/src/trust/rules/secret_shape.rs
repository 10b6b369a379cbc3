//! Values that look like secrets: tokens of known vendors, private keys, addresses with a password,
//! random text.

use crate::trust::rules::secret_name::is_secret_name;
use crate::trust::rules::secret_words::has_credential;
use std::collections::HashMap;

/// The beginnings of tokens, as their vendors document them.
const PREFIXES: [&str; 31] = [
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "gldt-",
    "xoxb-",
    "xoxp-",
    "xoxa-",
    "xoxe",
    "xapp-",
    "sk_live_",
    "sk_test_",
    "rk_live_",
    "whsec_",
    "sk-",
    "SG.",
    "AIza",
    "ya29.",
    "hf_",
    "npm_",
    "pypi-",
    "dop_v1_",
    "shpat_",
    "hvs.",
    "AKIA",
    "ASIA",
    "eyJ",
    "AGE-SECRET-KEY-",
];
/// The minimum length of a token or of random text.
const SHORTEST: usize = 16;
const SHORTEST_RANDOM: usize = 20;

/// Whether a text looks like a secret, whatever its name is.
pub(crate) fn is_secret_shape(text: &str) -> bool {
    let text = text.trim();
    let is_word = !text.contains(char::is_whitespace);
    let has_prefix = PREFIXES.iter().any(|prefix| text.starts_with(prefix));
    is_private_key(text)
        || has_password(text)
        || has_credential(text, is_placeholder)
        || is_word && has_prefix && text.len() >= SHORTEST
        || is_word && is_random(text)
}

fn is_private_key(text: &str) -> bool {
    text.contains("-----BEGIN ") && text.contains("PRIVATE KEY")
}

/// Whether an address has a password: `postgres://app:pw@db/shop`, `Server=db;Password=pw`.
fn has_password(text: &str) -> bool {
    if let Some((_, rest)) = text.split_once("://") {
        let authority = rest.split(['/', '?', '#', ' ']).next().unwrap_or_default();
        let user = authority.rsplit_once('@').map_or("", |(user, _)| user);
        let password = user.split_once(':').map_or("", |(_, password)| password);
        if !password.is_empty() && !is_placeholder(password) {
            return true;
        }
    }
    let mut parts = text.split(['?', '&', ';', ' ', ',']).filter_map(|part| part.split_once('='));
    parts.any(|(name, value)| {
        let name = name.trim();
        let names =
            ["sharedaccesskey", "accountkey", "sig"].contains(&name.to_ascii_lowercase().as_str());
        let is_setting = matches!(value, "true" | "false" | "on" | "off" | "yes" | "no");
        (names || is_parameter(name)) && !value.is_empty() && !is_setting && !is_placeholder(value)
    })
}

/// Whether a name of a parameter, without other signs than `_`, `-` and `.`, is that of a secret.
fn is_parameter(name: &str) -> bool {
    name.chars().all(|next| next.is_alphanumeric() || "_-.".contains(next)) && is_secret_name(name)
}

fn is_placeholder(text: &str) -> bool {
    text.contains("${") || text.contains("{{") || text.starts_with(['<', '$', '%']) || {
        let mut characters = text.chars();
        characters.all(|next| matches!(next, '*' | 'x' | 'X' | '.'))
    }
}

/// Whether a word is letters and digits in an order that no name has.
fn is_random(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    let is_base64 =
        body.bytes().all(|next| next.is_ascii_alphanumeric() || b"+/-_".contains(&next));
    let has = |is: fn(&char) -> bool| body.chars().any(|next| is(&next));
    let mixed = has(char::is_ascii_digit)
        && has(char::is_ascii_alphabetic)
        // A path or a name with dashes has whole words between its separators.
        && longest_word(body) < 8;
    let is_hex = body.len() >= 32 && body.bytes().all(|next| next.is_ascii_hexdigit());
    text.len() >= SHORTEST_RANDOM
        && is_base64
        && (mixed || is_hex)
        && entropy(body) > 3.0
        && !is_uuid(text)
}

/// The most letters of one case that follow each other.
fn longest_word(text: &str) -> usize {
    let (mut longest, mut current, mut previous) = (0, 0, ' ');
    for next in text.chars() {
        let continues = next.is_ascii_lowercase() == previous.is_ascii_lowercase();
        current = match next.is_ascii_alphabetic() {
            true if continues => current + 1,
            true => 1,
            false => 0,
        };
        (longest, previous) = (longest.max(current), next);
    }
    longest
}

fn is_uuid(text: &str) -> bool {
    text.split('-').map(str::len).eq([8, 4, 4, 4, 12])
}

/// The bits for each character, as Shannon defines them.
fn entropy(text: &str) -> f64 {
    let mut counts: HashMap<char, usize> = HashMap::new();
    text.chars().for_each(|next| *counts.entry(next).or_default() += 1);
    let length = text.chars().count() as f64;
    let bits = counts.values().map(|count| {
        let share = *count as f64 / length;
        -share * share.log2()
    });
    bits.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_look_like_secrets_are_told_from_settings() {
        let key = ["-----BEGIN ", "PRIVATE KEY-----\nMIIE\n"].concat();
        let made_up = ["gh", "p_16C7e42F292c6912E7710c838347Ae178B4a"].concat();
        for text in [
            key.as_str(),
            &made_up,
            "postgres://app:pw12@db.example/shop",
            "jdbc:sqlserver://db;user=app;password=pw12",
            "Server=db;Pwd=pw12;",
            "Password=123456",
            "PGPASSWORD=hunter2 psql -h db",
            "Basic dXNlcjpwYXNzd29yZDEyMw==",
            "-Djavax.net.ssl.trustStorePassword=changeit",
            "https://x.example/hook?sig=abc",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYq3Z8",
            "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b",
            "Zm9vYmFyMTIzNDU2Nzg5MGFiY2Rl",
        ] {
            assert!(is_secret_shape(text), "{text}");
        }
        for text in [
            "",
            "8080",
            "localhost:5432",
            "https://api.acme.example/v1/orders",
            "info",
            "true",
            "2026-11-23T18:00:00Z",
            "com.acme.shop.OrderService",
            "/var/lib/app/data",
            "10.0.0.0/24",
            "postgres://db.example/shop",
            "postgres://app:${DB_PASSWORD}@db/shop",
            "jdbc:x://h?password=${PW}",
            "org.hibernate.dialect.PostgreSQLDialect",
            "550e8400-e29b-41d4-a716-446655440000",
            "the quick brown fox jumps over 12 dogs",
            "registry.example/team/shop-backend:1.2.3",
            "eu-central-1",
            "aaaaaaaaaaaaaaaaaaaaaaaa1",
            "Password=xxxx",
            "require: password=true",
            "application/vnd.acme.order.v1+json",
        ] {
            assert!(!is_secret_shape(text), "{text}");
        }
    }
}

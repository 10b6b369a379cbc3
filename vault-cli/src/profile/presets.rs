//! The known kinds of vendors, each with its login as its documentation describes it.

use crate::ui::failure::{Failure, Result};
use bootseal_core::{Kind, Shown};
use url::Url;

/// A login profile that lacks only an address and the values that it names.
pub(crate) struct Preset {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    /// The path of the login. `*` stands for a segment that the address must contain.
    path: &'static str,
    /// The names of the sealed values.
    pub(crate) sealed: &'static [&'static str],
    /// Further settings that are asked for.
    pub(crate) asked: &'static [Asked],
    /// The content of the login table: `LOGIN` is the address of the login, `BASE` that of the
    /// vendor.
    login: &'static str,
    /// The tables below the login table: requests that use the login's address, or whose address is
    /// known only if the login has its usual path.
    steps: &'static [(&'static str, &'static str)],
}

/// A setting that is not secret.
pub(crate) struct Asked {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    /// The value that is used if there is no terminal.
    pub(crate) default: Option<&'static str>,
    pub(crate) place: Where,
}

/// The place of an [`Asked`] setting.
pub(crate) enum Where {
    /// A readable value of the table.
    Value,
    /// The setting replaces this word in the login table.
    Word(&'static str),
}

const USER: &[&str] = &["username", "password"];
const CLIENT: &[&str] = &["client_id", "client_secret"];

pub(crate) const PRESETS: &[Preset] = &[
    Preset {
        name: "simplejwt",
        about: "Django REST framework with djangorestframework-simplejwt",
        path: "/api/token/",
        sealed: USER,
        asked: &[],
        login: r#"
url = "LOGIN"
json = { username = "${username}", password = "${password}" }
token = { json = "/access" }
expiry = { jwt = true }
"#,
        steps: &[],
    },
    Preset {
        name: "knox",
        about: "Django REST framework with django-rest-knox",
        path: "/api/auth/login/",
        sealed: USER,
        asked: &[],
        login: r#"
url = "LOGIN"
basic = true
token = { json = "/token" }
expiry = { json = "/expiry", unit = "iso8601" }
inject = { header = "Authorization", value = "Token ${token}" }
"#,
        steps: &[],
    },
    Preset {
        name: "keycloak",
        about: "Keycloak, a user's password (direct access grants on); --url https://HOST/realms/REALM",
        path: "/realms/*/protocol/openid-connect/token",
        sealed: &["username", "password", "client_id", "client_secret"],
        asked: &[],
        login: r#"
url = "LOGIN"
form = { grant_type = "password", client_id = "${client_id}", client_secret = "${client_secret}", username = "${username}", password = "${password}" }
token = { json = "/access_token" }
expiry = { json = "/expires_in" }
capture = [{ json = "/refresh_token", as = "refresh_token" }]
"#,
        steps: &[(
            "refresh",
            r#"
url = "LOGIN"
form = { grant_type = "refresh_token", client_id = "${client_id}", client_secret = "${client_secret}", refresh_token = "${refresh_token}" }
"#,
        )],
    },
    Preset {
        name: "oauth2-password",
        about: "OAuth 2, a user's password (RFC 6749 4.3); --url is the token endpoint",
        path: "",
        sealed: &["username", "password", "client_id", "client_secret"],
        asked: &[],
        login: r#"
url = "LOGIN"
basic = "oauth"
form = { grant_type = "password", username = "${username}", password = "${password}" }
token = { json = "/access_token" }
expiry = { json = "/expires_in" }
"#,
        steps: &[],
    },
    Preset {
        name: "oauth2-client-credentials",
        about: "OAuth 2, a client's own credentials (RFC 6749 4.4); --url is the token endpoint",
        path: "",
        sealed: CLIENT,
        asked: &[],
        login: r#"
url = "LOGIN"
basic = "oauth"
form = { grant_type = "client_credentials" }
token = { json = "/access_token" }
expiry = { json = "/expires_in" }
"#,
        steps: &[],
    },
    Preset {
        name: "airflow",
        about: "Apache Airflow 3, its public API",
        path: "/auth/token",
        sealed: USER,
        asked: &[],
        login: r#"
url = "LOGIN"
json = { username = "${username}", password = "${password}" }
token = { json = "/access_token" }
expiry = { jwt = true }
ok_status = [201, 200]
"#,
        steps: &[],
    },
    Preset {
        name: "superset",
        about: "Apache Superset, its REST API, users of its own database",
        path: "/api/v1/security/login",
        sealed: USER,
        asked: &[],
        login: r#"
url = "LOGIN"
json = { username = "${username}", password = "${password}", provider = "db", refresh = true }
token = { json = "/access_token" }
expiry = { jwt = true }
"#,
        // The address of `refresh` is known, and used, only if the login has its usual path.
        steps: &[(
            "refresh",
            r#"
url = "BASE/api/v1/security/refresh"
headers = { Authorization = "Bearer ${refresh_token}" }
"#,
        )],
    },
    Preset {
        name: "directus",
        about: "Directus; the user is an e-mail address",
        path: "/auth/login",
        sealed: USER,
        asked: &[],
        login: r#"
url = "LOGIN"
json = { email = "${username}", password = "${password}" }
token = { json = "/data/access_token" }
expiry = { json = "/data/expires", unit = "ms" }
"#,
        steps: &[
            (
                "refresh",
                r#"
url = "BASE/auth/refresh"
json = { refresh_token = "${refresh_token}", mode = "json" }
"#,
            ),
            (
                "logout",
                r#"
url = "BASE/auth/logout"
json = { refresh_token = "${refresh_token}", mode = "json" }
"#,
            ),
        ],
    },
    Preset {
        name: "keystone",
        about: "OpenStack Keystone v3, a user's password for one project",
        path: "/v3/auth/tokens",
        sealed: USER,
        asked: &[
            Asked {
                name: "project",
                what: "The project's name",
                default: None,
                place: Where::Value,
            },
            Asked {
                name: "project_domain",
                what: "The project's domain",
                default: Some("Default"),
                place: Where::Value,
            },
            Asked {
                name: "user_domain",
                what: "The user's domain",
                default: Some("Default"),
                place: Where::Value,
            },
        ],
        login: r#"
url = "LOGIN"
json = { auth = { identity = { methods = ["password"], password = { user = { name = "${username}", domain = { name = "${user_domain}" }, password = "${password}" } } }, scope = { project = { name = "${project}", domain = { name = "${project_domain}" } } } } }
token = { header = "X-Subject-Token" }
expiry = { json = "/token/expires_at", unit = "iso8601" }
inject = { header = "X-Auth-Token", value = "${token}" }
ok_status = [201]
"#,
        steps: &[(
            "logout",
            r#"
method = "DELETE"
url = "LOGIN"
headers = { X-Auth-Token = "${token}", X-Subject-Token = "${token}" }
"#,
        )],
    },
    Preset {
        name: "strapi",
        about: "Strapi, its users-permissions plugin; the user is a name or an e-mail address",
        path: "/api/auth/local",
        sealed: USER,
        asked: &[],
        login: r#"
url = "LOGIN"
json = { identifier = "${username}", password = "${password}" }
token = { json = "/jwt" }
expiry = { jwt = true }
refused_status = [400, 401, 403]
"#,
        steps: &[],
    },
    Preset {
        name: "couchdb",
        about: "CouchDB and compatible servers: a session cookie with a sliding lifetime",
        path: "/_session",
        sealed: USER,
        asked: &[],
        login: r#"
url = "LOGIN"
json = { name = "${username}", password = "${password}" }
token = { cookie = "AuthSession" }
renew_from_answers = true
"#,
        steps: &[],
    },
    Preset {
        name: "cookie-session",
        about: "A session in a cookie, after a login with JSON; --url is the login",
        path: "",
        sealed: USER,
        asked: &[Asked {
            name: "cookie",
            what: "The cookie's name",
            default: Some("session"),
            place: Where::Word("COOKIE"),
        }],
        login: r#"
url = "LOGIN"
json = { username = "${username}", password = "${password}" }
token = { cookie = "COOKIE" }
expiry = { cookie = "COOKIE" }
"#,
        steps: &[],
    },
    Preset {
        name: "webmethods",
        about: "webMethods API Gateway, a client's credentials as JSON",
        path: "/invoke/pub.apigateway.oauth2/getAccessToken",
        sealed: CLIENT,
        asked: &[],
        login: r#"
url = "LOGIN"
json = { grant_type = "client_credentials", client_id = "${client_id}", client_secret = "${client_secret}" }
token = { json = "/access_token" }
expiry = { json = "/expires_in" }
"#,
        steps: &[],
    },
];

impl Preset {
    pub(crate) fn named(name: &str) -> Result<&'static Preset> {
        PRESETS.iter().find(|preset| preset.name == name).ok_or_else(|| {
            let names: Vec<&str> = PRESETS.iter().map(|preset| preset.name).collect();
            Failure::new(Kind::Usage, format!("there is no preset `{}`", Shown(name))).with_help(
                format!(
                    "The presets are: {}. To see what each is for: bootseal profile --list",
                    names.join(", ")
                ),
            )
        })
    }

    /// The login table for this vendor, as TOML, with `words` filled in.
    pub(crate) fn login(&self, url: &str, words: &[(&str, &str)]) -> Result<toml::Table> {
        let (login, base) = self.address(url)?;
        let filled = |text: &str| -> Result<toml::Table> {
            let mut table: toml::Table = toml::from_str(text).map_err(|_| {
                Failure::new(Kind::Malformed, "a built-in preset is not valid TOML")
            })?;
            let words = words
                .iter()
                .copied()
                .chain([("LOGIN", login.as_str()), ("BASE", base.as_deref().unwrap_or(""))]);
            let words: Vec<_> = words.collect();
            table.iter_mut().for_each(|(_, value)| put(value, &words));
            Ok(table)
        };
        let mut table = filled(self.login)?;
        let known = |(_, text): &&(&str, &str)| base.is_some() || !text.contains("BASE");
        let steps: Vec<_> = self.steps.iter().filter(known).collect();
        for (name, text) in &steps {
            table.insert((*name).into(), filled(text)?.into());
        }
        let spends = steps.iter().any(|(_, text)| text.contains("${refresh_token}"));
        if spends && !table.contains_key("capture") {
            let place = match self.name {
                "directus" => "/data/refresh_token",
                _ => "/refresh_token",
            };
            let capture: toml::Table = [("json", place), ("as", "refresh_token")]
                .map(|(key, text)| (key.to_owned(), toml::Value::from(text)))
                .into_iter()
                .collect();
            table.insert("capture".into(), vec![toml::Value::Table(capture)].into());
        }
        Ok(table)
    }

    /// The addresses of the login and of the vendor. An address without the usual path is
    /// completed; an address with another path is used as the login's address.
    fn address(&self, text: &str) -> Result<(String, Option<String>)> {
        let wrong = |what: &str| Failure::new(Kind::Usage, format!("--url {what}"));
        let url = Url::parse(text).map_err(|error| {
            wrong(&format!("is not a URL: {error}"))
                .with_help("For example: --url https://api.acme.example")
        })?;
        if url.host().is_none() || !["http", "https"].contains(&url.scheme()) {
            return Err(wrong("is not the address of a server")
                .with_help("For example: --url https://api.acme.example"));
        }
        if url.scheme() == "http" && !is_here(&url) {
            let help = "A password is sent over TLS only. For a test on this machine: http://127.0.0.1:PORT";
            return Err(wrong("is not https").with_help(help));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("contains credentials")
                .with_help("Leave them out: they are asked for, and sealed."));
        }
        let usual: Vec<&str> =
            self.path.split('/').skip(1).filter(|step| !step.is_empty()).collect();
        let own: Vec<&str> = url.path().split('/').filter(|step| !step.is_empty()).collect();
        let fits = |count: usize| {
            count <= own.len()
                && usual[..count]
                    .iter()
                    .zip(&own[own.len() - count..])
                    .all(|(usual, own)| usual == own || *usual == "*")
        };
        let there = (0..=usual.len()).rev().find(|count| fits(*count)).unwrap_or(0);
        if there == usual.len() || (there == 0 && !own.is_empty()) {
            let base = (there > 0).then(|| at(&url, &own[..own.len() - there], ""));
            return Ok((url.to_string(), base));
        }
        if usual[there..].contains(&"*") {
            return Err(wrong("lacks a part of the path that only you know")
                .with_help(format!("The whole address is like {}", at(&url, &[], self.path))));
        }
        let end = if self.path.ends_with('/') { "/" } else { "" };
        let whole: Vec<&str> = own.iter().chain(&usual[there..]).copied().collect();
        Ok((at(&url, &whole, end), Some(at(&url, &own[..own.len() - there], ""))))
    }
}

/// Whether the address is a literal address of this machine; a host name would depend on a
/// resolver.
pub(crate) fn is_here(url: &Url) -> bool {
    url.host_str().is_some_and(|host| host == "127.0.0.1" || host == "[::1]")
}

fn at(url: &Url, steps: &[&str], end: &str) -> String {
    let steps: String = steps.iter().map(|step| format!("/{step}")).collect();
    format!("{}{steps}{end}", url.origin().ascii_serialization())
}

fn put(value: &mut toml::Value, words: &[(&str, &str)]) {
    match value {
        toml::Value::String(text) => {
            for (word, filled) in words {
                if text.starts_with(word) {
                    text.replace_range(..word.len(), filled);
                    return;
                }
            }
        }
        toml::Value::Array(array) => array.iter_mut().for_each(|value| put(value, words)),
        toml::Value::Table(table) => table.iter_mut().for_each(|(_, value)| put(value, words)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_incomplete_address_is_completed() {
        for (preset, given, login, base) in [
            (
                "simplejwt",
                "https://a.example",
                "https://a.example/api/token/",
                Some("https://a.example"),
            ),
            (
                "simplejwt",
                "https://a.example/api",
                "https://a.example/api/token/",
                Some("https://a.example"),
            ),
            (
                "simplejwt",
                "https://a.example/api/token/",
                "https://a.example/api/token/",
                Some("https://a.example"),
            ),
            (
                "simplejwt",
                "https://a.example/auth/jwt/create/",
                "https://a.example/auth/jwt/create/",
                None,
            ),
            (
                "airflow",
                "http://127.0.0.1:8080/",
                "http://127.0.0.1:8080/auth/token",
                Some("http://127.0.0.1:8080"),
            ),
            (
                "keystone",
                "https://a.example/identity/v3",
                "https://a.example/identity/v3/auth/tokens",
                Some("https://a.example/identity"),
            ),
            (
                "keycloak",
                "https://a.example/auth/realms/main",
                "https://a.example/auth/realms/main/protocol/openid-connect/token",
                Some("https://a.example/auth"),
            ),
            ("oauth2-password", "https://a.example/o/token/", "https://a.example/o/token/", None),
            ("oauth2-password", "https://a.example", "https://a.example/", None),
        ] {
            let found = Preset::named(preset).unwrap().address(given).unwrap();
            assert_eq!((found.0.as_str(), found.1.as_deref()), (login, base), "{preset} {given}");
        }
        for bad in ["a.example", "ftp://a.example", "https://u:p@a.example", "https://a.example"] {
            assert!(Preset::named("keycloak").unwrap().address(bad).is_err(), "{bad}");
        }
    }
}

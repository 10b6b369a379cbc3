//! Turns a request into a login profile: user and password are sealed, and replaced by
//! `${username}` and `${password}`.

use crate::profile::curl::body::{Leaf, Shape, body, fill};
use crate::profile::curl::line::Line;
use crate::profile::curl::names::{is_password, is_placeholder, is_secret, squeezed};
use crate::profile::curl::refusal::refused;
use crate::profile::curl::roles::{Ask, Wanted, give_roles};
use crate::profile::curl::words::{EXPANSION, Word};
use crate::ui::failure::{Failure, Result};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bootseal_core::{AddressHost, Secret, Shown};
use toml::{Table, Value};
use url::Url;
use zeroize::Zeroizing;

/// A login profile that was made from a request.
pub(crate) struct Login {
    pub(crate) url: Url,
    pub(crate) table: Table,
    pub(crate) sealed: Vec<(String, Secret)>,
    /// The names of values for which the command contains only a placeholder.
    pub(crate) missing: Vec<String>,
    pub(crate) left_out: Vec<&'static str>,
}

/// Name and value of a header.
type Header = (String, Word);

/// Turns `line` into a login profile; `ask` is called if the role of a field is not clear.
pub(crate) fn recognise(line: Line, wanted: &Wanted<'_>, ask: &mut Ask<'_>) -> Result<Login> {
    let Line { url, method, headers, data, json, user, proxy, mut left_out } = line;
    let url = url.ok_or_else(|| refused("has no address"))?;
    let (url, in_url) = address(&url)?;
    let (headers, in_header) = sort_headers(headers, &mut left_out)?;
    let content_type = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    let content_type = content_type.map(|(_, value)| value.to_ascii_lowercase());
    let is_json = json || content_type.is_some_and(|kind| kind.contains("json"));
    let (shape, mut leaves) = body(&data, is_json)?;
    let mut login =
        Login { url, table: Table::new(), sealed: Vec::new(), missing: Vec::new(), left_out };
    let basic = user.or(in_url).or(in_header);
    let grant = leaves.iter().any(|leaf| leaf.key == "grant_type");
    // curl sends the two values unchanged. Form-encoding them, as OAuth specifies, must not change
    // what a working command sends.
    let oauth = grant && basic.as_ref().is_none_or(|both| is_unchanged_by_form_encoding(both));
    if grant && !oauth {
        login.left_out.push("the form-encoding of RFC 6749: the values of -u are sent unchanged, as curl sends them");
    }
    give_roles(&mut leaves, basic.is_some(), oauth, wanted, ask)?;

    login.table.insert("url".into(), Value::String(login.url.to_string()));
    let sends = !matches!(shape, Shape::Nothing);
    let method = method.unwrap_or_else(|| if sends { "POST" } else { "GET" }.into());
    if method != "POST" {
        login.table.insert("method".into(), method.into());
    }
    if let Some(both) = basic {
        login.take_basic(&both, oauth)?;
    }
    login.take_body(shape, &leaves)?;
    login.take_headers(headers)?;
    if let Some(proxy) = proxy {
        if proxy.contains(EXPANSION) {
            return Err(expands("the address of its proxy"));
        }
        let proxy = if proxy.contains("://") { proxy } else { format!("http://{proxy}") };
        login.table.insert("proxy".into(), proxy.into());
    }
    Ok(login)
}

impl Login {
    /// Adds HTTP Basic from `user:password`; with OAuth, these are the client's id and secret.
    fn take_basic(&mut self, both: &str, oauth: bool) -> Result<()> {
        let (user, password) = both.split_once(':').unwrap_or((both, ""));
        let names = if oauth { ["client_id", "client_secret"] } else { ["username", "password"] };
        for (name, text) in names.into_iter().zip([user, password]) {
            self.seal(name, text)?;
        }
        self.table.insert("basic".into(), if oauth { "oauth".into() } else { true.into() });
        Ok(())
    }

    fn take_body(&mut self, shape: Shape, leaves: &[Leaf]) -> Result<()> {
        for leaf in leaves {
            if let Some(role) = &leaf.role {
                self.seal(role, &leaf.text)?;
            } else if leaf.text.contains(EXPANSION) {
                let name = Shown(&leaf.name);
                return Err(expands(&format!("its field `{name}`")));
            } else if leaf.text.contains("${") {
                let what = format!(
                    "has `${{…}}` in its field `{}`: replace the placeholder with its value",
                    Shown(&leaf.name)
                );
                return Err(refused(&what));
            }
        }
        match shape {
            Shape::Nothing => {}
            Shape::Json(mut value) => {
                fill(&mut value, leaves);
                self.table.insert("json".into(), value);
            }
            Shape::Form(pairs) => {
                let form = pairs
                    .into_iter()
                    .map(|(name, index)| (name, Value::String(leaves[index].shown())));
                self.table.insert("form".into(), Value::Table(form.collect()));
            }
        }
        Ok(())
    }

    /// Adds the headers; a header with a secret becomes a reference to the sealed value.
    fn take_headers(&mut self, headers: Vec<Header>) -> Result<()> {
        let mut kept = Table::new();
        for (name, value) in headers {
            if is_implied(&name, &value) {
                continue;
            }
            let plain = squeezed(&name);
            if ["auth", "key", "token", "secret", "session", "password"]
                .iter()
                .any(|word| plain.contains(word))
            {
                let role = name
                    .to_ascii_lowercase()
                    .replace(|other: char| !other.is_ascii_alphanumeric(), "_");
                self.seal(&role, &value)?;
                kept.insert(name, format!("${{{role}}}").into());
            } else if value.contains(EXPANSION) {
                return Err(expands(&format!("its header `{}`", Shown(&name))));
            } else if value.contains("${") {
                return Err(refused(
                    "has `${…}` in a header: replace the placeholder with its value",
                ));
            } else {
                kept.insert(name, value.to_string().into());
            }
        }
        if !kept.is_empty() {
            self.table.insert("headers".into(), kept.into());
        }
        Ok(())
    }

    fn seal(&mut self, name: &str, text: &str) -> Result<()> {
        if is_placeholder(text) {
            self.missing.push(name.to_owned());
        } else if text.contains(EXPANSION) {
            return Err(expands(&format!("the value for `{}`", Shown(name))));
        } else {
            self.sealed.push((name.to_owned(), Secret::copy_of(text.as_bytes())?));
        }
        Ok(())
    }
}

/// The error for a `$` that a shell would expand in a part of a value.
fn expands(place: &str) -> Failure {
    let what = format!("has a `$` in {place} that a shell would expand");
    refused(&what).with_help(
        "Replace the variable with its value. If the `$` is a part of the value, use single quotes.",
    )
}

/// Whether form-encoding leaves `user:password` as it is.
fn is_unchanged_by_form_encoding(both: &str) -> bool {
    let unchanged = |part: &str| url::form_urlencoded::byte_serialize(part.as_bytes()).eq([part]);
    both.split(':').all(|part| part.is_empty() || is_placeholder(part) || unchanged(part))
        && both.matches(':').count() < 2
}

/// Returns the address without user information and fragment, and the user information, which curl
/// sends by HTTP Basic.
fn address(text: &str) -> Result<(Url, Option<Word>)> {
    if text.contains(EXPANSION) {
        return Err(expands("its address"));
    }
    let whole = Zeroizing::new(if text.contains("://") {
        text.to_owned()
    } else {
        format!("http://{text}")
    });
    let mut url = Url::parse(&whole).map_err(|_| refused("has an address that is not a URL"))?;
    AddressHost::require_ascii(&whole)?;
    url.set_fragment(None);
    let secret = url
        .query_pairs()
        .any(|(name, _)| is_password(&squeezed(&name)) || is_secret(&squeezed(&name)));
    if secret {
        let what = "has a secret in its address, which is written to logs: a profile sends secrets in the body or a header";
        return Err(refused(what)
            .with_help("Ask the vendor for another way to log in, and change that secret."));
    }
    if whole.contains("${") || whole.contains('<') {
        return Err(refused(
            "has a placeholder in its address: replace the placeholder with its value",
        ));
    }
    let decoded = |text: &str| -> String {
        let form = Zeroizing::new(format!("v={}", text.replace('+', "%2B")));
        let value = url::form_urlencoded::parse(form.as_bytes()).next();
        value.map(|(_, value)| value.into_owned()).unwrap_or_default()
    };
    let user = (!url.username().is_empty()).then(|| {
        Zeroizing::new(format!(
            "{}:{}",
            decoded(url.username()),
            decoded(url.password().unwrap_or_default())
        ))
    });
    let _ = url.set_username("");
    let _ = url.set_password(None);
    Ok((url, user))
}

/// Keeps the headers that matter to a vendor, and returns the user of HTTP Basic.
fn sort_headers(
    headers: Vec<Header>,
    left_out: &mut Vec<&'static str>,
) -> Result<(Vec<Header>, Option<Word>)> {
    let (mut kept, mut user) = (Vec::new(), None);
    for (name, value) in headers {
        let lower = name.to_ascii_lowercase();
        match lower.as_str() {
            "authorization" if value.to_ascii_lowercase().starts_with("basic ") => {
                let both = BASE64_STANDARD
                    .decode(value[6..].trim())
                    .ok()
                    .and_then(|both| String::from_utf8(both).ok());
                user = Some(Zeroizing::new(
                    both.ok_or_else(|| refused("has an Authorization header that is not HTTP Basic"))?,
                ));
            }
            "cookie" => left_out.push(
                "cookies: they belong to one browser; use `before` to fetch those that the login needs",
            ),
            _ if lower.contains("csrf") || lower.contains("xsrf") => {
                left_out.push(
                    "a CSRF token, which is valid only once: use `before` to fetch one before each login",
                );
            }
            // Added by browsers and curl themselves.
            "user-agent"
            | "referer"
            | "connection"
            | "host"
            | "content-length"
            | "cache-control"
            | "pragma"
            | "priority"
            | "dnt"
            | "upgrade-insecure-requests"
            | "te"
            | "expect" => {}
            _ if lower.starts_with("sec-")
                || lower.starts_with("accept") && !is_own_accept(&lower, &value) => {}
            _ => kept.push((name, value)),
        }
    }
    Ok((kept, user))
}

/// Whether a profile sends this header automatically.
fn is_implied(name: &str, value: &str) -> bool {
    let known = ["application/json", "application/x-www-form-urlencoded"];
    name.eq_ignore_ascii_case("content-type") && known.iter().any(|known| value.starts_with(known))
}

/// Whether the value of `Accept` is specific, such as `application/vnd.acme.v2+json`, which some
/// vendors require.
fn is_own_accept(name: &str, value: &str) -> bool {
    name == "accept" && !value.contains(',') && !["*/*", "application/json"].contains(&value)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::profile::curl::words::split;
    use proptest::prelude::*;

    fn made_of(text: &str) -> Result<Login> {
        let wanted = Wanted { username: None, password: None };
        recognise(Line::read(split(text)?)?, &wanted, &mut |_, _| Ok(None))
    }

    #[test]
    fn a_placeholder_is_missing_and_not_sealed() {
        for placeholder in [
            "$PASSWORD",
            "${PASSWORD}",
            "<password>",
            "{{password}}",
            "YOUR_PASSWORD",
            "***",
            "%PASSWORD%",
            "",
        ] {
            let line = format!(
                "curl https://a.example --json '{{\"user\":\"bob\",\"password\":\"{placeholder}\"}}'"
            );
            let login = made_of(&line).unwrap();
            let sealed: Vec<_> = login.sealed.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(
                (login.missing, sealed),
                (vec!["password".to_owned()], vec!["username"]),
                "{placeholder}"
            );
        }
        let login = made_of("curl https://a.example -d 'user=b$b&password=$hunter2'").unwrap();
        assert!(login.missing.is_empty());
        // A shell expands these, so they are not the value, in any spelling.
        for variable in ["\"$pass\"", "$PASS", "\"${pass_1}\"", "${PASS}"] {
            let line = format!("curl https://a.example -d user=bob -d password={variable}");
            assert_eq!(made_of(&line).unwrap().missing, ["password"], "{variable}");
        }
    }

    #[test]
    fn a_variable_in_a_part_of_a_value_is_refused() {
        for line in [
            "curl https://a.example -d \"user=bob&password=pa$sword\"",
            "curl https://a.example -d \"user=bob&password=pa$1\"",
            "curl https://a.example -d \"user=bob&password=pa$$\"",
            "curl https://a.example -d \"user=bob&password=${a}${b}\"",
            "curl https://a.example -d \"user=bob&password=x1&tenant=$t\"",
            "curl https://a.example -u bob:\"hunter2$x\"",
            "curl https://a.example/$x -u bob:hunter2",
            "curl https://a.example -u bob:hunter2 -H \"X-Tenant: $t\"",
            "curl https://a.example -u bob:hunter2 -H \"X-Api-Key: a$t\"",
            "curl https://a.example -u bob:hunter2 -x \"$proxy\"",
        ] {
            let failure = made_of(line).err().unwrap_or_else(|| panic!("{line}"));
            let text = failure.text();
            assert!(text.contains("a shell would expand") && !text.contains("hunter2"), "{text}");
        }
        let line = "curl https://a.example -d 'user=bob' -d \"password=pa\\$sword\"";
        assert_eq!(made_of(line).unwrap().sealed.len(), 2);
    }

    #[test]
    fn the_user_of_a_grant_is_sent_as_curl_sends_it() {
        let made = |user: &str| {
            let line =
                format!("curl https://a.example -d grant_type=client_credentials -u '{user}'");
            let login = made_of(&line).unwrap();
            let names: Vec<_> = login.sealed.iter().map(|(name, _)| name.clone()).collect();
            (login.table["basic"].clone(), names.join(" "))
        };
        assert_eq!(made("app:plain-1_2"), ("oauth".into(), "client_id client_secret".into()));
        for user in ["app:s3+c/r$t%=", "app:a b", "app:%2B", "a@b:plain", "app:a:b", "app:\u{e4}"] {
            assert_eq!(made(user), (true.into(), "username password".into()), "{user}");
        }
    }

    proptest! {
        #[test]
        fn no_input_causes_a_panic_or_is_quoted_in_an_error(text in "(curl )?[ -~\n^\"'\\\\$=&{}:@]{0,80}", flag in prop::sample::select(vec!["", "-d ", "-u ", "-H ", "--json "])) {
            let line = format!("curl https://a.example {flag}{text}");
            let _ = made_of(&line);
            let _ = made_of(&text);
            if let Err(failure) = made_of(&format!("curl https://a.example {flag}'{{\"hunter2hunter2{text}")) {
                prop_assert!(!failure.text().contains("hunter2hunter2"), "{}", failure.text());
            }
        }
    }
}

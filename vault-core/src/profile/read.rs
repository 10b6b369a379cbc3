//! Reads a login profile, in which each key has its type, its default and its limits.

use crate::error::Result;
use crate::file::verified::VerifiedFile;
use crate::profile::canonical::canonical;
use crate::profile::duration::{NO_DURATION, duration, parse_duration};
use crate::profile::extract::{Field, ResponsePlace, When, is_name, is_token};
use crate::profile::find::written;
use crate::profile::request::{Call, template};
use crate::profile::template::Template;
use crate::profile::{ClientCert, Expiry, Profile, Replay, Totp, TotpHash};
use crate::text::path::PropertyPath;
use crate::text::table_reader::Fields;
use toml::{Table, Value};
use url::{Host, Url};

impl Profile {
    /// Reads and checks the profile of `table`, `[table.login]`.
    ///
    /// # Errors
    /// [`Kind::NotFound`](crate::Kind::NotFound) if there is none;
    /// [`Kind::Malformed`](crate::Kind::Malformed) for an unknown key, a wrong type, a `${name}`
    /// that the table does not have, a URL that is not https, an invalid JSON pointer, a duration
    /// without a unit.
    ///
    /// ```
    /// use bootseal_core::{Kind, Profile};
    /// let text = r#"
    ///     [acme]
    ///     username = "bob"
    ///     [acme.login]
    ///     url = "https://auth.acme.example/token"
    ///     form = { grant_type = "password", user = "${username}", password = "${password}" }
    /// "#; // … with a sealed password, signed, verified
    /// # let (_, file) = bootseal_fixtures::with_password(text);
    /// let profile = Profile::read(&file, &"acme".parse()?)?;
    /// assert_eq!(profile.login.url.base().host_str(), Some("auth.acme.example"));
    /// assert_eq!(Profile::read(&file, &"bank".parse()?).unwrap_err().kind(), Kind::NotFound);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn read(file: &VerifiedFile, table: &PropertyPath) -> Result<Profile> {
        Profile::read_here(file, table).map_err(|error| error.in_file_if(file.path()))
    }

    fn read_here(file: &VerifiedFile, table: &PropertyPath) -> Result<Profile> {
        let login = table.child("login")?;
        let content = written(file, table, &mut Vec::new())?;
        let canonical = canonical(&content);
        let mut fields = Fields::of(login.to_string(), content);
        let allow_http = fields.boolean("allow_http")?.unwrap_or(false);
        let call = Call::read(&mut fields, "POST", allow_http)?;
        let before = step(&mut fields, "before", "GET", allow_http, &call)?.map(|(call, _)| call);
        let refresh =
            step(&mut fields, "refresh", "POST", allow_http, &call)?.map(|(call, _)| call);
        let (logout, logout_first) =
            step(&mut fields, "logout", "POST", allow_http, &call)?.unzip();
        if before
            .as_ref()
            .is_some_and(|before| before.url.base().origin() != call.url.base().origin())
        {
            return Err(fields.error("before", "has a `url` of another origin than the login"));
        }
        let token = token(&mut fields)?;
        let (expiry, idle) = expiry(&mut fields)?;
        let inject = inject(&mut fields, &token)?;
        let hosts = hosts(&mut fields, call.url.base())?;
        let profile = Profile {
            max_age: duration(&mut fields, "max_age", "24h")?,
            default_life: duration(&mut fields, "default_life", "5m")?,
            skew: duration(&mut fields, "skew", "60s")?,
            login_timeout: duration(&mut fields, "login_timeout", "10s")?,
            ok_status: statuses(&mut fields, "ok_status")?,
            refused_status: statuses(&mut fields, "refused_status")?,
            refused_when: When::within(&mut fields, "refused_when")?,
            retry_after: Field::within(&mut fields, "retry_after")?,
            rejected_status: statuses(&mut fields, "rejected_status")?.unwrap_or_else(|| vec![401]),
            rejected_when: When::within(&mut fields, "rejected_when")?,
            renew_from_answers: fields.boolean("renew_from_answers")?.unwrap_or(false),
            refresh_ahead: fields.boolean("refresh_ahead")?.unwrap_or(true),
            replay: replay(&mut fields)?,
            ca: fields.string("ca")?,
            client_cert: client_cert(&mut fields)?,
            proxy: proxy(&mut fields)?,
            http2: fields.boolean("http2")?.unwrap_or(true),
            share: fields.boolean("share")?.unwrap_or(true),
            next: next(&mut fields)?,
            totp: totp(&mut fields)?,
            table: table.clone(),
            login: call,
            before,
            refresh,
            logout,
            logout_first: logout_first.unwrap_or(false),
            token,
            expiry,
            idle,
            inject,
            hosts,
            allow_http,
            canonical,
        };
        profile.check(file, &fields)?;
        fields.finish()?;
        Ok(profile)
    }
}

/// Reads a request before or after the login, and its key `before`, which only `logout` may have.
fn step(
    fields: &mut Fields,
    key: &'static str,
    method: &str,
    allow_http: bool,
    login: &Call,
) -> Result<Option<(Call, bool)>> {
    let Some(mut inner) = fields.inner(key)? else { return Ok(None) };
    let first = key == "logout" && inner.boolean("before")?.unwrap_or(false);
    let inherits = key == "refresh" && !inner.has("capture");
    let mut step = Call::read(&mut inner, method, allow_http)?;
    if inherits {
        step.capture.clone_from(&login.capture);
    }
    inner.finish()?;
    Ok(Some((step, first)))
}

fn token(fields: &mut Fields) -> Result<ResponsePlace> {
    let Some(mut inner) = fields.inner("token")? else {
        return Ok(ResponsePlace::Json("/access_token".into()));
    };
    let found = ResponsePlace::read(&mut inner)?;
    inner.finish()?;
    Ok(found)
}

fn replay(fields: &mut Fields) -> Result<Replay> {
    match fields.string("replay")?.as_deref() {
        None | Some("all") => Ok(Replay::All),
        Some("idempotent") => Ok(Replay::Idempotent),
        Some("none") => Ok(Replay::None),
        Some(_) => Err(fields.error("replay", "must be \"all\", \"idempotent\" or \"none\"")),
    }
}

fn expiry(fields: &mut Fields) -> Result<(Option<Expiry>, bool)> {
    let table = match fields.take("expiry") {
        None => return Ok((None, false)),
        Some(Value::String(word)) if word == "on-reject" => {
            return Ok((Some(Expiry::OnReject), false));
        }
        Some(Value::Table(table)) => table,
        Some(_) => return Err(fields.error("expiry", "must be a table, or \"on-reject\"")),
    };
    let mut place = fields.inner_of("expiry", table);
    let idle = place.boolean("idle")?.unwrap_or(false);
    let jwt = place.boolean("jwt")?.unwrap_or(false);
    let fixed = place.string("fixed")?;
    let rule = match (jwt, fixed) {
        (true, None) => Some(Expiry::Jwt),
        (false, Some(text)) => Some(Expiry::Fixed(
            parse_duration(&text).ok_or_else(|| place.error("fixed", NO_DURATION))?,
        )),
        (true, Some(_)) => {
            return Err(place.error("fixed", "cannot be combined with `jwt`"));
        }
        (false, None) if place.is_empty() => None, // only `idle` is set
        (false, None) => Some(Expiry::Field(Field::read(&mut place)?)),
    };
    place.finish()?;
    Ok((rule, idle))
}

fn inject(fields: &mut Fields, token: &ResponsePlace) -> Result<Vec<(String, Template)>> {
    let tables = match fields.take("inject") {
        None => vec![Table::new()],
        Some(Value::Table(table)) => vec![table],
        Some(Value::Array(list)) if !list.is_empty() => {
            let tables = list.into_iter().map(|element| match element {
                Value::Table(table) => Ok(table),
                _ => Err(fields.error(
                    "inject",
                    "must contain tables, such as { header = \"…\", value = \"…\" }",
                )),
            });
            tables.collect::<Result<_>>()?
        }
        Some(_) => return Err(fields.error("inject", "must be a table, or a list of tables")),
    };
    let mut headers: Vec<(String, Template)> = Vec::new();
    for table in tables {
        let mut inject = fields.inner_of("inject", table);
        let (header, value) = (inject.string("header")?, inject.string("value")?);
        let (header, value) = match (header, value, token) {
            // A token in a cookie is sent back as a cookie.
            (None, None, ResponsePlace::Cookie(name)) => {
                ("Cookie".into(), format!("{name}=${{token}}"))
            }
            (header, value, _) => (
                header.unwrap_or_else(|| "Authorization".into()),
                value.unwrap_or_else(|| "Bearer ${token}".into()),
            ),
        };
        if !is_token(&header) {
            return Err(inject.error("header", "must be the name of a header"));
        }
        if headers.iter().any(|(other, _)| other.eq_ignore_ascii_case(&header)) {
            return Err(inject.error("header", format_args!("is `{header}` twice")));
        }
        if value.contains(|character: char| character.is_control()) {
            return Err(inject.error("value", "must be one line"));
        }
        let value = template(&inject, "value", &value)?;
        inject.finish()?;
        headers.push((header, value));
    }
    let tokens =
        headers.iter().flat_map(|(_, value)| value.names()).filter(|name| *name == "token").count();
    if tokens != 1 {
        return Err(fields.error("inject", "must contain ${token} exactly once"));
    }
    if headers.iter().flat_map(|(_, value)| value.names()).any(|name| name == "totp") {
        return Err(fields.error("inject", "cannot contain ${totp}: a code is used once"));
    }
    Ok(headers)
}

/// The name in a text that consists of exactly one `${name}`.
pub(crate) fn one_name(fields: &Fields, key: &str, text: &str) -> Result<String> {
    let name = text
        .strip_prefix("${")
        .and_then(|rest| rest.strip_suffix('}'))
        .filter(|name| is_name(name));
    name.map(str::to_owned).ok_or_else(|| {
        fields.error(
            key,
            "must be the ${name} of a value of the table: no profile key takes a file name",
        )
    })
}

fn client_cert(fields: &mut Fields) -> Result<Option<ClientCert>> {
    match (fields.string("client_cert")?, fields.string("client_key")?) {
        (None, None) => Ok(None),
        (Some(cert), Some(key)) => Ok(Some(ClientCert {
            cert: one_name(fields, "client_cert", &cert)?,
            key: one_name(fields, "client_key", &key)?,
        })),
        (Some(_), None) => Err(fields.error("client_key", "is missing beside `client_cert`")),
        (None, Some(_)) => Err(fields.error("client_cert", "is missing beside `client_key`")),
    }
}

fn proxy(fields: &mut Fields) -> Result<Option<Url>> {
    let Some(text) = fields.string("proxy")? else { return Ok(None) };
    // All traffic through the proxy is TLS in a tunnel.
    let url = Url::parse(&text).ok().filter(|url| url.scheme() == "http" && url.has_host());
    let url =
        url.filter(|url| url.path() == "/" && url.query().is_none() && url.fragment().is_none());
    let url = url
        .ok_or_else(|| fields.error("proxy", "must have the form \"http://proxy.example:3128\""))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(
            fields.error("proxy", "contains credentials, which anyone with the file could read")
        );
    }
    Ok(Some(url))
}

fn next(fields: &mut Fields) -> Result<Vec<(String, String)>> {
    let table = fields.table("next")?.unwrap_or_default();
    let pairs = table.into_iter().map(|(name, value)| match value {
        Value::String(spare) if is_name(&spare) && spare != name => Ok((name, spare)),
        _ => Err(fields.error(
            "next",
            "must name another value of the table, such as { password = \"password_next\" }",
        )),
    });
    pairs.collect()
}

fn totp(fields: &mut Fields) -> Result<Option<Totp>> {
    let Some(mut inner) = fields.inner("totp")? else { return Ok(None) };
    let seed = inner.string("seed")?;
    let seed = inner.required("seed", seed)?;
    if !is_name(&seed) {
        return Err(
            inner.error("seed", "must be the name of a value of the table, not the seed itself")
        );
    }
    let digits = inner.integer("digits")?.unwrap_or(6);
    let digits = u32::try_from(digits).ok().filter(|digits| (6..=8).contains(digits));
    let digits = digits.ok_or_else(|| inner.error("digits", "must be 6, 7 or 8"))?;
    let period = duration(&mut inner, "period", "30s")?;
    if period.subsec_nanos() != 0 || !(10..=120).contains(&period.as_secs()) {
        return Err(inner.error("period", "must be whole seconds, from 10s to 120s"));
    }
    let hash = match inner.string("hash")?.as_deref() {
        None | Some("sha1") => TotpHash::Sha1,
        Some("sha256") => TotpHash::Sha256,
        Some("sha512") => TotpHash::Sha512,
        Some(_) => return Err(inner.error("hash", "must be \"sha1\", \"sha256\" or \"sha512\"")),
    };
    inner.finish()?;
    Ok(Some(Totp { seed, digits, period, hash }))
}

fn hosts(fields: &mut Fields, login: &Url) -> Result<Vec<(Host, u16)>> {
    let Some(list) = fields.array("hosts")? else {
        let own = login.host().map(|host| host.to_owned()).zip(login.port_or_known_default());
        return Ok(own.into_iter().collect());
    };
    let entries = list.into_iter().map(|value| {
        let origin = value
            .as_str()
            .filter(|text| !text.contains(['/', '*', '@', '?', '#']))
            .and_then(|text| Url::parse(&format!("https://{text}")).ok());
        let origin = origin.and_then(|url| url.host().map(|host| host.to_owned()).zip(url.port_or_known_default()));
        origin.ok_or_else(|| {
            fields.error(
                "hosts",
                "must list hosts, such as \"api.acme.example\" or \"api.acme.example:8443\", without wildcards",
            )
        })
    });
    let list: Vec<_> = entries.collect::<Result<_>>()?;
    if list.is_empty() {
        return Err(fields.error("hosts", "is empty, so the token could not be sent anywhere"));
    }
    Ok(list)
}

fn statuses(fields: &mut Fields, key: &'static str) -> Result<Option<Vec<u16>>> {
    let Some(list) = fields.array(key)? else { return Ok(None) };
    let list = list.into_iter().map(|value| {
        value
            .as_integer()
            .and_then(|status| u16::try_from(status).ok())
            .filter(|status| (100..600).contains(status))
    });
    let list: Option<Vec<u16>> = list.collect();
    list.map(Some).ok_or_else(|| fields.error(key, "must list status codes, from 100 to 599"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::tests::{VALUES, read, whole};
    use proptest::prelude::*;

    #[test]
    fn a_sample_profile_with_all_requests_is_read() {
        let profile = whole(&format!(
            r#"{VALUES}otp_seed = "x"
[acme.login]
url = "https://api.acme.example/v1/login"
method = "POST"
json = {{ user = "${{username}}", password = "${{password}}", tenant = "eu", code = "${{totp}}" }}
headers = {{ X-Client = "bootseal", X-CSRF-Token = "${{csrf}}" }}
token = {{ json = "/data/access_token" }}
capture = [ {{ cookie = "ROUTEID" }}, {{ json = "/data/id", as = "id" }}, {{ json = "/r", as = "refresh_token" }} ]
expiry = {{ jwt = true }}
inject = [ {{ header = "Authorization", value = "Bearer ${{token}}" }}, {{ header = "Cookie", value = "ROUTEID=${{ROUTEID}}" }} ]
hosts = ["api.acme.example"]
refused_when = {{ json = "/error" }}
retry_after = {{ json = "/retry_after_ms", unit = "ms" }}
rejected_when = {{ json = "/error/code", equals = "SESSION_EXPIRED" }}
proxy = "http://proxy.example:3128"
share = false
http2 = false
next = {{ password = "password_next" }}
totp = {{ seed = "otp_seed", digits = 8, period = "60s", hash = "sha256" }}
[acme.login.before]
url = "https://api.acme.example/csrf"
capture = [ {{ header = "X-CSRF-Token", as = "csrf" }} ]
[acme.login.refresh]
url = "https://api.acme.example/v1/refresh"
json = {{ refresh_token = "${{refresh_token}}" }}
[acme.login.logout]
method = "DELETE"
before = true
url = "https://api.acme.example/v1/session/${{id}}"
"#
        ))
        .unwrap();
        assert!(
            profile.logout_first
                && !profile.share
                && !profile.http2
                && profile.refresh.unwrap().capture.len() == 3
        );
        assert_eq!(profile.inject.len(), 2);
    }

    #[test]
    fn a_token_from_a_cookie_is_sent_as_a_cookie() {
        let profile = read("basic = true\ntoken = { cookie = \"s\" }").unwrap();
        let (name, value) = &profile.inject[0];
        assert_eq!((name.as_str(), value.parts().len(), value.names().count()), ("Cookie", 2, 1));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn arbitrary_text_never_causes_a_panic(key in prop::sample::select(Profile::KEYS), value in r#"(\$\{|\}|[a-z/."'=\[\]{} 0-9:]){0,24}"#) {
            let _ = read(&format!("basic = true\n{key} = {value}"));
            let _ = read(&format!("basic = true\n{key} = '{}'", value.replace('\'', "")));
        }
    }
}

//! The template of one request of a login profile: the login itself, or a request before or after
//! it.

use crate::error::Result;
use crate::profile::extract::{Capture, is_token};
use crate::profile::template::{JsonTemplate, Part, Template};
use crate::profile::url_template::UrlTemplate;
use crate::shown::Shown;
use crate::text::table_reader::Fields;
use std::collections::BTreeSet;
use toml::Value;
use url::{Host, Url};

/// One request of a login profile.
///
/// ```
/// # use bootseal_fixtures::profile;
/// let profile = profile(r#"
///     url = "https://auth.acme.example/login"
///     basic = true
///     headers = { X-Csrf = "${csrf}" }
///     before = { url = "https://auth.acme.example/csrf", capture = [ { header = "X-Csrf", as = "csrf" } ] }
/// "#);
/// let before = profile.before.unwrap();
/// assert_eq!((before.method.as_str(), before.capture[0].name.as_str()), ("GET", "csrf"));
/// ```
#[derive(Clone, Debug)]
pub struct Call {
    /// Its URL.
    pub url: UrlTemplate,
    /// Its method.
    pub method: String,
    /// Its body.
    pub body: Body,
    /// The two values of the table that are sent as HTTP Basic credentials.
    pub basic: Option<Basic>,
    /// Additional headers.
    pub headers: Vec<(String, Template)>,
    /// The values captured from the response.
    pub capture: Vec<Capture>,
}

/// The body of a request.
///
/// ```
/// # use bootseal_fixtures::profile;
/// use bootseal_core::Body;
/// let profile = profile(r#"
///     url = "https://auth.acme.example/token"
///     form = { user = "${username}", password = "${password}" }
/// "#);
/// let Body::Form(fields) = &profile.login.body else { panic!() };
/// let names: Vec<_> = fields.iter().map(|(name, _)| name.as_str()).collect();
/// assert_eq!(names, ["user", "password"]);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Body {
    /// No body.
    Empty,
    /// JSON.
    Json(JsonTemplate),
    /// `application/x-www-form-urlencoded`.
    Form(Vec<(String, Template)>),
}

/// The two values that become HTTP Basic credentials, and their encoding.
///
/// ```
/// # use bootseal_fixtures::profile;
/// use bootseal_core::Basic;
/// let profile = profile("url = \"https://auth.acme.example/token\"\nbasic = \"oauth\"\n");
/// assert_eq!(profile.login.basic, Some(Basic::OAuth));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basic {
    /// The values are encoded unchanged (RFC 7617).
    Plain,
    /// The values are first form-encoded (RFC 6749 §2.3.1).
    OAuth,
}

impl Basic {
    /// The names of the two values in the table: the user and the password.
    ///
    /// ```
    /// use bootseal_core::Basic;
    /// assert_eq!(Basic::Plain.names(), ["username", "password"]);
    /// assert_eq!(Basic::OAuth.names(), ["client_id", "client_secret"]);
    /// ```
    pub fn names(self) -> [&'static str; 2] {
        match self {
            Basic::Plain => ["username", "password"],
            Basic::OAuth => ["client_id", "client_secret"],
        }
    }
}

impl Call {
    /// Reads the keys of a request from `fields`; other keys stay in it.
    pub(crate) fn read(fields: &mut Fields, method: &str, allow_http: bool) -> Result<Call> {
        let text = fields.string("url")?;
        let text = fields.required("url", text)?;
        let url = UrlTemplate::parse(&text).map_err(|error| {
            let failed = fields.error("url", format_args!("cannot be used: {}", error.what()));
            match error.help() {
                Some(help) => failed.with_help(help),
                None => failed,
            }
        })?;
        let clear = url.base().scheme() == "http" && (allow_http || is_loopback(url.base()));
        if url.base().scheme() != "https" && !clear {
            return Err(fields
                .error("url", "is not https")
                .with_help("A password is sent over TLS only. For a test on this machine, use the literal address 127.0.0.1 or ::1. Elsewhere, allow_http = true permits http."));
        }
        let method = fields.string("method")?.unwrap_or_else(|| method.into());
        if method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Err(
                fields.error("method", "must be a method in capital letters, such as \"POST\"")
            );
        }
        let body = body(fields)?;
        let basic = match fields.take("basic") {
            None | Some(Value::Boolean(false)) => None,
            Some(Value::Boolean(true)) => Some(Basic::Plain),
            Some(Value::String(how)) if how == "oauth" => Some(Basic::OAuth),
            Some(_) => return Err(fields.error("basic", "must be true, false or \"oauth\"")),
        };
        let headers = headers(fields)?;
        let capture = Capture::list(fields)?.unwrap_or_default();
        Ok(Call { url, method, body, basic, headers, capture })
    }

    /// The names of the values that the request needs.
    pub(crate) fn names(&self) -> BTreeSet<&str> {
        let mut names = BTreeSet::new();
        match &self.body {
            Body::Empty => {}
            Body::Json(json) => json.names(&mut names),
            Body::Form(form) => {
                form.iter().for_each(|(_, template)| names.extend(template.names()))
            }
        }
        self.headers.iter().for_each(|(_, template)| names.extend(template.names()));
        if let Some(basic) = self.basic {
            names.extend(basic.names());
        }
        names
    }
}

pub(crate) fn is_loopback(url: &Url) -> bool {
    matches!(url.host(), Some(Host::Ipv4(ip)) if ip.octets() == [127, 0, 0, 1])
        || matches!(url.host(), Some(Host::Ipv6(ip)) if ip.is_loopback())
}

pub(crate) fn template(fields: &Fields, key: &str, text: &str) -> Result<Template> {
    Template::parse(text).map_err(|what| fields.error(key, what))
}

fn body(fields: &mut Fields) -> Result<Body> {
    let (json, form) = (fields.take("json"), fields.table("form")?);
    match (json, form) {
        (Some(_), Some(_)) => {
            Err(fields.error("form", "cannot be combined with `json`: a request has one body"))
        }
        (None, None) => Ok(Body::Empty),
        (Some(json @ Value::Table(_)), None) => Ok(Body::Json(json_template(fields, json)?)),
        (Some(_), None) => Err(fields.error("json", "must be a table")),
        (None, Some(form)) => {
            let pairs = form.into_iter().map(|(name, value)| match scalar(&value) {
                Some(text) => Ok((name, template(fields, "form", &text)?)),
                None => {
                    Err(fields.error("form", "must contain only strings, numbers and booleans"))
                }
            });
            Ok(Body::Form(pairs.collect::<Result<_>>()?))
        }
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(_) | Value::Boolean(_) | Value::Float(_) => Some(value.to_string()),
        _ => None,
    }
}

fn json_template(fields: &Fields, value: Value) -> Result<JsonTemplate> {
    Ok(match value {
        Value::String(text) => JsonTemplate::Text(template(fields, "json", &text)?),
        Value::Float(float) if !float.is_finite() => {
            return Err(fields.error("json", "contains a number that JSON does not support"));
        }
        Value::Integer(_) | Value::Boolean(_) | Value::Float(_) => {
            JsonTemplate::Raw(value.to_string())
        }
        Value::Datetime(datetime) => {
            JsonTemplate::Text(Template(vec![Part::Text(datetime.to_string())]))
        }
        Value::Array(array) => JsonTemplate::Array(
            array
                .into_iter()
                .map(|element| json_template(fields, element))
                .collect::<Result<_>>()?,
        ),
        Value::Table(table) => {
            let members =
                table.into_iter().map(|(name, member)| Ok((name, json_template(fields, member)?)));
            JsonTemplate::Object(members.collect::<Result<_>>()?)
        }
    })
}

fn headers(fields: &mut Fields) -> Result<Vec<(String, Template)>> {
    let table = fields.table("headers")?.unwrap_or_default();
    let pairs = table.into_iter().map(|(name, value)| match value {
        Value::String(text)
            if is_token(&name) && !text.contains(|one: char| one.is_control() && one != '\t') =>
        {
            Ok((name, template(fields, "headers", &text)?))
        }
        _ => Err(fields.error(
            "headers",
            format_args!(
                "contains `{}`, which is not a header name, or whose value is not one line of text",
                Shown(&name)
            ),
        )),
    });
    pairs.collect()
}

//! How does one log in? A login profile: readable, signed, and checked when it is read, so that one which cannot work is told at start.

use crate::document::Property;
use crate::error::{Error, Kind, Result, Shown};
use crate::fields::Fields;
use crate::path::PropertyPath;
use crate::sealed_file::VerifiedFile;
use crate::template::{JsonTemplate, Part, Template};
use std::collections::BTreeSet;
use std::time::Duration;
use toml::{Table, Value};
use url::{Host, Url};

/// A login profile that can work: its URL, templates, pointers, durations and hosts were checked.
///
/// ```
/// # use bootseal_core::*;
/// # fn profile(login: &str) -> Result<Profile> {
/// #     let access = vec![Access::new("me", Role::Writer, Identity::generate()?.recipient())?];
/// #     let text = format!("[acme]\nusername = \"bob\"\npassword = \"\"\n[acme.login]\n{login}");
/// #     let text = Vault::create(access, &text)?.sign()?;
/// #     Profile::read(&SealedFile::parse(text.into_bytes())?.verify(&[])?, &"acme".parse()?)
/// # }
/// let profile = profile(r#"
///     url = "https://auth.acme.example/token"
///     form = { user = "${username}", password = "${password}" }
///     expiry = { json = "/lifetime", unit = "min" }
/// "#)?;
/// assert_eq!((profile.method.as_str(), &profile.token), ("POST", &TokenPlace::Json("/access_token".into())));
/// assert_eq!(profile.max_age, std::time::Duration::from_secs(24 * 3600));
/// assert_eq!(profile.rejected_status, [401]);
/// # Ok::<(), bootseal_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Profile {
    /// The table that holds it: `acme` for `[acme.login]`.
    pub table: PropertyPath,
    /// Where to log in.
    pub url: Url,
    /// The login's method; POST unless said.
    pub method: String,
    /// What is sent.
    pub body: Body,
    /// `username` and `password` of the table as HTTP Basic.
    pub basic: Option<Basic>,
    /// More headers of the login.
    pub headers: Vec<(String, Template)>,
    /// Where the token is in the answer.
    pub token: TokenPlace,
    /// What says how long the token lives; `None`: the JWT's `exp`, else `/expires_in`, else the default.
    pub expiry: Option<Expiry>,
    /// Each accepted call moves the deadline.
    pub idle: bool,
    /// No token is used for longer.
    pub max_age: Duration,
    /// How long a token lives whose answer does not say.
    pub default_life: Duration,
    /// Taken off the life, at most.
    pub skew: Duration,
    /// The header that carries the token on each call.
    pub inject_header: String,
    /// Its value; holds `${token}`.
    pub inject_value: Template,
    /// Origins where the token may go.
    hosts: Vec<(Host, u16)>,
    allow_http: bool,
    /// The login's answers that mean success; `None`: any 2xx.
    pub ok_status: Option<Vec<u16>>,
    /// The login's answers that mean that these credentials are wrong, where the profile lists them.
    pub refused_status: Option<Vec<u16>>,
    /// A call's answers that mean that the token is no longer good.
    pub rejected_status: Vec<u16>,
    /// Log in behind a call before the token has run out.
    pub refresh_ahead: bool,
    /// Which calls may be sent once more after a rejection.
    pub replay: Replay,
    /// The whole login.
    pub login_timeout: Duration,
    /// PEM certificates to trust instead of the system's.
    pub ca: Option<String>,
}

/// The body of the login.
///
/// ```
/// # use bootseal_core::*;
/// # fn profile(login: &str) -> Result<Profile> {
/// #     let access = vec![Access::new("me", Role::Writer, Identity::generate()?.recipient())?];
/// #     let text = format!("[acme]\nusername = \"bob\"\npassword = \"\"\n[acme.login]\n{login}");
/// #     let text = Vault::create(access, &text)?.sign()?;
/// #     Profile::read(&SealedFile::parse(text.into_bytes())?.verify(&[])?, &"acme".parse()?)
/// # }
/// let profile = profile(r#"
///     url = "https://auth.acme.example/token"
///     form = { user = "${username}", password = "${password}" }
/// "#)?;
/// let Body::Form(fields) = &profile.body else { panic!() };
/// let names: Vec<_> = fields.iter().map(|(name, _)| name.as_str()).collect();
/// assert_eq!(names, ["user", "password"]);
/// # Ok::<(), bootseal_core::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Body {
    /// None at all.
    Empty,
    /// JSON.
    Json(JsonTemplate),
    /// `application/x-www-form-urlencoded`.
    Form(Vec<(String, Template)>),
}

/// How username and password become HTTP Basic.
///
/// ```
/// # use bootseal_core::*;
/// # fn profile(login: &str) -> Result<Profile> {
/// #     let access = vec![Access::new("me", Role::Writer, Identity::generate()?.recipient())?];
/// #     let text = format!("[acme]\nusername = \"bob\"\npassword = \"\"\n[acme.login]\n{login}");
/// #     let text = Vault::create(access, &text)?.sign()?;
/// #     Profile::read(&SealedFile::parse(text.into_bytes())?.verify(&[])?, &"acme".parse()?)
/// # }
/// let profile = profile("url = \"https://auth.acme.example/token\"\nbasic = \"oauth\"\n")?;
/// assert_eq!(profile.basic, Some(Basic::OAuth));
/// # Ok::<(), bootseal_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basic {
    /// As they are (RFC 7617).
    Plain,
    /// Form-encoded first (RFC 6749 §2.3.1).
    OAuth,
}

/// Where something is in an answer.
///
/// ```
/// # use bootseal_core::*;
/// # fn profile(login: &str) -> Result<Profile> {
/// #     let access = vec![Access::new("me", Role::Writer, Identity::generate()?.recipient())?];
/// #     let text = format!("[acme]\nusername = \"bob\"\npassword = \"\"\n[acme.login]\n{login}");
/// #     let text = Vault::create(access, &text)?.sign()?;
/// #     Profile::read(&SealedFile::parse(text.into_bytes())?.verify(&[])?, &"acme".parse()?)
/// # }
/// let profile = profile(r#"
///     url = "https://auth.acme.example/login"
///     basic = true
///     token = { header = "X-Subject-Token" }
/// "#)?;
/// assert_eq!(profile.token, TokenPlace::Header("X-Subject-Token".into()));
/// # Ok::<(), bootseal_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenPlace {
    /// A JSON pointer (RFC 6901).
    Json(String),
    /// A header.
    Header(String),
}

/// The field that says how long a token lives, and its unit.
///
/// ```
/// use bootseal_core::{Field, TokenPlace, Unit};
/// // expiry = { json = "/data/expires_at", unit = "epoch" }
/// let field = Field { place: TokenPlace::Json("/data/expires_at".into()), unit: Unit::Epoch };
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Where it is.
    pub place: TokenPlace,
    /// What its number means.
    pub unit: Unit,
}

/// What says how long a token lives.
///
/// ```
/// # use bootseal_core::*;
/// # fn profile(login: &str) -> Result<Profile> {
/// #     let access = vec![Access::new("me", Role::Writer, Identity::generate()?.recipient())?];
/// #     let text = format!("[acme]\nusername = \"bob\"\npassword = \"\"\n[acme.login]\n{login}");
/// #     let text = Vault::create(access, &text)?.sign()?;
/// #     Profile::read(&SealedFile::parse(text.into_bytes())?.verify(&[])?, &"acme".parse()?)
/// # }
/// let profile = profile(r#"
///     url = "https://auth.acme.example/login"
///     basic = true
///     expiry = { fixed = "30m" }
/// "#)?;
/// assert_eq!(profile.expiry, Some(Expiry::Fixed(std::time::Duration::from_secs(30 * 60))));
/// # Ok::<(), bootseal_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Expiry {
    /// The JWT's `exp` (RFC 7519).
    Jwt,
    /// A field of the answer.
    Field(Field),
    /// Always the same.
    Fixed(Duration),
    /// Nothing: it lives until a call is rejected, or `max_age`.
    OnReject,
}

/// The unit of an expiry field.
///
/// ```
/// # use bootseal_core::*;
/// # fn profile(login: &str) -> Result<Profile> {
/// #     let access = vec![Access::new("me", Role::Writer, Identity::generate()?.recipient())?];
/// #     let text = format!("[acme]\nusername = \"bob\"\npassword = \"\"\n[acme.login]\n{login}");
/// #     let text = Vault::create(access, &text)?.sign()?;
/// #     Profile::read(&SealedFile::parse(text.into_bytes())?.verify(&[])?, &"acme".parse()?)
/// # }
/// let profile = profile(r#"
///     url = "https://auth.acme.example/login"
///     basic = true
///     expiry = { header = "X-Expires-At", unit = "iso8601" }
/// "#)?;
/// let Some(Expiry::Field(field)) = &profile.expiry else { panic!() };
/// assert_eq!(field.unit, Unit::Iso8601);
/// # Ok::<(), bootseal_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Seconds of life.
    Seconds,
    /// Milliseconds of life.
    Milliseconds,
    /// Minutes of life.
    Minutes,
    /// Seconds since 1970-01-01 UTC.
    Epoch,
    /// Milliseconds since 1970-01-01 UTC.
    EpochMilliseconds,
    /// A date and time with an offset (RFC 3339).
    Iso8601,
}

/// Which calls may be sent once more after their token was rejected.
///
/// ```
/// # use bootseal_core::*;
/// # fn profile(login: &str) -> Result<Profile> {
/// #     let access = vec![Access::new("me", Role::Writer, Identity::generate()?.recipient())?];
/// #     let text = format!("[acme]\nusername = \"bob\"\npassword = \"\"\n[acme.login]\n{login}");
/// #     let text = Vault::create(access, &text)?.sign()?;
/// #     Profile::read(&SealedFile::parse(text.into_bytes())?.verify(&[])?, &"acme".parse()?)
/// # }
/// let profile = profile("url = \"https://auth.acme.example/\"\nbasic = true\nreplay = \"idempotent\"\n")?;
/// assert_eq!(profile.replay, Replay::Idempotent); // a POST is not sent twice
/// # Ok::<(), bootseal_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replay {
    /// All whose body can be sent again: "has not been applied" is what a 401 says (RFC 9110 §15.5.2).
    All,
    /// GET, HEAD, OPTIONS, TRACE, PUT, DELETE.
    Idempotent,
    /// None.
    None,
}

impl Profile {
    /// The keys of a login table that this version knows.
    ///
    /// ```
    /// assert!(bootseal_core::Profile::KEYS.contains(&"expiry"));
    /// ```
    pub const KEYS: &[&str] = &[
        "url",
        "method",
        "json",
        "form",
        "basic",
        "headers",
        "token",
        "expiry",
        "max_age",
        "default_life",
        "skew",
        "inject",
        "hosts",
        "ok_status",
        "refused_status",
        "rejected_status",
        "refresh_ahead",
        "replay",
        "login_timeout",
        "ca",
        "allow_http",
    ];

    /// Reads the profile of `table`, `[table.login]`, and checks that it can work.
    ///
    /// # Errors
    /// [`Kind::NotFound`] where there is none; [`Kind::Malformed`] for an unknown key, a wrong type, a `${name}` that the table
    /// does not have, a URL that is not https, a pointer that is none, a duration without a unit.
    ///
    /// ```
    /// # use bootseal_core::*;
    /// # let access = vec![Access::new("me", Role::Writer, Identity::generate()?.recipient())?];
    /// let text = r#"
    /// #   [acme]
    /// #   username = "bob"
    ///     [acme.login]
    ///     url = "https://auth.acme.example/token"
    ///     form = { grant_type = "password", user = "${username}", password = "${password}" }
    /// "#; // … sealed, signed, verified
    /// # let mut vault = Vault::create(access, text)?;
    /// # vault.set(&"acme.password".parse()?, ValueKind::Text, &Secret::copy_of(b"hunter2")?, 0)?;
    /// # let file = SealedFile::parse(vault.sign()?.into_bytes())?.verify(&[])?;
    ///
    /// let profile = Profile::read(&file, &"acme".parse()?)?;
    /// assert_eq!(profile.url.host_str(), Some("auth.acme.example"));
    /// assert_eq!(Profile::read(&file, &"bank".parse()?).unwrap_err().kind(), Kind::NotFound);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn read(file: &VerifiedFile, table: &PropertyPath) -> Result<Profile> {
        Profile::read_here(file, table).map_err(|error| match file.path() {
            Some(path) => error.in_file(path),
            None => error,
        })
    }

    fn read_here(file: &VerifiedFile, table: &PropertyPath) -> Result<Profile> {
        let login = table.child("login")?;
        let Some(content) = file.readable_table(&login)? else {
            return Err(no_profile(file, table));
        };
        let mut fields = Fields::of(login.to_string(), content);
        let allow_http = fields.boolean("allow_http")?.unwrap_or(false);
        let url = fields.string("url")?;
        let url = login_url(&fields, &fields.required("url", url)?, allow_http)?;
        let method = fields.string("method")?.unwrap_or_else(|| "POST".into());
        if method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Err(fields.error("method", "must be a method in capitals, as \"POST\""));
        }
        let body = body(&mut fields)?;
        let basic = match fields.take("basic") {
            None | Some(Value::Boolean(false)) => None,
            Some(Value::Boolean(true)) => Some(Basic::Plain),
            Some(Value::String(how)) if how == "oauth" => Some(Basic::OAuth),
            Some(_) => return Err(fields.error("basic", "must be true, false or \"oauth\"")),
        };
        let headers = headers(&mut fields)?;
        let token = match fields.table("token")? {
            None => TokenPlace::Json("/access_token".into()),
            Some(place) => {
                let mut place = Fields::of(format!("{login}.token"), place);
                let found = token_place(&mut place)?;
                place.finish()?;
                found
            }
        };
        let (expiry, idle) = expiry(&mut fields, &login)?;
        let (inject_header, inject_value) = inject(&mut fields, &login)?;
        let hosts = hosts(&mut fields, &url)?;
        let profile = Profile {
            max_age: duration(&mut fields, "max_age", "24h")?,
            default_life: duration(&mut fields, "default_life", "5m")?,
            skew: duration(&mut fields, "skew", "60s")?,
            login_timeout: duration(&mut fields, "login_timeout", "10s")?,
            ok_status: statuses(&mut fields, "ok_status")?,
            refused_status: statuses(&mut fields, "refused_status")?,
            rejected_status: statuses(&mut fields, "rejected_status")?.unwrap_or_else(|| vec![401]),
            refresh_ahead: fields.boolean("refresh_ahead")?.unwrap_or(true),
            replay: match fields.string("replay")?.as_deref() {
                None | Some("all") => Replay::All,
                Some("idempotent") => Replay::Idempotent,
                Some("none") => Replay::None,
                Some(_) => return Err(fields.error("replay", "must be \"all\", \"idempotent\" or \"none\"")),
            },
            ca: fields.string("ca")?,
            table: table.clone(),
            url,
            method,
            body,
            basic,
            headers,
            token,
            expiry,
            idle,
            inject_header,
            inject_value,
            hosts,
            allow_http,
        };
        if profile.ca.as_ref().is_some_and(|ca| !ca.contains("-----BEGIN CERTIFICATE-----")) {
            return Err(fields.error("ca", "must hold PEM certificates (-----BEGIN CERTIFICATE-----)"));
        }
        if profile.names().is_empty() {
            return Err(fields
                .error("json", "is missing, and so is anything else that would carry the credentials")
                .with_help("Say what is sent: json = { user = \"${username}\", password = \"${password}\" }, or form = { … }, or basic = true."));
        }
        for name in profile.names() {
            match file.property(&table.child(name)?) {
                Some(Property::Sealed(_) | Property::Readable(Value::String(_) | Value::Integer(_))) => {}
                Some(Property::Readable(_)) => {
                    return Err(
                        fields.error("json", format_args!("uses ${{{name}}}, which is neither text nor a number"))
                    );
                }
                None => {
                    return Err(Error::malformed(format!(
                        "`{login}` uses ${{{name}}}, and the table `{table}` has no such value"
                    ))
                    .with_help(format!("Seal it: bootseal set {}", table.child(name)?)));
                }
            }
        }
        fields.finish()?;
        Ok(profile)
    }

    /// The names of the table's values that the login needs.
    ///
    /// ```
    /// # use bootseal_core::*;
    /// # fn profile(login: &str) -> Result<Profile> {
    /// #     let access = vec![Access::new("me", Role::Writer, Identity::generate()?.recipient())?];
    /// #     let text = format!("[acme]\nusername = \"bob\"\npassword = \"\"\n[acme.login]\n{login}");
    /// #     let text = Vault::create(access, &text)?.sign()?;
    /// #     Profile::read(&SealedFile::parse(text.into_bytes())?.verify(&[])?, &"acme".parse()?)
    /// # }
    /// let profile = profile("url = \"https://auth.acme.example/\"\nbasic = true\n")?;
    /// assert_eq!(profile.names().into_iter().collect::<Vec<_>>(), ["password", "username"]);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn names(&self) -> BTreeSet<&str> {
        let mut names = BTreeSet::new();
        match &self.body {
            Body::Empty => {}
            Body::Json(json) => json.names(&mut names),
            Body::Form(form) => form.iter().for_each(|(_, template)| names.extend(template.names())),
        }
        self.headers.iter().for_each(|(_, template)| names.extend(template.names()));
        if self.basic.is_some() {
            names.extend(["username", "password"]);
        }
        names
    }

    /// Whether the token may go to `url`: https (or loopback by its literal address, or `allow_http`), and one of `hosts`.
    ///
    /// ```
    /// # use bootseal_core::*;
    /// # fn profile(login: &str) -> Result<Profile> {
    /// #     let access = vec![Access::new("me", Role::Writer, Identity::generate()?.recipient())?];
    /// #     let text = format!("[acme]\nusername = \"bob\"\npassword = \"\"\n[acme.login]\n{login}");
    /// #     let text = Vault::create(access, &text)?.sign()?;
    /// #     Profile::read(&SealedFile::parse(text.into_bytes())?.verify(&[])?, &"acme".parse()?)
    /// # }
    /// let profile = profile(r#"
    ///     url = "https://auth.acme.example/login"
    ///     basic = true
    ///     hosts = ["api.acme.example"]
    /// "#)?;
    /// assert!(profile.allows(&"https://api.acme.example/v1/orders".parse().unwrap()));
    /// assert!(!profile.allows(&"http://api.acme.example/v1/orders".parse().unwrap())); // in clear
    /// assert!(!profile.allows(&"https://evil.example/".parse().unwrap()));
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn allows(&self, url: &Url) -> bool {
        // In clear only where the login itself is, which says that it is meant.
        let clear = self.url.scheme() == "http" && url.scheme() == "http" && (self.allow_http || is_loopback(url));
        let secure = url.scheme() == "https" || clear;
        let origin = url.host().map(|host| host.to_owned()).zip(url.port_or_known_default());
        secure && origin.is_some_and(|origin| self.hosts.contains(&origin))
    }

    /// The origins where the token may go, for messages: `api.acme.example, api.acme.example:8443`.
    ///
    /// ```
    /// # use bootseal_core::*;
    /// # fn profile(login: &str) -> Result<Profile> {
    /// #     let access = vec![Access::new("me", Role::Writer, Identity::generate()?.recipient())?];
    /// #     let text = format!("[acme]\nusername = \"bob\"\npassword = \"\"\n[acme.login]\n{login}");
    /// #     let text = Vault::create(access, &text)?.sign()?;
    /// #     Profile::read(&SealedFile::parse(text.into_bytes())?.verify(&[])?, &"acme".parse()?)
    /// # }
    /// let profile = profile("url = \"https://auth.acme.example:8443/\"\nbasic = true\n")?;
    /// assert_eq!(profile.hosts(), "auth.acme.example:8443");
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn hosts(&self) -> String {
        let hosts = self
            .hosts
            .iter()
            .map(|(host, port)| if *port == 443 { host.to_string() } else { format!("{host}:{port}") });
        hosts.collect::<Vec<_>>().join(", ")
    }
}

impl VerifiedFile {
    /// The tables that hold a login profile: `acme` for `[acme.login]`. Whether it can work is not looked at; see [`Profile::read`].
    ///
    /// ```
    /// # use bootseal_core::*;
    /// # let alice = Identity::generate()?;
    /// # let access = vec![Access::new("alice", Role::Writer, alice.recipient())?];
    /// # let text = Vault::create(access, "[acme.login]\nurl = \"https://auth.acme.example/\"\n")?.sign()?;
    /// # let file = SealedFile::parse(text.into_bytes())?.verify(&[])?;
    /// let tables: Vec<_> = file.profiles().iter().map(ToString::to_string).collect();
    /// assert_eq!(tables, ["acme"]);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn profiles(&self) -> BTreeSet<PropertyPath> {
        let login = |path: &PropertyPath| {
            let segments = path.segments();
            let [table @ .., parent, key] = segments else { return None };
            let found = parent == "login" && (key == "url" || key == "like") && !table.is_empty();
            found.then(|| PropertyPath::new(table.to_vec()).ok()).flatten()
        };
        self.properties().filter_map(|(path, _)| login(path)).collect()
    }

    /// All that lies below `table`, as TOML; `None` where nothing does. A sealed value in it is an error.
    fn readable_table(&self, table: &PropertyPath) -> Result<Option<Table>> {
        let mut whole = Table::new();
        for (path, property) in self.properties() {
            let Some(inner) = path.segments().strip_prefix(table.segments()).filter(|inner| !inner.is_empty()) else {
                continue;
            };
            let Property::Readable(value) = property else {
                return Err(Error::malformed("stands in a login profile and is sealed; profiles are readable, so that a review sees where a password goes").at(path));
            };
            let (last, above) = inner.split_last().unwrap_or((&inner[0], &[]));
            let mut at = &mut whole;
            for segment in above {
                let Value::Table(next) = at.entry(segment.clone()).or_insert_with(|| Value::Table(Table::new())) else {
                    return Err(Error::malformed("is a value and a table at once").at(path));
                };
                at = next;
            }
            at.insert(last.clone(), value.clone());
        }
        Ok((!whole.is_empty()).then_some(whole))
    }
}

fn no_profile(file: &VerifiedFile, table: &PropertyPath) -> Error {
    let known: Vec<String> = file.profiles().iter().map(ToString::to_string).collect();
    let help = match known.as_slice() {
        [] => format!("Write one: a table [{table}.login] with `url` and `json`. See docs/profile.md."),
        known => format!("The file has profiles for: {}.", known.join(", ")),
    };
    Error::new(Kind::NotFound, format!("no login profile `{table}`: the file has no table [{table}.login]"))
        .with_help(help)
}

fn is_loopback(url: &Url) -> bool {
    matches!(url.host(), Some(Host::Ipv4(ip)) if ip.octets() == [127, 0, 0, 1])
        || matches!(url.host(), Some(Host::Ipv6(ip)) if ip.is_loopback())
}

fn login_url(fields: &Fields, text: &str, allow_http: bool) -> Result<Url> {
    if text.contains("${") {
        return Err(
            fields.error("url", "holds `${`: a login's URL is fixed, so that nothing decides where the password goes")
        );
    }
    let url = Url::parse(text).map_err(|error| fields.error("url", format_args!("is not a URL: {error}")))?;
    if url.scheme() != "https" && !(url.scheme() == "http" && (allow_http || is_loopback(&url))) {
        return Err(fields
            .error("url", "is not https")
            .with_help("A password goes over TLS only. For a test on this machine use the literal 127.0.0.1 or ::1; elsewhere allow_http = true says that you mean it."));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(fields
            .error("url", "holds credentials")
            .with_help("Seal them as values of the table, and use basic = true."));
    }
    if url.fragment().is_some() || url.host().is_none() {
        return Err(fields.error("url", "must have a host, and no fragment (#…)"));
    }
    Ok(url)
}

fn template(fields: &Fields, key: &str, text: &str) -> Result<Template> {
    Template::parse(text).map_err(|what| fields.error(key, what))
}

fn body(fields: &mut Fields) -> Result<Body> {
    let (json, form) = (fields.take("json"), fields.table("form")?);
    match (json, form) {
        (Some(_), Some(_)) => Err(fields.error("form", "stands beside `json`; a login has one body")),
        (None, None) => Ok(Body::Empty),
        (Some(json @ Value::Table(_)), None) => Ok(Body::Json(json_template(fields, json)?)),
        (Some(_), None) => Err(fields.error("json", "must be a table")),
        (None, Some(form)) => {
            let pairs = form.into_iter().map(|(name, value)| match scalar(&value) {
                Some(text) => Ok((name, template(fields, "form", &text)?)),
                None => Err(fields.error("form", "must hold text, numbers and booleans only")),
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
            return Err(fields.error("json", "holds a number that JSON does not have"));
        }
        Value::Integer(_) | Value::Boolean(_) | Value::Float(_) => JsonTemplate::Raw(value.to_string()),
        Value::Datetime(datetime) => JsonTemplate::Text(Template(vec![Part::Text(datetime.to_string())])),
        Value::Array(array) => {
            JsonTemplate::Array(array.into_iter().map(|element| json_template(fields, element)).collect::<Result<_>>()?)
        }
        Value::Table(table) => {
            let members = table.into_iter().map(|(name, member)| Ok((name, json_template(fields, member)?)));
            JsonTemplate::Object(members.collect::<Result<_>>()?)
        }
    })
}

fn is_header_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

fn headers(fields: &mut Fields) -> Result<Vec<(String, Template)>> {
    let table = fields.table("headers")?.unwrap_or_default();
    let pairs = table.into_iter().map(|(name, value)| match value {
        Value::String(text) if is_header_name(&name) && !text.contains(['\r', '\n', '\0']) => {
            Ok((name, template(fields, "headers", &text)?))
        }
        _ => Err(fields.error(
            "headers",
            format_args!("holds `{}`, which is no header, or whose value is not one line of text", Shown(&name)),
        )),
    });
    pairs.collect()
}

fn token_place(place: &mut Fields) -> Result<TokenPlace> {
    match (place.string("json")?, place.string("header")?) {
        (Some(pointer), None) => {
            let bad_escape = pointer.split('~').skip(1).any(|after| !after.starts_with(['0', '1']));
            if bad_escape || !(pointer.is_empty() || pointer.starts_with('/')) {
                return Err(place.error("json", "must be a JSON pointer (RFC 6901), as \"/data/access_token\""));
            }
            Ok(TokenPlace::Json(pointer))
        }
        (None, Some(name)) if is_header_name(&name) => Ok(TokenPlace::Header(name)),
        (None, Some(_)) => Err(place.error("header", "must be the name of a header")),
        _ => Err(place.error("json", "or `header` says where it is: exactly one of them")),
    }
}

fn expiry(fields: &mut Fields, login: &PropertyPath) -> Result<(Option<Expiry>, bool)> {
    let table = match fields.take("expiry") {
        None => return Ok((None, false)),
        Some(Value::String(word)) if word == "on-reject" => return Ok((Some(Expiry::OnReject), false)),
        Some(Value::Table(table)) => table,
        Some(_) => return Err(fields.error("expiry", "must be a table, or \"on-reject\"")),
    };
    let mut place = Fields::of(format!("{login}.expiry"), table);
    let idle = place.boolean("idle")?.unwrap_or(false);
    let jwt = place.boolean("jwt")?.unwrap_or(false);
    let fixed = place.string("fixed")?;
    let rule = match (jwt, fixed) {
        (true, None) => Some(Expiry::Jwt),
        (false, Some(text)) => {
            Some(Expiry::Fixed(parse_duration(&text).ok_or_else(|| place.error("fixed", NO_DURATION))?))
        }
        (true, Some(_)) => return Err(place.error("fixed", "stands beside `jwt`: exactly one of them")),
        (false, None) if place.is_empty() => None, // only `idle` was said
        (false, None) => {
            let found = token_place(&mut place)?;
            let unit = match place.string("unit")?.as_deref() {
                None | Some("s") => Unit::Seconds,
                Some("ms") => Unit::Milliseconds,
                Some("min") => Unit::Minutes,
                Some("epoch") => Unit::Epoch,
                Some("epoch-ms") => Unit::EpochMilliseconds,
                Some("iso8601") => Unit::Iso8601,
                Some(_) => {
                    return Err(place
                        .error("unit", "must be one of \"s\", \"ms\", \"min\", \"epoch\", \"epoch-ms\", \"iso8601\""));
                }
            };
            Some(Expiry::Field(Field { place: found, unit }))
        }
    };
    place.finish()?;
    Ok((rule, idle))
}

fn inject(fields: &mut Fields, login: &PropertyPath) -> Result<(String, Template)> {
    let table = fields.table("inject")?.unwrap_or_default();
    let mut inject = Fields::of(format!("{login}.inject"), table);
    let header = inject.string("header")?.unwrap_or_else(|| "Authorization".into());
    if !is_header_name(&header) {
        return Err(inject.error("header", "must be the name of a header"));
    }
    let value = inject.string("value")?.unwrap_or_else(|| "Bearer ${token}".into());
    if value.contains(['\r', '\n', '\0']) {
        return Err(inject.error("value", "must be one line"));
    }
    let value = template(&inject, "value", &value)?;
    if value.names().ne(["token"]) {
        return Err(inject.error("value", "must hold ${token}, once, and no other name"));
    }
    inject.finish()?;
    Ok((header, value))
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
                "must hold hosts, as \"api.acme.example\" or \"api.acme.example:8443\", without wildcards",
            )
        })
    });
    let list: Vec<_> = entries.collect::<Result<_>>()?;
    if list.is_empty() {
        return Err(fields.error("hosts", "is empty: the token could go nowhere"));
    }
    Ok(list)
}

fn statuses(fields: &mut Fields, key: &'static str) -> Result<Option<Vec<u16>>> {
    let Some(list) = fields.array(key)? else { return Ok(None) };
    let list = list.into_iter().map(|value| {
        value.as_integer().and_then(|status| u16::try_from(status).ok()).filter(|status| (100..600).contains(status))
    });
    let list: Option<Vec<u16>> = list.collect();
    list.map(Some).ok_or_else(|| fields.error(key, "must hold status codes, from 100 to 599"))
}

const NO_DURATION: &str =
    "must be a duration with a unit, as \"500ms\", \"10s\", \"15m\", \"24h\", \"7d\"; more than zero, at most a year";

fn duration(fields: &mut Fields, key: &'static str, default: &str) -> Result<Duration> {
    let text = fields.string(key)?;
    parse_duration(text.as_deref().unwrap_or(default)).ok_or_else(|| fields.error(key, NO_DURATION))
}

fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text.find(|character: char| !character.is_ascii_digit())?;
    let number: u64 = text[..digits].parse().ok()?;
    let unit = match &text[digits..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    let milliseconds = number.checked_mul(unit)?;
    (1..=366 * 86_400_000).contains(&milliseconds).then(|| Duration::from_millis(milliseconds))
}

//! How does one log in? A login profile: readable, signed, and checked when it is read, so that one which cannot work is told at start.

pub(crate) mod canonical;
pub(crate) mod extract;
pub(crate) mod request;
pub(crate) mod route;
pub(crate) mod template;
pub(crate) mod url_template;

use crate::error::{Error, Kind, Result};
use crate::file::sealed::VerifiedFile;
use crate::profile::canonical::canonical;
use crate::profile::extract::{Field, ResponsePlace, When, is_name, is_token};
use crate::profile::request::{Basic, Call, is_loopback, template};
use crate::profile::template::Template;
use crate::text::document::Property;
use crate::text::path::PropertyPath;
use crate::text::table_reader::{Fields, nearest};
use std::borrow::Cow;
use std::cell::LazyCell;
use std::collections::{BTreeSet, HashSet};
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
/// assert_eq!((profile.login.method.as_str(), &profile.token), ("POST", &ResponsePlace::Json("/access_token".into())));
/// assert_eq!(profile.max_age, std::time::Duration::from_secs(24 * 3600));
/// assert_eq!(profile.rejected_status, [401]);
/// # Ok::<(), bootseal_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Profile {
    /// The table that holds it: `acme` for `[acme.login]`.
    pub table: PropertyPath,
    /// What is sent to log in.
    pub login: Call,
    /// A call ahead of it: a CSRF token, a cookie.
    pub before: Option<Call>,
    /// Spends what a login gave, before the password is sent again.
    pub refresh: Option<Call>,
    /// Ends a token that is no longer needed.
    pub logout: Option<Call>,
    /// The old token is ended before the next login, not after it.
    pub logout_first: bool,
    /// Where the token is in the answer.
    pub token: ResponsePlace,
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
    /// The headers that a call carries, and their values; one of them holds `${token}`.
    pub inject: Vec<(String, Template)>,
    /// Origins where the token may go.
    hosts: Vec<(Host, u16)>,
    allow_http: bool,
    /// The login's answers that mean success; `None`: any 2xx.
    pub ok_status: Option<Vec<u16>>,
    /// The login's answers that mean that these credentials are wrong, where the profile lists them.
    pub refused_status: Option<Vec<u16>>,
    /// The same, said inside an answer.
    pub refused_when: Option<When>,
    /// Where an answer says when to come again, beside the header.
    pub retry_after: Option<Field>,
    /// A call's answers that mean that the token is no longer good.
    pub rejected_status: Vec<u16>,
    /// The same, said inside an answer.
    pub rejected_when: Option<When>,
    /// A newer token in an ordinary answer takes the place of the present one.
    pub renew_from_answers: bool,
    /// Log in behind a call before the token has run out.
    pub refresh_ahead: bool,
    /// Which calls may be sent once more after a rejection.
    pub replay: Replay,
    /// The whole login.
    pub login_timeout: Duration,
    /// PEM certificates to trust instead of the system's.
    pub ca: Option<String>,
    /// The certificate that is shown to the vendor.
    pub client_cert: Option<ClientCert>,
    /// What logins and calls go through.
    pub proxy: Option<Url>,
    /// Whether a fleet may share the token.
    pub share: bool,
    /// A value, and the one that stands in for it once it was refused.
    pub next: Vec<(String, String)>,
    /// Gives `${totp}`.
    pub totp: Option<Totp>,
    canonical: String,
}

/// The names of the values that hold a client certificate and its key, in PEM.
///
/// ```
/// use bootseal_core::ClientCert;
/// // client_cert = "${cert}", client_key = "${key}"
/// let names = ClientCert { cert: "cert".into(), key: "key".into() };
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCert {
    /// The certificate's, with its chain.
    pub cert: String,
    /// The key's.
    pub key: String,
}

/// One-time codes by time (RFC 6238).
///
/// ```
/// use bootseal_core::{Totp, TotpHash};
/// // totp = { seed = "otp_seed" }
/// let totp = Totp { seed: "otp_seed".into(), digits: 6, period: std::time::Duration::from_secs(30), hash: TotpHash::Sha1 };
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Totp {
    /// The name of the value that holds the seed, in base32.
    pub seed: String,
    /// How many digits a code has: 6 to 8.
    pub digits: u32,
    /// How long a code is good; whole seconds.
    pub period: Duration,
    /// Its hash.
    pub hash: TotpHash,
}

/// The hash of [`Totp`].
///
/// ```
/// assert_ne!(bootseal_core::TotpHash::Sha1, bootseal_core::TotpHash::Sha256);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TotpHash {
    /// SHA-1, which nearly all use.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
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
        "like",
        "before",
        "refresh",
        "logout",
        "capture",
        "refused_when",
        "retry_after",
        "rejected_when",
        "renew_from_answers",
        "client_cert",
        "client_key",
        "proxy",
        "share",
        "next",
        "totp",
    ];

    /// The key of a login table that `name` may be misspelt for.
    ///
    /// ```
    /// assert_eq!(bootseal_core::Profile::near_key("ulr"), Some("url"));
    /// assert_eq!(bootseal_core::Profile::near_key("colour"), None);
    /// ```
    pub fn near_key(name: &str) -> Option<&'static str> {
        nearest(name, Profile::KEYS)
    }

    /// The tables among `names` that hold a login profile, by the rule of [`VerifiedFile::profiles`]: for text that is no sealed file yet.
    /// `property` is asked for what stands in a table that may be one.
    ///
    /// ```
    /// # use bootseal_core::*;
    /// use std::borrow::Cow;
    ///
    /// let plain = PlainDocument::parse("[acme.login]\nulr = \"https://a.example/\"\nform = { user = \"${username}\" }\n".into())?;
    /// let names: Vec<_> = plain.properties().iter().map(|property| &property.path).collect();
    /// let property = |path: &PropertyPath| {
    ///     let found = plain.properties().iter().find(|property| property.path == *path)?;
    ///     Some(Cow::Owned(Property::Readable(found.value.clone())))
    /// };
    /// let tables: Vec<_> = Profile::tables(&names, property).iter().map(ToString::to_string).collect();
    /// assert_eq!(tables, ["acme"]);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn tables<'a>(
        names: &[&'a PropertyPath],
        property: impl Fn(&PropertyPath) -> Option<Cow<'a, Property>>,
    ) -> BTreeSet<PropertyPath> {
        let all = LazyCell::new(|| names.iter().copied().collect::<HashSet<_>>());
        let has_all = |table: &[String], needed: [&str; 2]| {
            let path = |name: &str| PropertyPath::new([table, &[name.to_owned()]].concat());
            needed.iter().all(|name| path(name).is_ok_and(|path| all.contains(&path)))
        };
        let tells = |path: &PropertyPath, at: usize| {
            let (table, [_, key, below @ ..]) = path.segments().split_at(at) else { return false };
            match key.as_str() {
                "url" | "like" => below.is_empty(),
                "json" | "form" | "headers" | "basic" => match property(path).as_deref() {
                    Some(Property::Readable(Value::Boolean(true))) if key == "basic" => {
                        has_all(table, Basic::Plain.names())
                    }
                    Some(Property::Readable(Value::String(_))) if key == "basic" => {
                        has_all(table, Basic::OAuth.names())
                    }
                    Some(Property::Readable(value)) if key != "basic" => holds_a_name(value),
                    _ => false,
                },
                key => ONLY_OURS.contains(&key),
            }
        };
        let logins = |path: &'a PropertyPath| {
            let segments = path.segments().iter().enumerate().skip(1);
            segments.filter(|(_, segment)| *segment == "login").map(move |(at, _)| (path, at))
        };
        let found = names.iter().copied().flat_map(logins).filter(|(path, at)| tells(path, *at));
        let found: HashSet<&[String]> = found.map(|(path, at)| &path.segments()[..at]).collect();
        // What a login sends may itself have a part of that name.
        let sent = |table: &[String]| (1..table.len()).any(|at| table[at] == "login" && found.contains(&table[..at]));
        let own = found.iter().filter(|table| !sent(table));
        own.filter_map(|table| PropertyPath::new(table.to_vec()).ok()).collect()
    }

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
    /// assert_eq!(profile.login.url.base().host_str(), Some("auth.acme.example"));
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
        let content = written(file, table, &mut Vec::new())?;
        let canonical = canonical(&content);
        let mut fields = Fields::of(login.to_string(), content);
        let allow_http = fields.boolean("allow_http")?.unwrap_or(false);
        let call = Call::read(&mut fields, "POST", allow_http)?;
        let step = |fields: &mut Fields, key, method| -> Result<Option<(Call, bool)>> {
            let Some(mut inner) = fields.inner(key)? else { return Ok(None) };
            let first = key == "logout" && inner.boolean("before")?.unwrap_or(false);
            let inherits = key == "refresh" && !inner.has("capture");
            let mut step = Call::read(&mut inner, method, allow_http)?;
            if inherits {
                step.capture.clone_from(&call.capture);
            }
            inner.finish()?;
            Ok(Some((step, first)))
        };
        let before = step(&mut fields, "before", "GET")?.map(|(call, _)| call);
        let refresh = step(&mut fields, "refresh", "POST")?.map(|(call, _)| call);
        let (logout, logout_first) = step(&mut fields, "logout", "POST")?.unzip();
        if before.as_ref().is_some_and(|before| before.url.base().origin() != call.url.base().origin()) {
            return Err(fields.error("before", "has a `url` of another origin than the login"));
        }
        let token = match fields.inner("token")? {
            None => ResponsePlace::Json("/access_token".into()),
            Some(mut inner) => {
                let found = ResponsePlace::read(&mut inner)?;
                inner.finish()?;
                found
            }
        };
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
            replay: match fields.string("replay")?.as_deref() {
                None | Some("all") => Replay::All,
                Some("idempotent") => Replay::Idempotent,
                Some("none") => Replay::None,
                Some(_) => return Err(fields.error("replay", "must be \"all\", \"idempotent\" or \"none\"")),
            },
            ca: fields.string("ca")?,
            client_cert: client_cert(&mut fields)?,
            proxy: proxy(&mut fields)?,
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
        if profile.ca.as_ref().is_some_and(|ca| !ca.contains("-----BEGIN CERTIFICATE-----")) {
            return Err(fields.error("ca", "must hold PEM certificates (-----BEGIN CERTIFICATE-----)"));
        }
        if profile.renew_from_answers && !matches!(profile.token, ResponsePlace::Header(_) | ResponsePlace::Cookie(_)) {
            return Err(fields.error(
                "renew_from_answers",
                "needs a token in a header or a cookie: the bodies of ordinary answers are the caller's",
            ));
        }
        if let Some(logout) = &profile.logout {
            let url = logout.url.base();
            if url.origin() != profile.login.url.base().origin() && !profile.allows(url) {
                return Err(fields.error(
                    "logout",
                    "has a `url` whose host is not among `hosts`: the token that it ends would go there",
                ));
            }
        }
        if profile.login.names().is_empty() && profile.client_cert.is_none() {
            let nothing = fields
                .error("json", "is missing, and so is anything else that would carry the credentials")
                .with_help("Say what is sent: json = { user = \"${username}\", password = \"${password}\" }, or form = { … }, or basic = true.");
            // Where a key is misspelt, that is the likelier reason.
            fields.finish()?;
            return Err(nothing);
        }
        profile.check_names(file, &fields)?;
        fields.finish()?;
        Ok(profile)
    }

    /// Every `${name}` is a value of the table, or captured by an answer that comes before it is used; what is captured is used.
    fn check_names(&self, file: &VerifiedFile, fields: &Fields) -> Result<()> {
        let captured = |call: &Option<Call>| -> BTreeSet<String> {
            call.iter().flat_map(|call| &call.capture).map(|capture| capture.name.clone()).collect()
        };
        let before = captured(&self.before);
        let totp = self.totp.iter().map(|_| "totp".to_owned());
        let login: BTreeSet<String> = before.iter().cloned().chain(totp).collect();
        let after: BTreeSet<String> =
            before.into_iter().chain(captured(&Some(self.login.clone()))).chain(captured(&self.refresh)).collect();
        for name in &after {
            if file.property(&self.table.child(name)?).is_some() {
                return Err(fields.error(
                    "capture",
                    format_args!("takes `{name}`, and the table `{}` has a value of that name", self.table),
                ));
            }
        }
        let with_token: BTreeSet<String> = after.iter().cloned().chain(["token".into()]).collect();
        let nothing = BTreeSet::new();
        let inject: BTreeSet<&str> = self.inject.iter().flat_map(|(_, template)| template.names()).collect();
        let mut used = BTreeSet::new();
        let mut check = |key: &str, names: BTreeSet<&str>, urls: Vec<&str>, known: &BTreeSet<String>| -> Result<()> {
            for name in &urls {
                if !known.contains(*name) || *name == "token" || *name == "totp" {
                    return Err(fields.error(
                        key,
                        format_args!("has ${{{name}}} in its `url`; only what an earlier answer gave can stand there, and this was not captured"),
                    ));
                }
            }
            for name in names {
                let cannot = |what: &str| {
                    let place = if key == "url" { String::new() } else { format!(".{key}") };
                    Error::malformed(format!("`{}.login{place}` uses ${{{name}}}{what}", self.table))
                };
                match name {
                    name if known.contains(name) => {}
                    "token" => return Err(cannot(", which there is after a login: in `inject` and `logout`")),
                    "totp" => {
                        return Err(cannot(
                            ": a one-time code goes with the login itself, once, and by the key `totp`",
                        ));
                    }
                    name => self.check_value(file, fields, name)?,
                }
                used.insert(name.to_owned());
            }
            used.extend(urls.into_iter().map(str::to_owned));
            Ok(())
        };
        if let Some(call) = &self.before {
            check("before", call.names(), call.url.names().collect(), &nothing)?;
        }
        check("url", self.login.names(), self.login.url.names().collect(), &login)?;
        check("inject", inject, Vec::new(), &with_token)?;
        if let Some(call) = &self.refresh {
            check("refresh", call.names(), call.url.names().collect(), &after)?;
        }
        if let Some(call) = &self.logout {
            check("logout", call.names(), call.url.names().collect(), &with_token)?;
        }
        if let Some(name) = login.iter().chain(&after).find(|name| !used.contains(*name)) {
            let key = if name == "totp" { "totp" } else { "capture" };
            return Err(fields
                .error(key, format_args!("gives `{name}`, and nothing uses it"))
                .with_help(format!("Use it as ${{{name}}}, or take it out.")));
        }
        let others = self.client_cert.iter().flat_map(|names| [&names.cert, &names.key]);
        for name in others.chain(self.totp.iter().map(|totp| &totp.seed)) {
            self.check_value(file, fields, name)?;
        }
        for (name, _) in &self.next {
            if !used.contains(name) {
                return Err(fields.error("next", format_args!("stands in for `{name}`, which the login does not use")));
            }
        }
        Ok(())
    }

    fn check_value(&self, file: &VerifiedFile, fields: &Fields, name: &str) -> Result<()> {
        let (table, login) = (&self.table, self.table.child("login")?);
        match file.property(&table.child(name)?) {
            Some(Property::Sealed(_) | Property::Readable(Value::String(_) | Value::Integer(_))) => Ok(()),
            Some(Property::Readable(_)) => {
                Err(fields.error("json", format_args!("uses ${{{name}}}, which is neither text nor a number")))
            }
            None => {
                Err(Error::malformed(format!("`{login}` uses ${{{name}}}, and the table `{table}` has no such value"))
                    .with_help(format!("Seal it: bootseal set {}", table.child(name)?)))
            }
        }
    }

    /// What is written, after `like` and without defaults, as canonical JSON (RFC 8785): two profiles with the same text log in alike.
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
    /// assert_eq!(profile.canonical(), r#"{"basic":true,"url":"https://auth.acme.example/"}"#);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// The values of the table, besides those of [`Profile::names`], that are used where they are there: the right side of `next`.
    pub fn spare_names(&self) -> impl Iterator<Item = &str> {
        self.next.iter().map(|(_, spare)| spare.as_str())
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
    /// assert_eq!(profile.value_names().into_iter().collect::<Vec<_>>(), ["password", "username"]);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn value_names(&self) -> BTreeSet<&str> {
        let calls = || {
            [Some(&self.login), self.before.as_ref(), self.refresh.as_ref(), self.logout.as_ref()].into_iter().flatten()
        };
        let captured: BTreeSet<&str> =
            calls().flat_map(|call| &call.capture).map(|capture| capture.name.as_str()).collect();
        let inject = self.inject.iter().flat_map(|(_, template)| template.names());
        let certs = self.client_cert.iter().flat_map(|names| [names.cert.as_str(), names.key.as_str()]);
        let seed = self.totp.iter().map(|totp| totp.seed.as_str());
        let named = calls().flat_map(Call::names).chain(inject).chain(certs).chain(seed);
        named.filter(|name| !captured.contains(name) && !["token", "totp"].contains(name)).collect()
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
        let clear =
            self.login.url.base().scheme() == "http" && url.scheme() == "http" && (self.allow_http || is_loopback(url));
        let secure = url.scheme() == "https" || clear;
        let (asked, port) = (url.host(), url.port_or_known_default());
        secure
            && self
                .hosts
                .iter()
                .any(|(host, at)| asked.as_ref().is_some_and(|asked| host == asked) && Some(*at) == port)
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
    /// assert_eq!(profile.hosts_display(), "auth.acme.example:8443");
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn hosts_display(&self) -> String {
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
    /// A table `login` in another table is one that says `url` or `like`; and also one that is plainly meant so, so that a misspelt `url` is
    /// told: it has a key that only a profile has, a `${name}` in what it would send, or `basic` beside the two values for it.
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
        let names: Vec<_> = self.properties().map(|(path, _)| path).collect();
        Profile::tables(&names, |path| self.property(path).map(Cow::Borrowed))
    }

    /// All that lies below `table`, as TOML; `None` where nothing does. A sealed value in it is an error.
    pub(crate) fn readable_table(&self, table: &PropertyPath) -> Result<Option<Table>> {
        let mut whole = Table::new();
        for (path, property) in self.properties() {
            let Some(inner) = path.segments().strip_prefix(table.segments()).filter(|inner| !inner.is_empty()) else {
                continue;
            };
            let Property::Readable(value) = property else {
                return Err(Error::malformed("stands in a login profile or a route and is sealed; these are readable, so that a review sees where a password goes").at(path));
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
        // `callers = {}` is a mistake to be told, not a key that is not there.
        for path in self.empty_tables() {
            let Some(inner) = path.strip_prefix(table.segments()) else { continue };
            let mut at = &mut whole;
            for segment in inner {
                let next = at.entry(segment.clone()).or_insert_with(|| Value::Table(Table::new()));
                let Value::Table(next) = next else { break };
                at = next;
            }
        }
        Ok((!whole.is_empty()).then_some(whole))
    }
}

/// Keys that a table `login` has for no other end than to be a profile.
const ONLY_OURS: &[&str] = &[
    "capture",
    "default_life",
    "inject",
    "login_timeout",
    "ok_status",
    "refresh_ahead",
    "refused_status",
    "refused_when",
    "rejected_status",
    "rejected_when",
    "renew_from_answers",
];

fn holds_a_name(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains("${"),
        Value::Array(list) => list.iter().any(holds_a_name),
        Value::Table(table) => table.values().any(holds_a_name),
        _ => false,
    }
}

fn no_profile(file: &VerifiedFile, table: &PropertyPath) -> Error {
    let known: Vec<String> = file.profiles().iter().map(ToString::to_string).collect();
    let help = match known.as_slice() {
        [] => format!(
            "Write one: bootseal profile {table} --preset KIND (bootseal profile --list shows them), or a table [{table}.login] by hand."
        ),
        known => format!("The file has profiles for: {}.", known.join(", ")),
    };
    Error::new(Kind::NotFound, format!("no login profile `{table}`: the file has no table [{table}.login]"))
        .with_help(help)
}

/// What is written for `table`: its own login table, with what it does not say from the one that it is `like`.
fn written(file: &VerifiedFile, table: &PropertyPath, seen: &mut Vec<PropertyPath>) -> Result<Table> {
    let login = table.child("login")?;
    let Some(mut own) = file.readable_table(&login)? else {
        return Err(no_profile(file, table));
    };
    let Some(like) = own.remove("like") else { return Ok(own) };
    let wrong = |what: &str| Error::malformed(format!("`{login}.like` {what}"));
    let Value::String(like) = like else { return Err(wrong("must be the name of a table, as \"acme\"")) };
    let like: PropertyPath = like.parse().map_err(|_| wrong("must be the name of a table, as \"acme\""))?;
    seen.push(table.clone());
    if seen.contains(&like) {
        return Err(wrong("goes round in a circle"));
    }
    if seen.len() > 4 {
        return Err(wrong("goes over more than four profiles"));
    }
    let mut whole = written(file, &like, seen)?;
    if own.contains_key("json") || own.contains_key("form") {
        whole.remove("json");
        whole.remove("form");
    }
    whole.extend(own);
    Ok(whole)
}

fn expiry(fields: &mut Fields) -> Result<(Option<Expiry>, bool)> {
    let table = match fields.take("expiry") {
        None => return Ok((None, false)),
        Some(Value::String(word)) if word == "on-reject" => return Ok((Some(Expiry::OnReject), false)),
        Some(Value::Table(table)) => table,
        Some(_) => return Err(fields.error("expiry", "must be a table, or \"on-reject\"")),
    };
    let mut place = fields.inner_of("expiry", table);
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
                _ => Err(fields.error("inject", "must hold tables, as { header = \"…\", value = \"…\" }")),
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
            // A cookie goes back as a cookie.
            (None, None, ResponsePlace::Cookie(name)) => ("Cookie".into(), format!("{name}=${{token}}")),
            (header, value, _) => {
                (header.unwrap_or_else(|| "Authorization".into()), value.unwrap_or_else(|| "Bearer ${token}".into()))
            }
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
    let tokens = headers.iter().flat_map(|(_, value)| value.names()).filter(|name| *name == "token").count();
    if tokens != 1 {
        return Err(fields.error("inject", "must hold ${token}, once"));
    }
    if headers.iter().flat_map(|(_, value)| value.names()).any(|name| name == "totp") {
        return Err(fields.error("inject", "cannot hold ${totp}: a code is used once"));
    }
    Ok(headers)
}

/// The name in a text that is one `${name}` and nothing else.
pub(crate) fn one_name(fields: &Fields, key: &str, text: &str) -> Result<String> {
    let name = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')).filter(|name| is_name(name));
    name.map(str::to_owned)
        .ok_or_else(|| fields.error(key, "must be one ${name} of a value of the table: no profile key names a file"))
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
    // All that goes through it is TLS, in a tunnel.
    let url = Url::parse(&text).ok().filter(|url| url.scheme() == "http" && url.has_host());
    let url = url.filter(|url| url.path() == "/" && url.query().is_none() && url.fragment().is_none());
    let url = url.ok_or_else(|| fields.error("proxy", "must be as \"http://proxy.example:3128\""))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(fields.error("proxy", "holds credentials, which everybody who has the file could read"));
    }
    Ok(Some(url))
}

fn next(fields: &mut Fields) -> Result<Vec<(String, String)>> {
    let table = fields.table("next")?.unwrap_or_default();
    let pairs = table.into_iter().map(|(name, value)| match value {
        Value::String(spare) if is_name(&spare) && spare != name => Ok((name, spare)),
        _ => Err(fields.error("next", "must name another value of the table, as { password = \"password_next\" }")),
    });
    pairs.collect()
}

fn totp(fields: &mut Fields) -> Result<Option<Totp>> {
    let Some(mut inner) = fields.inner("totp")? else { return Ok(None) };
    let seed = inner.string("seed")?;
    let seed = inner.required("seed", seed)?;
    if !is_name(&seed) {
        return Err(inner.error("seed", "must be the name of a value of the table, not the seed itself"));
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

pub(crate) fn duration(fields: &mut Fields, key: &'static str, default: &str) -> Result<Duration> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::identity::Identity;
    use crate::file::header::{Access, Role};
    use crate::file::sealed::SealedFile;
    use crate::vault::Vault;
    use proptest::prelude::*;

    const VALUES: &str = "[acme]\nusername = \"bob\"\npassword = \"x\"\notp = \"x\"\nlist = [1]\n";
    const LOGIN: &str = "[acme.login]\nurl = \"https://api.acme.example/login\"\n";

    fn whole(text: &str) -> Result<Profile> {
        let access = vec![Access::new("me", Role::Writer, Identity::generate()?.recipient())?];
        let text = Vault::create(access, text)?.sign()?;
        Profile::read(&SealedFile::parse(text.into_bytes())?.verify(&[])?, &"acme".parse()?)
    }

    fn read(login: &str) -> Result<Profile> {
        whole(&format!("{VALUES}{LOGIN}{login}\n"))
    }

    #[test]
    fn each_mistake_has_its_own_error() {
        let basic = "basic = true\n";
        for (login, words) in [
            ("capture = [ { cookie = \"R\" } ]", "gives `R`, and nothing uses it"),
            ("capture = [ { json = \"/id\" } ]", "what is the value called"),
            ("capture = [ { json = \"/id\", as = \"token\" } ]", "neither `token` nor `totp`"),
            ("capture = [ { json = \"/id\", as = \"password\" } ]", "has a value of that name"),
            ("capture = [ { json = \"/a\", as = \"a\" }, { json = \"/b\", as = \"a\" } ]", "is `a` twice"),
            ("capture = [ { json = \"/id\", header = \"X\", as = \"a\" } ]", "exactly one of them"),
            ("capture = [ { jsn = \"/id\" } ]", "exactly one of them"),
            ("headers = { X = \"${csrf}\" }", "has no such value"),
            ("headers = { X = \"${list}\" }", "neither text nor a number"),
            ("headers = { X = \"a\\u001bb\" }", "not one line of text"),
            ("headers = { X = \"${token}\" }", "`acme.login` uses ${token}, which there is after a login"),
            ("headers = { X = \"${totp}\" }", "by the key `totp`"),
            (
                "totp = { seed = \"otp\" }\nheaders = { X = \"${totp}\" }\nbefore = { url = \"https://api.acme.example/\", headers = { X = \"${totp}\" } }",
                "`acme.login.before` uses ${totp}",
            ),
            (
                "totp = { seed = \"otp\" }\nheaders = { X = \"${totp}\" }\nrefresh = { url = \"https://api.acme.example/\", headers = { X = \"${totp}\" } }",
                "`acme.login.refresh` uses ${totp}",
            ),
            (
                "totp = { seed = \"otp\" }\nheaders = { X = \"${totp}\" }\nlogout = { url = \"https://api.acme.example/\", headers = { X = \"${totp}\" } }",
                "`acme.login.logout` uses ${totp}",
            ),
            ("token = { cookie = \"a b\" }", "name of a cookie"),
            ("token = { body = \"xml\" }", "\"json-string\""),
            ("expiry = { cookie = \"s\", unit = \"s\" }", "Max-Age or Expires counts"),
            ("expiry = { json = \"/e\", unit = \"h\" }", "must be one of"),
            ("refused_when = { equals = \"x\" }", "is missing"),
            ("refused_when = { json = \"/e\", equals = \"x\", contains = \"y\" }", "one of them"),
            ("rejected_when = { json = \"e\" }", "JSON pointer"),
            ("rejected_when = { json = \"/e\", contains = \"\" }", "is empty"),
            ("rejected_when = { json = \"/e\", equls = \"\" }", "Did you mean `equals`"),
            ("renew_from_answers = true", "needs a token in a header or a cookie"),
            ("inject = { header = \"X\" , value = \"x\" }", "${token}, once"),
            ("inject = [ { value = \"${token}\" }, { header = \"authorization\", value = \"x\" } ]", "twice"),
            ("proxy = \"socks5://p.example\"", "must be as"),
            ("proxy = \"http://u:p@p.example\"", "holds credentials"),
            ("client_cert = \"${password}\"", "`acme.login.client_key` is missing"),
            ("client_cert = \"cert.pem\"\nclient_key = \"${password}\"", "no profile key names a file"),
            ("next = { password = \"password\" }", "another value"),
            ("next = { otp = \"password\" }", "the login does not use"),
            ("totp = { seed = \"otp\" }", "gives `totp`, and nothing uses it"),
            ("totp = { seed = \"otp\", digits = 9 }", "6, 7 or 8"),
            ("totp = { seed = \"otp\", period = \"5s\" }", "from 10s to 120s"),
            ("totp = { seed = \"otp\", hash = \"md5\" }", "sha512"),
            ("before = { url = \"https://other.example/\" }", "another origin"),
            (
                "before = { url = \"https://api.acme.example/\", json = { x = \"${token}\" } }",
                "`acme.login.before` uses ${token}",
            ),
            ("logout = { url = \"https://other.example/\" }", "not among `hosts`"),
            ("logout = { url = \"https://api.acme.example/${password}\" }", "was not captured"),
            ("refresh = { json = { a = \"b\" } }", "`acme.login.refresh.url` is missing"),
            ("refresh = { url = \"http://api.acme.example/\" }", "is not https"),
            ("like = \"acme\"", "circle"),
            ("like = \"orders\"", "no login profile `orders`"),
            ("like = 7", "name of a table"),
            ("share = \"no\"", "true or false"),
        ] {
            let error = read(&format!("{basic}{login}")).unwrap_err();
            assert!(error.to_string().contains(words), "{login}\n{words}\n{error}");
        }
    }

    #[test]
    fn a_profile_with_a_misspelt_url_is_told_and_an_unrelated_table_called_login_is_none() {
        let file = |text: &str| {
            let access = vec![Access::new("me", Role::Writer, Identity::generate().unwrap().recipient()).unwrap()];
            let text = Vault::create(access, text).unwrap().sign().unwrap();
            SealedFile::parse(text.into_bytes()).unwrap().verify(&[]).unwrap()
        };
        for (login, help) in [
            ("ulr = \"https://a.example/\"\njson = { user = \"${username}\" }", "Did you mean `url` by `ulr`?"),
            ("URL = \"https://a.example/\"\nbasic = true", "Did you mean `url` by `URL`?"),
            ("uri = \"https://a.example/\"\nform = { a = \"${password}\" }", "Did you mean `url` by `uri`?"),
            ("address = \"https://a.example/\"\ninject = { header = \"X\", value = \"${token}\" }", ""),
            ("lik = \"other\"\nmax_age = \"5m\"\nrejected_status = [403]", ""),
        ] {
            let file = file(&format!("{VALUES}[acme.login]\n{login}\n"));
            assert_eq!(file.profiles().len(), 1, "{login}");
            let error = Profile::read(&file, &"acme".parse().unwrap()).unwrap_err();
            assert_eq!(error.what(), "`acme.login.url` is missing", "{login}");
            assert_eq!(error.help().unwrap_or_default(), help, "{login}");
        }
        let file_of = |login: &str| file(&format!("{VALUES}[acme.login]\nurl = \"https://a.example/\"\n{login}\n"));
        for (login, what, help) in [
            (
                "jsn = { a = \"${password}\" }",
                "`acme.login.jsn` is not a key that this version knows",
                "Did you mean `json`?",
            ),
            ("bsic = true", "`acme.login.bsic` is not a key that this version knows", "Did you mean `basic`?"),
        ] {
            let error = Profile::read(&file_of(login), &"acme".parse().unwrap()).unwrap_err();
            assert_eq!((error.what(), error.help().unwrap_or_default()), (what, help), "{login}");
        }
        for unrelated in [
            "[ui.login]\ntitle = \"Log in\"\nform = { fields = [\"user\"] }\nmethod = \"POST\"\ntimeout = \"5s\"\nmax_age = 7",
            "[server.login]\nbasic = true\nhosts = [\"a.example\"]\ntoken = \"x\"",
            "[login]\nulr = \"https://a.example/\"\njson = { user = \"${username}\" }",
            "[acme]\nlogin = \"${username}\"",
        ] {
            assert!(file(unrelated).profiles().is_empty(), "{unrelated}");
        }
    }

    #[test]
    fn the_sample_of_every_key_is_read() {
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
        assert!(profile.logout_first && !profile.share && profile.refresh.unwrap().capture.len() == 3);
        assert_eq!(profile.inject.len(), 2);
    }

    #[test]
    fn the_token_goes_to_its_origins_by_host_port_and_scheme_to_the_letter() {
        let allows = |login: &str, url: &str| {
            let profile = whole(&format!("{VALUES}[acme.login]\nbasic = true\n{login}\n")).unwrap();
            profile.allows(&url.parse().unwrap())
        };
        let plain = "url = \"https://api.acme.example/login\"";
        let six = "url = \"https://[::1]/login\"";
        let six_port = "url = \"https://[::1]:8443/login\"";
        let clear_six = "url = \"http://[::1]:8080/login\"";
        let hosts = "url = \"https://a.example/\"\nhosts = [\"[::1]\", \"[2001:db8::1]:8443\", \"b.example:443\", \"C.example\"]";
        let clear = "url = \"http://a.example/\"\nallow_http = true";
        for (login, url, expected) in [
            (plain, "https://api.acme.example/x", true),
            (plain, "https://api.acme.example:443/x", true), // the port that goes without saying
            (plain, "https://API.ACME.EXAMPLE/x", true),
            (plain, "https://api.acme.example:8443/x", false),
            (plain, "http://api.acme.example/x", false),
            (plain, "http://api.acme.example:443/x", false),
            (plain, "https://api.acme.example./x", false),
            (plain, "https://xapi.acme.example/x", false),
            (plain, "https://api.acme.example@evil.example/x", false),
            (six, "https://[::1]/x", true),
            (six, "https://[::1]:443/x", true),
            (six, "https://[0:0:0:0:0:0:0:1]/x", true),
            (six, "https://[::1]:8443/x", false),
            (six, "http://[::1]/x", false),
            (six, "https://127.0.0.1/x", false),
            (six, "https://[::ffff:127.0.0.1]/x", false),
            (six_port, "https://[::1]:8443/x", true),
            (six_port, "https://[::1]/x", false),
            (clear_six, "http://[::1]:8080/x", true),
            (clear_six, "https://[::1]:8080/x", true),
            (clear_six, "http://[::1]/x", false),
            (hosts, "https://[::1]/x", true),
            (hosts, "https://[2001:db8::1]:8443/x", true),
            (hosts, "https://[2001:db8::1]/x", false),
            (hosts, "https://b.example/x", true),
            (hosts, "https://c.example/x", true),
            (hosts, "http://[::1]/x", false),
            (hosts, "https://a.example/x", false), // a list is the whole list
            (clear, "http://a.example/x", true),
            (clear, "http://a.example:80/x", true),
            (clear, "http://a.example:8080/x", false),
            (clear, "http://b.example/x", false),
        ] {
            assert_eq!(allows(login, url), expected, "{login}\n{url}");
        }
    }

    #[test]
    fn a_cookie_goes_back_as_one() {
        let profile = read("basic = true\ntoken = { cookie = \"s\" }").unwrap();
        let (name, value) = &profile.inject[0];
        assert_eq!((name.as_str(), value.parts().len(), value.names().count()), ("Cookie", 2, 1));
    }

    #[test]
    fn like_goes_over_several_profiles_and_a_body_takes_the_place_of_a_body() {
        let other = "[b.login]\nlike = \"c\"\nmax_age = \"1h\"\n[c.login]\nurl = \"https://c.example/\"\njson = { u = \"${username}\" }\nmax_age = \"2h\"\nskew = \"5s\"\n";
        let profile =
            whole(&format!("{VALUES}[acme.login]\nlike = \"b\"\nform = {{ p = \"${{password}}\" }}\n{other}")).unwrap();
        assert_eq!((profile.max_age, profile.skew), (Duration::from_secs(3600), Duration::from_secs(5)));
        assert_eq!(profile.value_names().into_iter().collect::<Vec<_>>(), ["password"]);
        assert_eq!(
            profile.canonical(),
            r#"{"form":{"p":"${password}"},"max_age":"1h","skew":"5s","url":"https://c.example/"}"#
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn no_text_makes_it_panic(key in prop::sample::select(Profile::KEYS), value in r#"(\$\{|\}|[a-z/."'=\[\]{} 0-9:]){0,24}"#) {
            let _ = read(&format!("basic = true\n{key} = {value}"));
            let _ = read(&format!("basic = true\n{key} = '{}'", value.replace('\'', "")));
        }
    }
}

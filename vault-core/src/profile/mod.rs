//! The login profile: how to log in at a vendor and how to use the token. Profiles are readable,
//! signed and checked when they are read, so that a broken profile is reported at startup.

pub(crate) mod route;

pub(crate) mod read;

pub(crate) mod check;
pub(crate) mod find;
pub(crate) mod keys;

pub(crate) mod request;

pub(crate) mod canonical;
pub(crate) mod duration;
pub(crate) mod extract;
pub(crate) mod template;
pub(crate) mod url_template;

use crate::profile::extract::{Field, ResponsePlace, When};
use crate::profile::request::{Call, is_loopback};
use crate::profile::template::Template;
use crate::text::path::PropertyPath;
use std::collections::BTreeSet;
use std::time::Duration;
use url::{Host, Url};

/// A checked login profile: its URL, templates, pointers, durations and hosts are valid.
///
/// ```
/// # use bootseal_fixtures::profile;
/// use bootseal_core::ResponsePlace;
/// let profile = profile(r#"
///     url = "https://auth.acme.example/token"
///     form = { user = "${username}", password = "${password}" }
///     expiry = { json = "/lifetime", unit = "min" }
/// "#);
/// assert_eq!(profile.login.method.as_str(), "POST");
/// assert_eq!(profile.token, ResponsePlace::Json("/access_token".into()));
/// assert_eq!(profile.max_age, std::time::Duration::from_secs(24 * 3600));
/// assert_eq!(profile.rejected_status, [401]);
/// ```
#[derive(Clone, Debug)]
pub struct Profile {
    /// The table of the profile: `acme` for `[acme.login]`.
    pub table: PropertyPath,
    /// The login request.
    pub login: Call,
    /// The request before the login, for a CSRF token or a cookie.
    pub before: Option<Call>,
    /// The request that renews the token from captured values, without the password.
    pub refresh: Option<Call>,
    /// The request that ends a token that is no longer needed.
    pub logout: Option<Call>,
    /// Whether the logout of the old token comes before the next login instead of after it.
    pub logout_first: bool,
    /// The place of the token in the response.
    pub token: ResponsePlace,
    /// The source of the token's lifetime; `None`: the JWT's `exp`, else `/expires_in`, else the
    /// default.
    pub expiry: Option<Expiry>,
    /// Whether each accepted call extends the lifetime.
    pub idle: bool,
    /// The longest time that any token is used.
    pub max_age: Duration,
    /// The lifetime if the response does not contain one.
    pub default_life: Duration,
    /// The maximum that is subtracted from the lifetime.
    pub skew: Duration,
    /// The headers added to a call, with their values; one of them contains `${token}`.
    pub inject: Vec<(String, Template)>,
    /// The origins that the token may be sent to.
    hosts: Vec<(Host, u16)>,
    allow_http: bool,
    /// The statuses of a login that mean success; `None`: any 2xx.
    pub ok_status: Option<Vec<u16>>,
    /// The statuses of a login that mean wrong credentials, if the profile lists them.
    pub refused_status: Option<Vec<u16>>,
    /// The condition on the JSON of a login's response that means wrong credentials.
    pub refused_when: Option<When>,
    /// The place of the retry time in a response, besides the `Retry-After` header.
    pub retry_after: Option<Field>,
    /// The statuses of a call that mean that the token is no longer valid.
    pub rejected_status: Vec<u16>,
    /// The condition on the JSON of a call's response that means that the token is no longer valid.
    pub rejected_when: Option<When>,
    /// Whether a newer token in an ordinary response replaces the present one.
    pub renew_from_answers: bool,
    /// Whether a login is made in the background before the token expires.
    pub refresh_ahead: bool,
    /// Whether calls may use HTTP/2.
    pub http2: bool,
    /// The calls that may be sent again: after a rejected token, or because the upstream did not
    /// process them.
    pub replay: Replay,
    /// The time limit of the whole login.
    pub login_timeout: Duration,
    /// PEM certificates to trust instead of the system's.
    pub ca: Option<String>,
    /// The client certificate.
    pub client_cert: Option<ClientCert>,
    /// The proxy for logins and calls.
    pub proxy: Option<Url>,
    /// Whether a fleet may share the token.
    pub share: bool,
    /// Pairs of a value and the value that replaces it after a refusal.
    pub next: Vec<(String, String)>,
    /// The source of `${totp}`.
    pub totp: Option<Totp>,
    canonical: String,
}

/// The names of the two values for a client certificate, in PEM.
///
/// ```
/// use bootseal_core::ClientCert;
/// // client_cert = "${cert}", client_key = "${key}"
/// let names = ClientCert { cert: "cert".into(), key: "key".into() };
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCert {
    /// The name of the value with the certificate and its chain.
    pub cert: String,
    /// The name of the value with the key.
    pub key: String,
}

/// Time-based one-time codes (RFC 6238).
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
    /// The number of digits of a code: 6 to 8.
    pub digits: u32,
    /// The lifetime of a code, in whole seconds.
    pub period: Duration,
    /// The hash function.
    pub hash: TotpHash,
}

/// The hash function of [`Totp`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TotpHash {
    /// SHA-1, which nearly all vendors use.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

/// The source of a token's lifetime.
///
/// ```
/// # use bootseal_fixtures::profile;
/// use bootseal_core::Expiry;
/// let profile = profile(r#"
///     url = "https://auth.acme.example/login"
///     basic = true
///     expiry = { fixed = "30m" }
/// "#);
/// assert_eq!(profile.expiry, Some(Expiry::Fixed(std::time::Duration::from_secs(30 * 60))));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Expiry {
    /// The JWT's `exp` (RFC 7519).
    Jwt,
    /// A field of the response.
    Field(Field),
    /// A fixed time.
    Fixed(Duration),
    /// Unknown: the token is used until a call is rejected, or until `max_age`.
    OnReject,
}

/// The calls that may be sent again after their token was rejected.
///
/// ```
/// # use bootseal_fixtures::profile;
/// use bootseal_core::Replay;
/// let profile = profile(r#"
///     url = "https://auth.acme.example/login"
///     basic = true
///     replay = "idempotent"
/// "#);
/// assert_eq!(profile.replay, Replay::Idempotent); // a POST is not sent twice
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replay {
    /// All calls whose body can be sent again: a 401 means that the request was not applied (RFC
    /// 9110 §15.5.2).
    All,
    /// GET, HEAD, OPTIONS, TRACE, PUT, DELETE.
    Idempotent,
    /// No calls.
    None,
}

impl Profile {
    /// The keys as written, with `like` resolved and without defaults, as canonical JSON (RFC
    /// 8785): two profiles with the same text log in the same way.
    ///
    /// ```
    /// # use bootseal_fixtures::profile;
    /// let profile = profile("url = \"https://auth.acme.example/\"\nbasic = true\n");
    /// assert_eq!(profile.canonical(), r#"{"basic":true,"url":"https://auth.acme.example/"}"#);
    /// ```
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// The names of the table's values that are used only if they exist: the replacements in
    /// `next`.
    pub fn spare_names(&self) -> impl Iterator<Item = &str> {
        self.next.iter().map(|(_, spare)| spare.as_str())
    }

    /// The names of the table's values that the login needs.
    pub fn value_names(&self) -> BTreeSet<&str> {
        let calls = || {
            [Some(&self.login), self.before.as_ref(), self.refresh.as_ref(), self.logout.as_ref()]
                .into_iter()
                .flatten()
        };
        let captured: BTreeSet<&str> =
            calls().flat_map(|call| &call.capture).map(|capture| capture.name.as_str()).collect();
        let inject = self.inject.iter().flat_map(|(_, template)| template.names());
        let certs =
            self.client_cert.iter().flat_map(|names| [names.cert.as_str(), names.key.as_str()]);
        let seed = self.totp.iter().map(|totp| totp.seed.as_str());
        let named = calls().flat_map(Call::names).chain(inject).chain(certs).chain(seed);
        named.filter(|name| !captured.contains(name) && !["token", "totp"].contains(name)).collect()
    }

    /// Whether the token may be sent to `url`: its host must be one of `hosts`, and its scheme
    /// https. If the login uses http, http is allowed too, but only to a literal loopback address
    /// or with `allow_http`.
    ///
    /// ```
    /// # use bootseal_fixtures::profile;
    /// let profile = profile(r#"
    ///     url = "https://auth.acme.example/login"
    ///     basic = true
    ///     hosts = ["api.acme.example"]
    /// "#);
    /// assert!(profile.allows(&"https://api.acme.example/v1/orders".parse().unwrap()));
    /// assert!(!profile.allows(&"http://api.acme.example/v1/orders".parse().unwrap())); // in clear
    /// assert!(!profile.allows(&"https://evil.example/".parse().unwrap()));
    /// ```
    pub fn allows(&self, url: &Url) -> bool {
        // Plain HTTP is allowed only if the login uses it too, which shows the intent.
        let clear = self.login.url.base().scheme() == "http"
            && url.scheme() == "http"
            && (self.allow_http || is_loopback(url));
        let secure = url.scheme() == "https" || clear;
        let (asked, port) = (url.host(), url.port_or_known_default());
        secure
            && self.hosts.iter().any(|(host, at)| {
                asked.as_ref().is_some_and(|asked| host == asked) && Some(*at) == port
            })
    }

    /// The hosts that the token may be sent to, and how, for messages: `api.acme.example by https,
    /// 127.0.0.1:8080 by http or https`.
    ///
    /// ```
    /// let profile = bootseal_fixtures::profile("url = \"http://127.0.0.1:8080/login\"\nbasic = true\n");
    /// assert_eq!(profile.destinations(), "127.0.0.1:8080 by http or https");
    /// ```
    pub fn destinations(&self) -> String {
        let hosts = self.hosts.iter().map(|(host, port)| {
            let place = if *port == 443 { host.to_string() } else { format!("{host}:{port}") };
            let clear = Url::parse(&format!("http://{host}:{port}/"));
            match clear.is_ok_and(|url| self.allows(&url)) {
                true => format!("{place} by http or https"),
                false => format!("{place} by https"),
            }
        });
        hosts.collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::access::identity::Identity;
    use crate::error::Result;
    use crate::file::header::{Access, Role};
    use crate::file::sealed::SealedFile;
    use crate::vault::Vault;

    pub(crate) const VALUES: &str =
        "[acme]\nusername = \"bob\"\npassword = \"x\"\notp = \"x\"\nlist = [1]\n";
    const LOGIN: &str = "[acme.login]\nurl = \"https://api.acme.example/login\"\n";

    /// The profile of `[acme.login]` in a file of this text.
    pub(crate) fn whole(text: &str) -> Result<Profile> {
        let access = vec![Access::new("me", Role::Writer, Identity::generate()?.recipient())?];
        let text = Vault::create(access, text)?.sign()?;
        Profile::read(&SealedFile::parse(text.into_bytes())?.verify(&[])?, &"acme".parse()?)
    }

    /// Like `whole`, with a URL and the values for a login.
    pub(crate) fn read(login: &str) -> Result<Profile> {
        whole(&format!("{VALUES}{LOGIN}{login}\n"))
    }

    #[test]
    fn the_token_goes_only_to_exact_hosts_ports_and_schemes() {
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
            (plain, "https://api.acme.example:443/x", true), // the default port
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
            (hosts, "https://a.example/x", false), // `hosts` replaces the login's own host
            (clear, "http://a.example/x", true),
            (clear, "http://a.example:80/x", true),
            (clear, "http://a.example:8080/x", false),
            (clear, "http://b.example/x", false),
        ] {
            assert_eq!(allows(login, url), expected, "{login}\n{url}");
        }
    }
}

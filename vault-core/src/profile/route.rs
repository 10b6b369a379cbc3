//! Which calls go where with which token? The routes of the gateway: readable, signed, and checked when they are read.

use crate::error::{Error, Result};
use crate::file::verified::VerifiedFile;
use crate::profile::Profile;
use crate::profile::duration::duration;
use crate::profile::read::one_name;
use crate::text::document::Property;
use crate::text::path::PropertyPath;
use crate::text::table_reader::Fields;
use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use toml::Value;
use url::Url;

/// A body that is kept for a replay lies in memory once for each call in flight.
const MOST_KEPT: usize = 64 << 20;

/// All that a file says of the gateway.
///
/// ```
/// # use bootseal_core::*;
/// # let access = vec![Access::new("me", Role::Writer, Identity::generate()?.recipient())?];
/// # let text = r#"
/// # [acme]
/// # username = "bob"
/// # password = ""
/// # [acme.login]
/// # url = "https://api.acme.example/login"
/// # basic = true
/// # [gateway]
/// # admin = "127.0.0.1:9300"
/// # [acme.route]
/// # listen = "127.0.0.1:9301"
/// # upstream = "https://api.acme.example/v1"
/// # "#;
/// # let text = Vault::create(access, text)?.sign()?;
/// # let file = SealedFile::parse(text.into_bytes())?.verify(&[])?;
/// let gateway = Gateway::read(&file)?;
/// assert_eq!(gateway.admin.unwrap().to_string(), "127.0.0.1:9300");
/// assert_eq!(gateway.routes[0].upstream.as_str(), "https://api.acme.example/v1");
/// # Ok::<(), bootseal_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gateway {
    /// Where its state can be asked for; `None`: nowhere.
    pub admin: Option<Listen>,
    /// How long calls in flight have to end once it is told to stop.
    pub drain: Duration,
    /// The routes, by the names of their tables.
    pub routes: Vec<Route>,
}

/// Calls that come in at one address, and what becomes of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The table whose login gives the token: `acme` for `[acme.route]`.
    pub table: PropertyPath,
    /// Where calls come in.
    pub listen: Listen,
    /// What the path of a call begins with, taken off before it goes on; empty, or `/` and a name.
    pub prefix: String,
    /// Where calls go. Its path goes ahead of theirs.
    pub upstream: Url,
    /// Who may call; `None`: whoever can reach the address, which is of this machine only.
    pub callers: Option<Callers>,
    /// Bytes: the body of a call up to this long is kept for its one replay.
    pub replay_body_limit: usize,
    /// For a connection to the upstream, TLS included.
    pub connect_timeout: Duration,
    /// From the whole call sent to the head of its answer.
    pub answer_timeout: Duration,
}

/// An address to listen at.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Listen {
    /// An address of this machine, and a port.
    Tcp(SocketAddr),
    /// The absolute path of a Unix socket.
    Unix(PathBuf),
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Listen::Tcp(address) => address.fmt(f),
            Listen::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// How a caller shows who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Callers {
    /// `Authorization: Bearer …`, with the sealed value of this name.
    Bearer(String),
    /// `Authorization: Basic …`.
    Basic {
        /// The user, readable.
        user: String,
        /// The name of the sealed password.
        password: String,
    },
    /// A process of one of these users, at a Unix socket.
    Uid(Vec<u32>),
}

impl Gateway {
    /// The keys of `[gateway]`.
    pub const KEYS: &[&str] = &["admin", "drain"];

    /// Reads `[gateway]` and each `[….route]`.
    ///
    /// # Errors
    /// [`Kind::Malformed`](crate::Kind::Malformed) for a key that is unknown, of another type or of no use, an address that more than one wants, a
    /// route that others than this machine could use unasked, an upstream where the token may not go, and what [`Profile::read`] says of the
    /// logins of these routes.
    pub fn read(file: &VerifiedFile) -> Result<Gateway> {
        Gateway::read_here(file).map_err(|error| error.in_file_if(file.path()))
    }

    fn read_here(file: &VerifiedFile) -> Result<Gateway> {
        let table = PropertyPath::new(vec!["gateway".into()])?;
        let mut fields = Fields::of("gateway", file.readable_table(&table)?.unwrap_or_default());
        let admin = match fields.string("admin")? {
            Some(text) => Some(listen(&fields, "admin", &text)?),
            None => None,
        };
        let drain = duration(&mut fields, "drain", "10s")?;
        fields.finish()?;
        let profiles = file.profiles();
        let routes = routes(file, &profiles)
            .iter()
            .map(|table| Route::read(file, table, &profiles))
            .collect::<Result<Vec<_>>>()?;
        let gateway = Gateway { admin, drain, routes };
        gateway.check_addresses()?;
        Ok(gateway)
    }

    fn check_addresses(&self) -> Result<()> {
        for (at, route) in self.routes.iter().enumerate() {
            let here = |other: &&Route| other.listen == route.listen;
            if self.admin.as_ref() == Some(&route.listen) {
                return Err(route.error("listen", "is the address of `gateway.admin`: one of both needs another"));
            }
            for other in self.routes[..at].iter().filter(here) {
                let clash = match route.prefix == other.prefix {
                    true if route.prefix.is_empty() => "has no `prefix`, and neither has",
                    true => "has the `prefix` of",
                    // Else one listener would ask some callers, and not others, who they are.
                    false if route.callers.is_none() && other.callers.is_some() => "asks nobody who calls, unlike",
                    false if route.callers.is_some() && other.callers.is_none() => "asks who calls, unlike",
                    false => continue,
                };
                let text = format!("{clash} `{}.route`, which has the same `listen`", other.table);
                return Err(route.error("listen", &text).with_help(
                    "Give each a `listen` of its own; or a `prefix` to each, as prefix = \"/acme\", and `callers` to both or none.",
                ));
            }
        }
        Ok(())
    }
}

impl Route {
    /// The keys of a route.
    pub const KEYS: &[&str] =
        &["listen", "prefix", "upstream", "callers", "replay_body_limit", "connect_timeout", "answer_timeout"];

    fn read(file: &VerifiedFile, table: &PropertyPath, profiles: &BTreeSet<PropertyPath>) -> Result<Route> {
        let path = table.child("route")?;
        let mut fields = Fields::of(path.to_string(), file.readable_table(&path)?.unwrap_or_default());
        if !profiles.contains(table) {
            return Err(Error::malformed(format!("`{path}` has no login beside it: there is no `{table}.login`"))
                .with_help(format!("Say how one logs in: bootseal profile {table}")));
        }
        let profile = Profile::read(file, table)?;
        let at = fields.string("listen")?;
        let at = fields.required("listen", at)?;
        let at = listen(&fields, "listen", &at)?;
        let callers = callers(&mut fields, file, table)?;
        match (&at, &callers) {
            (Listen::Tcp(_), Some(Callers::Uid(_))) => {
                return Err(fields
                    .error("callers", "asks for a `uid`, which there is at a Unix socket only")
                    .with_help("listen = \"unix:/run/….sock\"; or callers = { bearer = \"${caller_key}\" }"));
            }
            (Listen::Tcp(address), None) if !address.ip().is_loopback() => {
                return Err(fields
                    .error("listen", "can be reached from other machines, and nothing says who may call")
                    .with_help(format!(
                        "Listen at 127.0.0.1; or ask for a key: bootseal set {table}.caller_key --generate, and callers = {{ bearer = \"${{caller_key}}\" }}"
                    )));
            }
            _ => {}
        }
        let route = Route {
            prefix: prefix(&mut fields)?,
            upstream: upstream(&mut fields, &profile)?,
            replay_body_limit: size(&mut fields, "replay_body_limit", "256KiB")?,
            connect_timeout: duration(&mut fields, "connect_timeout", "3s")?,
            answer_timeout: duration(&mut fields, "answer_timeout", "60s")?,
            table: table.clone(),
            listen: at,
            callers,
        };
        fields.finish()?;
        Ok(route)
    }

    fn error(&self, key: &str, what: &str) -> Error {
        Error::malformed(format!("`{}.route.{key}` {what}", self.table))
    }
}

impl VerifiedFile {
    /// The tables that hold a route: `acme` for `[acme.route]` beside `[acme.login]`. A table `route` of an application, with no login beside
    /// it, counts only where it has both a `listen` and an `upstream`.
    ///
    /// ```
    /// # use bootseal_core::*;
    /// # let access = vec![Access::new("alice", Role::Writer, Identity::generate()?.recipient())?];
    /// # let text = "[acme.login]\nurl = \"https://auth.acme.example/\"\n[acme.route]\nlisten = \"127.0.0.1:9301\"\n";
    /// # let text = Vault::create(access, text)?.sign()?;
    /// # let file = SealedFile::parse(text.into_bytes())?.verify(&[])?;
    /// let tables: Vec<_> = file.routes().iter().map(ToString::to_string).collect();
    /// assert_eq!(tables, ["acme"]);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn routes(&self) -> BTreeSet<PropertyPath> {
        routes(self, &self.profiles())
    }
}

/// [`VerifiedFile::routes`], where the profiles are known.
fn routes(file: &VerifiedFile, profiles: &BTreeSet<PropertyPath>) -> BTreeSet<PropertyPath> {
    let has = |table: &PropertyPath, key: &str| {
        table.child("route").and_then(|route| route.child(key)).is_ok_and(|path| file.property(&path).is_some())
    };
    let route = |(path, _): (&PropertyPath, &Property)| {
        let segments = path.segments();
        let at = segments.iter().rposition(|segment| segment == "route").filter(|at| *at > 0)?;
        let table = PropertyPath::new(segments[..at].to_vec()).ok()?;
        let is =
            at + 1 < segments.len() && (profiles.contains(&table) || has(&table, "listen") && has(&table, "upstream"));
        is.then_some(table)
    };
    file.properties().filter_map(route).collect()
}

fn listen(fields: &Fields, key: &str, text: &str) -> Result<Listen> {
    if let Some(path) = text.strip_prefix("unix:") {
        let path = PathBuf::from(path);
        return match path.is_absolute() && path.file_name().is_some() {
            true => Ok(Listen::Unix(path)),
            false => Err(fields.error(key, "must name its socket by an absolute path: \"unix:/run/acme.sock\"")),
        };
    }
    match text.parse::<SocketAddr>() {
        Ok(address) if address.port() > 0 => Ok(Listen::Tcp(address)),
        _ => {
            let error = fields.error(key, "must be an address and a port, or a Unix socket");
            let port = text.rsplit(':').next().filter(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
            Err(error.with_help(format!("As \"127.0.0.1:{}\" or \"unix:/run/acme.sock\".", port.unwrap_or("9301"))))
        }
    }
}

fn prefix(fields: &mut Fields) -> Result<String> {
    let Some(text) = fields.string("prefix")? else { return Ok(String::new()) };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    let segment = |name: &str| !name.is_empty() && name != "." && name != ".." && name.bytes().all(plain);
    match text.strip_prefix('/').is_some_and(|names| names.split('/').all(segment)) {
        true => Ok(text),
        false => Err(fields.error(
            "prefix",
            "must be as \"/acme\": a slash and a name of letters, digits, `-`, `_`, `.`, `~`, and none at the end",
        )),
    }
}

fn upstream(fields: &mut Fields, profile: &Profile) -> Result<Url> {
    let text = fields.string("upstream")?;
    let text = fields.required("upstream", text)?;
    let url = Url::parse(&text).ok().filter(|url| url.has_host() && ["https", "http"].contains(&url.scheme()));
    let url = url.ok_or_else(|| fields.error("upstream", "must be a URL, as \"https://api.acme.example/base\""))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(fields.error("upstream", "holds credentials, which everybody who has the file could read"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(fields.error("upstream", "has a query or a fragment; what comes after the path is the caller's"));
    }
    if !profile.allows(&url) {
        let host = &url[url::Position::BeforeHost..url::Position::AfterPort];
        let error =
            fields.error("upstream", format_args!("is at {host}, where the token of `{}` may not go", profile.table));
        return Err(error.with_help(format!(
            "It goes to {} over TLS. Another host is added in the profile: [{}.login] hosts = [\"{host}\"]",
            profile.hosts_display(),
            profile.table
        )));
    }
    Ok(url)
}

fn callers(fields: &mut Fields, file: &VerifiedFile, table: &PropertyPath) -> Result<Option<Callers>> {
    let Some(mut inner) = fields.inner("callers")? else { return Ok(None) };
    let sealed = |fields: &Fields, key: &str, text: &str| -> Result<String> {
        let literal = || {
            fields
                .error(key, "must be the name of a sealed value: a key that stands here could be read by everybody who has the file")
                .with_help(format!("bootseal set {table}.caller_key --generate, and then {key} = \"${{caller_key}}\""))
        };
        let name = one_name(fields, key, text).map_err(|_| literal())?;
        match file.property(&table.child(&name)?) {
            Some(Property::Sealed(_)) => Ok(name),
            Some(Property::Readable(_)) => Err(fields
                .error(key, format_args!("uses ${{{name}}}, which is not sealed"))
                .with_help(format!("Seal it: bootseal set {table}.{name} --generate"))),
            None => Err(fields
                .error(key, format_args!("uses ${{{name}}}, and the table `{table}` has no such value"))
                .with_help(format!("Seal it: bootseal set {table}.{name} --generate"))),
        }
    };
    let (bearer, basic, uid) = (inner.string("bearer")?, inner.inner("basic")?, inner.array("uid")?);
    let found = match (bearer, basic, uid) {
        (Some(text), None, None) => Callers::Bearer(sealed(&inner, "bearer", &text)?),
        (None, Some(mut basic), None) => {
            let (user, password) = (basic.string("user")?, basic.string("password")?);
            let (user, password) = (basic.required("user", user)?, basic.required("password", password)?);
            if user.is_empty() || user.contains(':') || user.contains("${") || user.chars().any(char::is_control) {
                return Err(basic.error("user", "must be a readable name without a colon (RFC 7617)"));
            }
            let password = sealed(&basic, "password", &password)?;
            basic.finish()?;
            Callers::Basic { user, password }
        }
        (None, None, Some(uids)) => {
            let number = |value: &Value| value.as_integer().and_then(|number| u32::try_from(number).ok());
            let uids: Option<Vec<u32>> = uids.iter().map(number).collect();
            let wrong = || inner.error("uid", "must be a list of numbers of users, as [1001]");
            Callers::Uid(uids.filter(|uids| !uids.is_empty()).ok_or_else(wrong)?)
        }
        _ => {
            return Err(fields.error("callers", "must have one of `bearer`, `basic` and `uid`").with_help(
                "As callers = { bearer = \"${caller_key}\" }, { basic = { user = \"shop\", password = \"${caller_key}\" } } or { uid = [1001] }.",
            ));
        }
    };
    inner.finish()?;
    Ok(Some(found))
}

fn size(fields: &mut Fields, key: &'static str, default: &str) -> Result<usize> {
    let text = fields.string(key)?;
    let text = text.as_deref().unwrap_or(default);
    let parse = || {
        let digits = text.find(|character: char| !character.is_ascii_digit())?;
        let unit = match &text[digits..] {
            "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            _ => return None,
        };
        text[..digits].parse::<usize>().ok()?.checked_mul(unit).filter(|bytes| *bytes <= MOST_KEPT)
    };
    parse().ok_or_else(|| fields.error(key, "must be a number and B, KiB or MiB, as \"256KiB\", and at most 64MiB"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::access::identity::Identity;
    use crate::file::header::{Access, Role};
    use crate::file::sealed::SealedFile;
    use crate::vault::Vault;
    use proptest::prelude::*;

    const LOGIN: &str = "[acme]\nusername = \"bob\"\npassword = \"\"\ncaller_key = \"secret:k3y\"\nopen = \"readable\"\n[acme.login]\nurl = \"https://api.acme.example/login\"\nbasic = true\nhosts = [\"api.acme.example\", \"other.example:8443\"]\n";

    fn read(more: &str) -> Result<Gateway> {
        let access = vec![Access::new("me", Role::Writer, Identity::generate().unwrap().recipient()).unwrap()];
        let text = [LOGIN, more].concat();
        let mut vault = Vault::create(access, &text.replace("caller_key = \"secret:k3y\"\n", ""))?;
        vault.set(&"acme.caller_key".parse()?, crate::ValueKind::Text, &crate::Secret::copy_of(b"k3y").unwrap(), 1)?;
        let file = SealedFile::parse(vault.sign()?.into_bytes())?.verify(&[])?;
        Gateway::read(&file)
    }

    fn route(more: &str) -> String {
        format!("[acme.route]\n{more}\n")
    }

    const GOOD: &str = "listen = \"127.0.0.1:9301\"\nupstream = \"https://api.acme.example/base\"\n";

    #[test]
    fn a_route_is_read_with_its_defaults() {
        let gateway = read(&route(GOOD)).unwrap();
        assert_eq!((gateway.admin, gateway.drain), (None, Duration::from_secs(10)));
        let [route] = &gateway.routes[..] else { panic!("{:?}", gateway.routes) };
        assert_eq!(route.listen, Listen::Tcp("127.0.0.1:9301".parse().unwrap()));
        assert_eq!((route.prefix.as_str(), &route.callers, route.replay_body_limit), ("", &None, 256 * 1024));
        assert_eq!((route.connect_timeout, route.answer_timeout), (Duration::from_secs(3), Duration::from_secs(60)));
    }

    #[test]
    fn a_file_without_routes_has_none() {
        assert_eq!(read("").unwrap().routes, []);
        // An application's own table of this name.
        assert_eq!(read("[map.route]\nlisten = \"left\"\n").unwrap().routes, []);
    }

    #[test]
    fn all_keys() {
        let all = "[gateway]\nadmin = \"unix:/run/admin.sock\"\ndrain = \"3s\"\n[acme.route]\nlisten = \"0.0.0.0:9301\"\nprefix = \"/a/b-1\"\nupstream = \"https://other.example:8443\"\ncallers = { bearer = \"${caller_key}\" }\nreplay_body_limit = \"1MiB\"\nconnect_timeout = \"1s\"\nanswer_timeout = \"2m\"\n";
        let gateway = read(all).unwrap();
        assert_eq!(gateway.admin, Some(Listen::Unix("/run/admin.sock".into())));
        assert_eq!(gateway.drain, Duration::from_secs(3));
        let route = &gateway.routes[0];
        assert_eq!(route.callers, Some(Callers::Bearer("caller_key".into())));
        assert_eq!((route.prefix.as_str(), route.replay_body_limit), ("/a/b-1", 1 << 20));
        let basic = all
            .replace("{ bearer = \"${caller_key}\" }", "{ basic = { user = \"shop\", password = \"${caller_key}\" } }");
        let basic = read(&basic).unwrap().routes.remove(0).callers;
        assert_eq!(basic, Some(Callers::Basic { user: "shop".into(), password: "caller_key".into() }));
        let uid = all
            .replace("0.0.0.0:9301", "unix:/run/a.sock")
            .replace("{ bearer = \"${caller_key}\" }", "{ uid = [0, 1001] }");
        assert_eq!(read(&uid).unwrap().routes.remove(0).callers, Some(Callers::Uid(vec![0, 1001])));
    }

    #[test]
    fn each_mistake_is_told_by_its_name() {
        let with = |line: &str| route(&format!("{GOOD}{line}"));
        let instead = |from: &str, to: &str| route(&GOOD.replace(from, to));
        for (text, expected) in [
            (with("listn = 1"), "`acme.route.listn` is not a key that this version knows"),
            (instead("127.0.0.1:9301", "localhost:9301"), "`acme.route.listen` must be an address and a port"),
            (instead("127.0.0.1:9301", "127.0.0.1:0"), "must be an address and a port"),
            (instead("127.0.0.1:9301", "unix:a.sock"), "absolute path"),
            (instead("127.0.0.1:9301", "0.0.0.0:9301"), "nothing says who may call"),
            (instead("127.0.0.1:9301", "[::]:9301"), "nothing says who may call"),
            (with("callers = { uid = [1] }"), "at a Unix socket only"),
            (with("callers = { bearer = \"k3y\" }"), "must be the name of a sealed value"),
            (with("callers = { bearer = \"${nobody}\" }"), "has no such value"),
            (with("callers = { bearer = \"${open}\" }"), "is not sealed"),
            (with("callers = { bearer = \"${caller_key}\", uid = [1] }"), "must have one of"),
            (with("callers = {}"), "must have one of"),
            (with("[acme.route.callers]"), "must have one of"),
            (with("callers = { basic = {} }"), "`acme.route.callers.basic.user` is missing"),
            (with("callers = { basic = { user = \"a:b\", password = \"${caller_key}\" } }"), "without a colon"),
            (with("callers = { basic = { user = \"a\" } }"), "`acme.route.callers.basic.password` is missing"),
            (with("prefix = \"acme\""), "`acme.route.prefix` must be as"),
            (with("prefix = \"/acme/\""), "must be as"),
            (with("prefix = \"/../x\""), "must be as"),
            (with("replay_body_limit = \"65MiB\""), "at most 64MiB"),
            (with("replay_body_limit = 5"), "must be a string"),
            (with("answer_timeout = \"5\""), "`acme.route.answer_timeout`"),
            (instead("https://api.acme.example/base", "https://evil.example/"), "where the token of `acme` may not go"),
            (instead("https://api.acme.example/base", "http://api.acme.example/"), "may not go"),
            (instead("https://api.acme.example/base", "https://api.acme.example/?a=b"), "has a query"),
            (instead("https://api.acme.example/base", "https://u:p@api.acme.example/"), "holds credentials"),
            (instead("https://api.acme.example/base", "/base"), "must be a URL"),
            ("[acme.route]\nlisten = \"127.0.0.1:9301\"\n".into(), "`acme.route.upstream` is missing"),
            ("[gateway]\nadmn = \"127.0.0.1:1\"\n".into(), "`gateway.admn` is not a key"),
            (format!("[gateway]\nadmin = \"127.0.0.1:9301\"\n{}", route(GOOD)), "is the address of `gateway.admin`"),
            (route(GOOD).replace("acme.route", "x.route"), "there is no `x.login`"),
            (
                format!(
                    "{}[b]\nusername = \"x\"\npassword = \"y\"\n[b.login]\nlike = \"acme\"\n{}",
                    route(GOOD),
                    route(GOOD).replace("acme.route", "b.route")
                ),
                "has no `prefix`, and neither has",
            ),
        ] {
            let error = read(&text).expect_err(&text).to_string();
            assert!(error.contains(expected), "{text}\n{error}");
        }
    }

    #[test]
    fn several_share_an_address_by_prefix() {
        let both = format!(
            "{}prefix = \"/a\"\n[b]\nusername = \"x\"\npassword = \"y\"\n[b.login]\nlike = \"acme\"\n{}prefix = \"/b\"\n",
            route(GOOD),
            route(GOOD).replace("acme.route", "b.route")
        );
        assert_eq!(read(&both).unwrap().routes.len(), 2);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn no_text_panics(listen in "\\PC*", prefix in "\\PC*", upstream in "\\PC*", size in "\\PC*") {
            let quoted = |text: String| toml::Value::String(text).to_string();
            let text = format!("listen = {}\nprefix = {}\nupstream = {}\nreplay_body_limit = {}\n", quoted(listen), quoted(prefix), quoted(upstream), quoted(size));
            let _ = read(&route(&text));
        }
    }
}

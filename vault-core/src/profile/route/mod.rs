//! Routes of the gateway, which determine the calls that are forwarded, the upstream and the token.
//! Routes are readable and signed, and they are checked when they are read.

pub(crate) mod read;

use crate::file::verified::VerifiedFile;
use crate::text::path::PropertyPath;
use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// The gateway's configuration in a file.
///
/// ```
/// use bootseal_core::Gateway;
/// let text = r#"
///     [acme]
///     username = "bob"
///     password = ""
///     [acme.login]
///     url = "https://api.acme.example/login"
///     basic = true
///     [gateway]
///     admin = "127.0.0.1:9300"
///     [acme.route]
///     listen = "127.0.0.1:9301"
///     upstream = "https://api.acme.example/v1"
/// "#; // … signed, verified
/// # let (_, file) = bootseal_fixtures::file(text);
/// let gateway = Gateway::read(&file)?;
/// assert_eq!(gateway.admin.unwrap().to_string(), "127.0.0.1:9300");
/// assert_eq!(gateway.routes[0].upstream.as_str(), "https://api.acme.example/v1");
/// # Ok::<(), bootseal_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gateway {
    /// The admin address, if there is one.
    pub admin: Option<Listen>,
    /// The time limit for calls in flight after the gateway was asked to stop.
    pub drain: Duration,
    /// The routes, in the order of their table names.
    pub routes: Vec<Route>,
}

/// One route: the address that accepts calls, and the upstream that they are forwarded to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The table whose login provides the token: `acme` for `[acme.route]`.
    pub table: PropertyPath,
    /// The address that accepts calls.
    pub listen: Listen,
    /// The prefix of a call's path, which is removed before the call is forwarded. It is empty, or
    /// one or more names, each after a `/`.
    pub prefix: String,
    /// The URL that calls are forwarded to. Its path is put before the path of each call.
    pub upstream: Url,
    /// The authentication of callers. With `None`, anyone who can reach the address may call, and
    /// the address must be on this machine.
    pub callers: Option<Callers>,
    /// The maximum size in bytes of a body that is kept in case the call is replayed.
    pub replay_body_limit: usize,
    /// The time limit for connecting to the upstream, including TLS.
    pub connect_timeout: Duration,
    /// The time limit from the end of the request to the head of its response.
    pub answer_timeout: Duration,
}

/// An address to listen on.
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

/// The authentication of a caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Callers {
    /// `Authorization: Bearer …`, with the sealed value of this name.
    Bearer(String),
    /// `Authorization: Basic …`.
    Basic {
        /// The user name, which is readable.
        user: String,
        /// The name of the sealed password.
        password: String,
    },
    /// A process with one of these user ids, on a Unix socket.
    Uid(Vec<u32>),
}

impl Gateway {
    /// The keys of `[gateway]`.
    pub const KEYS: &[&str] = &["admin", "drain"];
}

impl Route {
    /// The keys of a route.
    pub const KEYS: &[&str] = &[
        "listen",
        "prefix",
        "upstream",
        "callers",
        "replay_body_limit",
        "connect_timeout",
        "answer_timeout",
    ];
}

impl VerifiedFile {
    /// The tables that contain a route: `acme` for `[acme.route]` beside `[acme.login]`. A table
    /// `route` without a login beside it may belong to the application, so it counts as a route
    /// only if it has both `listen` and `upstream`.
    ///
    /// ```
    /// let text = "[acme.login]\nurl = \"https://auth.acme.example/\"\n[acme.route]\nlisten = \"127.0.0.1:9301\"\n";
    /// # let (_, file) = bootseal_fixtures::file(text);
    /// let tables: Vec<_> = file.routes().iter().map(ToString::to_string).collect();
    /// assert_eq!(tables, ["acme"]);
    /// ```
    pub fn routes(&self) -> BTreeSet<PropertyPath> {
        routes(self, &self.profiles())
    }
}

/// [`VerifiedFile::routes`] for known profiles.
pub(super) fn routes(
    file: &VerifiedFile,
    profiles: &BTreeSet<PropertyPath>,
) -> BTreeSet<PropertyPath> {
    let has = |table: &PropertyPath, key: &str| {
        table
            .child("route")
            .and_then(|route| route.child(key))
            .is_ok_and(|path| file.is_sealed(&path).is_some())
    };
    let route = |(path, _): (PropertyPath, bool)| {
        let segments = path.segments();
        let at = segments.iter().rposition(|segment| segment == "route").filter(|at| *at > 0)?;
        let table = PropertyPath::new(segments[..at].to_vec()).ok()?;
        let is = at + 1 < segments.len()
            && (profiles.contains(&table) || has(&table, "listen") && has(&table, "upstream"));
        is.then_some(table)
    };
    file.names().filter_map(route).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::access::identity::Identity;
    use crate::error::Result;
    use crate::file::header::{Access, Role};
    use crate::file::sealed::SealedFile;
    use crate::vault::Vault;
    use proptest::prelude::*;

    const LOGIN: &str = "[acme]\nusername = \"bob\"\npassword = \"\"\ncaller_key = \"secret:k3y\"\nopen = \"readable\"\n[acme.login]\nurl = \"https://api.acme.example/login\"\nbasic = true\nhosts = [\"api.acme.example\", \"other.example:8443\"]\n";

    fn read(more: &str) -> Result<Gateway> {
        let access = vec![
            Access::new("me", Role::Writer, Identity::generate().unwrap().recipient()).unwrap(),
        ];
        let text = [LOGIN, more].concat();
        let mut vault = Vault::create(access, text.replace("caller_key = \"secret:k3y\"\n", ""))?;
        vault.set(
            &"acme.caller_key".parse()?,
            crate::ValueKind::Text,
            &crate::Secret::copy_of(b"k3y").unwrap(),
            1,
        )?;
        let file = SealedFile::parse(vault.sign()?.into_bytes())?.verify(&[])?;
        Gateway::read(&file)
    }

    fn route(more: &str) -> String {
        format!("[acme.route]\n{more}\n")
    }

    const GOOD: &str =
        "listen = \"127.0.0.1:9301\"\nupstream = \"https://api.acme.example/base\"\n";

    #[test]
    fn a_route_is_read_with_its_defaults() {
        let gateway = read(&route(GOOD)).unwrap();
        assert_eq!((gateway.admin, gateway.drain), (None, Duration::from_secs(10)));
        let [route] = &gateway.routes[..] else { panic!("{:?}", gateway.routes) };
        assert_eq!(route.listen, Listen::Tcp("127.0.0.1:9301".parse().unwrap()));
        assert_eq!(
            (route.prefix.as_str(), &route.callers, route.replay_body_limit),
            ("", &None, 256 * 1024)
        );
        assert_eq!(
            (route.connect_timeout, route.answer_timeout),
            (Duration::from_secs(3), Duration::from_secs(60))
        );
    }

    #[test]
    fn a_file_without_routes_has_none() {
        assert_eq!(read("").unwrap().routes, []);
        // An application's own table of this name.
        assert_eq!(read("[map.route]\nlisten = \"left\"\n").unwrap().routes, []);
    }

    #[test]
    fn all_keys_are_read() {
        let all = "[gateway]\nadmin = \"unix:/run/admin.sock\"\ndrain = \"3s\"\n[acme.route]\nlisten = \"0.0.0.0:9301\"\nprefix = \"/a/b-1\"\nupstream = \"https://other.example:8443\"\ncallers = { bearer = \"${caller_key}\" }\nreplay_body_limit = \"1MiB\"\nconnect_timeout = \"1s\"\nanswer_timeout = \"2m\"\n";
        let gateway = read(all).unwrap();
        assert_eq!(gateway.admin, Some(Listen::Unix("/run/admin.sock".into())));
        assert_eq!(gateway.drain, Duration::from_secs(3));
        let route = &gateway.routes[0];
        assert_eq!(route.callers, Some(Callers::Bearer("caller_key".into())));
        assert_eq!((route.prefix.as_str(), route.replay_body_limit), ("/a/b-1", 1 << 20));
        let basic = all.replace(
            "{ bearer = \"${caller_key}\" }",
            "{ basic = { user = \"shop\", password = \"${caller_key}\" } }",
        );
        let basic = read(&basic).unwrap().routes.remove(0).callers;
        assert_eq!(
            basic,
            Some(Callers::Basic { user: "shop".into(), password: "caller_key".into() })
        );
        let uid = all
            .replace("0.0.0.0:9301", "unix:/run/a.sock")
            .replace("{ bearer = \"${caller_key}\" }", "{ uid = [0, 1001] }");
        assert_eq!(read(&uid).unwrap().routes.remove(0).callers, Some(Callers::Uid(vec![0, 1001])));
    }

    #[test]
    #[allow(clippy::too_many_lines, reason = "a table")]
    fn each_mistake_has_its_own_error() {
        let with = |line: &str| route(&format!("{GOOD}{line}"));
        let instead = |from: &str, to: &str| route(&GOOD.replace(from, to));
        for (text, expected) in [
            (with("listn = 1"), "`acme.route.listn` is not a key that this version knows"),
            (
                instead("127.0.0.1:9301", "localhost:9301"),
                "`acme.route.listen` must be an address and a port",
            ),
            (instead("127.0.0.1:9301", "127.0.0.1:0"), "must be an address and a port"),
            (instead("127.0.0.1:9301", "unix:a.sock"), "absolute path"),
            (instead("127.0.0.1:9301", "0.0.0.0:9301"), "needs `callers`"),
            (instead("127.0.0.1:9301", "[::]:9301"), "needs `callers`"),
            (with("callers = { uid = [1] }"), "only on a Unix socket"),
            (with("callers = { bearer = \"k3y\" }"), "must be the name of a sealed value"),
            (with("callers = { bearer = \"${nobody}\" }"), "has no such value"),
            (with("callers = { bearer = \"${open}\" }"), "is not sealed"),
            (
                with("callers = { bearer = \"${caller_key}\", uid = [1] }"),
                "must have exactly one of",
            ),
            (with("callers = {}"), "must have exactly one of"),
            (with("[acme.route.callers]"), "must have exactly one of"),
            (with("callers = { basic = {} }"), "`acme.route.callers.basic.user` is missing"),
            (
                with("callers = { basic = { user = \"a:b\", password = \"${caller_key}\" } }"),
                "without a colon",
            ),
            (
                with("callers = { basic = { user = \"a\" } }"),
                "`acme.route.callers.basic.password` is missing",
            ),
            (with("prefix = \"acme\""), "`acme.route.prefix` must have the form"),
            (with("prefix = \"/acme/\""), "must have the form"),
            (with("prefix = \"/../x\""), "must have the form"),
            (with("replay_body_limit = \"65MiB\""), "at most 64MiB"),
            (with("replay_body_limit = 5"), "must be a string"),
            (with("answer_timeout = \"5\""), "`acme.route.answer_timeout`"),
            (
                instead("https://api.acme.example/base", "https://evil.example/"),
                "to which the token of `acme` must not be sent",
            ),
            (
                instead("https://api.acme.example/base", "http://api.acme.example/"),
                "must not be sent",
            ),
            (
                instead("https://api.acme.example/base", "https://api.acme.example/?a=b"),
                "has a query",
            ),
            (
                instead("https://api.acme.example/base", "https://u:p@api.acme.example/"),
                "contains credentials",
            ),
            (instead("https://api.acme.example/base", "/base"), "must be a URL"),
            (
                "[acme.route]\nlisten = \"127.0.0.1:9301\"\n".into(),
                "`acme.route.upstream` is missing",
            ),
            ("[gateway]\nadmn = \"127.0.0.1:1\"\n".into(), "`gateway.admn` is not a key"),
            (
                format!("[gateway]\nadmin = \"127.0.0.1:9301\"\n{}", route(GOOD)),
                "is also the address of `gateway.admin`",
            ),
            (route(GOOD).replace("acme.route", "x.route"), "there is no `x.login`"),
            (
                format!(
                    "{}[b]\nusername = \"x\"\npassword = \"y\"\n[b.login]\nlike = \"acme\"\n{}",
                    route(GOOD),
                    route(GOOD).replace("acme.route", "b.route")
                ),
                "neither route has a `prefix`",
            ),
        ] {
            let error = read(&text).expect_err(&text).to_string();
            assert!(error.contains(expected), "{text}\n{error}");
        }
    }

    #[test]
    fn several_routes_share_an_address_by_prefix() {
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
        fn no_text_causes_a_panic(listen in "\\PC*", prefix in "\\PC*", upstream in "\\PC*", size in "\\PC*") {
            let quoted = |text: String| toml::Value::String(text).to_string();
            let text = format!("listen = {}\nprefix = {}\nupstream = {}\nreplay_body_limit = {}\n", quoted(listen), quoted(prefix), quoted(upstream), quoted(size));
            let _ = read(&route(&text));
        }
    }
}

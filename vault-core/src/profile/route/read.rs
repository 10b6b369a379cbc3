//! Reads `[gateway]` and `[NAME.route]`, in which each key has its type, its default and its
//! limits.

use crate::error::{Error, Result};
use crate::file::verified::VerifiedFile;
use crate::profile::Profile;
use crate::profile::duration::duration;
use crate::profile::read::one_name;
use crate::profile::route::{Callers, Gateway, Listen, Route, routes};
use crate::shown::shell_word;
use crate::text::document::Property;
use crate::text::path::PropertyPath;
use crate::text::table_reader::Fields;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use toml::Value;
use url::Url;

/// The limit for a body that is kept for a replay. Each call in flight has its own copy in memory.
const MOST_KEPT: usize = 64 << 20;

impl Gateway {
    /// Reads `[gateway]` and each `[….route]`.
    ///
    /// # Errors
    /// [`Kind::Malformed`](crate::Kind::Malformed) for a key that is unknown, of another type or
    /// without effect, for routes that cannot share their address, for a route that other machines
    /// could use without authentication, and for an upstream that the token must not be sent to;
    /// the errors of [`Profile::read`] for the logins of these routes.
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
                return Err(route.error(
                    "listen",
                    "is also the address of `gateway.admin`: they need different addresses",
                ));
            }
            for other in self.routes[..at].iter().filter(here) {
                let clash = match route.prefix == other.prefix {
                    true if route.prefix.is_empty() => ", and neither route has a `prefix`",
                    true => ", which has the same `prefix`",
                    // Otherwise, one listener would authenticate some callers and not others.
                    false if route.callers.is_none() && other.callers.is_some() => {
                        ", which has `callers`, unlike this route"
                    }
                    false if route.callers.is_some() && other.callers.is_none() => {
                        ", which has no `callers`, unlike this route"
                    }
                    false => continue,
                };
                let text = format!("is also the address of `{}.route`{clash}", other.table);
                return Err(route.error("listen", &text).with_help(
                    "Give each route its own `listen`; or give each its own `prefix`, such as prefix = \"/acme\", and `callers` to both or to neither.",
                ));
            }
        }
        Ok(())
    }
}

impl Route {
    /// Reads and checks the route beside the login of `table`.
    fn read(
        file: &VerifiedFile,
        table: &PropertyPath,
        profiles: &BTreeSet<PropertyPath>,
    ) -> Result<Route> {
        let path = table.child("route")?;
        let mut fields =
            Fields::of(path.to_string(), file.readable_table(&path)?.unwrap_or_default());
        if !profiles.contains(table) {
            return Err(Error::malformed(format!(
                "`{path}` has no login beside it: there is no `{table}.login`"
            ))
            .with_help(format!("Create a login profile: bootseal profile {}", shell_word(table))));
        }
        let profile = Profile::read(file, table)?;
        let at = fields.string("listen")?;
        let at = fields.required("listen", at)?;
        let at = listen(&fields, "listen", &at)?;
        let callers = callers(&mut fields, file, table)?;
        match (&at, &callers) {
            (Listen::Tcp(_), Some(Callers::Uid(_))) => {
                return Err(fields
                    .error("callers", "uses `uid`, which works only on a Unix socket")
                    .with_help("listen = \"unix:/run/….sock\"; or callers = { bearer = \"${caller_key}\" }"));
            }
            (Listen::Tcp(address), None) if !address.ip().is_loopback() => {
                return Err(fields
                    .error("listen", "can be reached from other machines, so the route needs `callers`")
                    .with_help("Listen on 127.0.0.1, or require a key: bootseal route with --bearer, or callers = { bearer = \"${caller_key}\" } in the route."));
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

fn listen(fields: &Fields, key: &str, text: &str) -> Result<Listen> {
    if let Some(path) = text.strip_prefix("unix:") {
        let path = PathBuf::from(path);
        return match path.is_absolute() && path.file_name().is_some() {
            true => Ok(Listen::Unix(path)),
            false => Err(fields
                .error(key, "must name a socket with an absolute path: \"unix:/run/acme.sock\"")),
        };
    }
    match text.parse::<SocketAddr>() {
        Ok(address) if address.port() > 0 => Ok(Listen::Tcp(address)),
        _ => {
            let error = fields.error(key, "must be an address and a port, or a Unix socket");
            let port = text
                .rsplit(':')
                .next()
                .filter(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
            Err(error.with_help(format!(
                "For example \"127.0.0.1:{}\" or \"unix:/run/acme.sock\".",
                port.unwrap_or("9301")
            )))
        }
    }
}

fn prefix(fields: &mut Fields) -> Result<String> {
    let Some(text) = fields.string("prefix")? else { return Ok(String::new()) };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    let segment =
        |name: &str| !name.is_empty() && name != "." && name != ".." && name.bytes().all(plain);
    match text.strip_prefix('/').is_some_and(|names| names.split('/').all(segment)) {
        true => Ok(text),
        false => Err(fields.error(
            "prefix",
            "must have the form \"/acme\" or \"/acme/eu\": each slash is followed by a name of letters, digits, `-`, `_`, `.`, `~`",
        )),
    }
}

fn upstream(fields: &mut Fields, profile: &Profile) -> Result<Url> {
    let text = fields.string("upstream")?;
    let text = fields.required("upstream", text)?;
    let url = Url::parse(&text)
        .ok()
        .filter(|url| url.has_host() && ["https", "http"].contains(&url.scheme()));
    let url = url.ok_or_else(|| {
        fields.error("upstream", "must be a URL, such as \"https://api.acme.example/base\"")
    })?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(
            fields.error("upstream", "contains credentials, which anyone with the file could read")
        );
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(fields.error(
            "upstream",
            "has a query or a fragment; only the caller sets the part after the path",
        ));
    }
    if !profile.allows(&url) {
        let host = &url[url::Position::BeforeHost..url::Position::AfterPort];
        let error = fields.error(
            "upstream",
            format_args!(
                "is at {host}, to which the token of `{}` must not be sent",
                profile.table
            ),
        );
        return Err(error.with_help(format!(
            "The token is sent only to {}. Add another host in the profile: [{}.login] hosts = [\"{host}\"]",
            profile.destinations(),
            profile.table
        )));
    }
    Ok(url)
}

fn callers(
    fields: &mut Fields,
    file: &VerifiedFile,
    table: &PropertyPath,
) -> Result<Option<Callers>> {
    let Some(mut inner) = fields.inner("callers")? else { return Ok(None) };
    let own = shell_word(table.child("caller_key")?);
    let sealed = |fields: &Fields, key: &str, text: &str| -> Result<String> {
        let literal = || {
            fields
                .error(key, "must be the name of a sealed value: anyone with the file could read a key written here")
                .with_help(format!("bootseal set {own} --generate, and then {key} = \"${{caller_key}}\""))
        };
        let name = one_name(fields, key, text).map_err(|_| literal())?;
        let path = table.child(&name)?;
        let help = || format!("Seal it: bootseal set {} --generate", shell_word(&path));
        match file.property(&path) {
            Some(Property::Sealed(_)) => Ok(name),
            Some(Property::Readable(_)) => Err(fields
                .error(key, format_args!("uses ${{{name}}}, which is not sealed"))
                .with_help(help())),
            None => Err(fields
                .error(
                    key,
                    format_args!("uses ${{{name}}}, but the table `{table}` has no such value"),
                )
                .with_help(help())),
        }
    };
    let (bearer, basic, uid) =
        (inner.string("bearer")?, inner.inner("basic")?, inner.array("uid")?);
    let found = match (bearer, basic, uid) {
        (Some(text), None, None) => Callers::Bearer(sealed(&inner, "bearer", &text)?),
        (None, Some(mut basic), None) => {
            let (user, password) = (basic.string("user")?, basic.string("password")?);
            let (user, password) =
                (basic.required("user", user)?, basic.required("password", password)?);
            if user.is_empty()
                || user.contains(':')
                || user.contains("${")
                || user.chars().any(char::is_control)
            {
                return Err(
                    basic.error("user", "must be a readable name without a colon (RFC 7617)")
                );
            }
            let password = sealed(&basic, "password", &password)?;
            basic.finish()?;
            Callers::Basic { user, password }
        }
        (None, None, Some(uids)) => {
            let number =
                |value: &Value| value.as_integer().and_then(|number| u32::try_from(number).ok());
            let uids: Option<Vec<u32>> = uids.iter().map(number).collect();
            let wrong = || inner.error("uid", "must be a list of user ids, such as [1001]");
            Callers::Uid(uids.filter(|uids| !uids.is_empty()).ok_or_else(wrong)?)
        }
        _ => {
            return Err(fields.error("callers", "must have exactly one of `bearer`, `basic` and `uid`").with_help(
                "For example: callers = { bearer = \"${caller_key}\" }, { basic = { user = \"shop\", password = \"${caller_key}\" } } or { uid = [1001] }.",
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
    parse().ok_or_else(|| {
        fields.error(
            key,
            "must be a number with B, KiB or MiB, such as \"256KiB\", and at most 64MiB",
        )
    })
}

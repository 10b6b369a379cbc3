//! Hosts in readable values: the host that a reader connects to, and whether the text shows it.

use crate::error::{Error, Kind, Result};
use crate::shown::Brief;
use crate::text::document::{Document, Property};
use crate::text::path::PropertyPath;
use std::net::{Ipv4Addr, Ipv6Addr};
use toml::Value;
use url::{Host, Url};

/// The keys of settings tables whose values are hosts or addresses.
const HOST_KEYS: [&str; 4] = ["url", "hosts", "upstream", "proxy"];
/// The keys of a request whose content is sent to the vendor, and decides no destination.
const SENT: [&str; 3] = ["json", "form", "headers"];

/// The host of an address in a readable value.
///
/// ```
/// use bootseal_core::AddressHost;
/// let path = "acme.login.url".parse()?;
/// let url = "https://vendor.example@EVIL.example/".into();
/// let [host] = &AddressHost::all_in(&path, &url)[..] else { panic!() };
/// assert_eq!((host.effective.as_str(), host.plain), ("evil.example", false));
/// # Ok::<(), bootseal_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AddressHost {
    /// The host that a reader connects to: in lower case, in ASCII (`xn--…`), with its port unless
    /// it is the scheme's default port.
    pub effective: String,
    /// Whether the text shows exactly this host, in its usual place.
    pub plain: bool,
    /// The host as written, if it is not ASCII or is percent-encoded.
    unclear: Option<String>,
}

impl AddressHost {
    /// The hosts of all addresses in `value`: URLs, the entries of a key `hosts` and, outside of
    /// settings tables, whatever looks like a host name or an IPv4 address.
    pub fn all_in(path: &PropertyPath, value: &Value) -> Vec<AddressHost> {
        let mut found = Vec::new();
        AddressHost::each_in(path, value, &mut |host| found.push(host));
        found
    }

    /// Calls `each` with the hosts of all addresses in `value`.
    pub(crate) fn each_in(path: &PropertyPath, value: &Value, each: &mut dyn FnMut(AddressHost)) {
        let bare = is_setting(path) && path.segments().last().is_some_and(|key| key == "hosts");
        let is_setting = path.settings_table().is_some();
        strings(value, &mut |text| match AddressHost::of(text, bare) {
            Some(host) => each(host),
            // A setting is a URL, or one of the hosts in a list. For any other value, it is not
            // known what an application takes for an address.
            None if is_setting => {}
            None => AddressHost::inside(text).for_each(&mut *each),
        });
    }

    /// The hosts in a text that is not a URL: `jdbc:postgresql://db.example/app`, `db.example:5432`,
    /// `a.example,b.example`, `user@tcp(db:3306)/app`, `[::1]:5432`, `\\host\share`.
    fn inside(text: &str) -> impl Iterator<Item = AddressHost> {
        let between = |next: char| !next.is_alphanumeric() && !"-.:_[]".contains(next);
        let mut at = 0;
        text.split_inclusive(between).filter_map(move |part| {
            let before = &text[..at];
            at += part.len();
            // A name after these is a host, whatever it looks like.
            let is_named = ["//", "\\\\", "@"].iter().any(|mark| before.ends_with(mark))
                && !part.ends_with('(');
            host_in(part.trim_end_matches(between), is_named)
        })
    }

    /// The host of one address; of a host alone, without a scheme, if `bare`.
    fn of(text: &str, bare: bool) -> Option<AddressHost> {
        let whole = if bare { format!("https://{text}") } else { text.to_owned() };
        let url = Url::parse(&whole).ok()?;
        let written = written_host(&whole)?;
        let is_clear = written.is_ascii() && !written.contains('%');
        let host = match url.host()? {
            // The URL parser normalises hosts only for schemes that it knows, such as https.
            Host::Domain(domain) => {
                Host::parse(domain).map_or_else(|_| domain.to_owned(), |host| host.to_string())
            }
            address => address.to_string(),
        };
        let effective = url.port().map_or(host.clone(), |port| format!("{host}:{port}"));
        let usual = url.port_or_known_default().map(|port| format!("{host}:{port}"));
        let is_host = written == effective || Some(&written) == usual.as_ref();
        let rest = whole.strip_prefix(&format!("{}://{written}", url.scheme()));
        let plain = is_host
            && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?', '#']));
        Some(AddressHost { effective, plain, unclear: (!is_clear).then_some(written) })
    }

    /// Checks the host of one URL that a user gives to a writer.
    ///
    /// # Errors
    /// [`Kind::Conflict`] if it is not written in ASCII, with its ASCII form if it has one.
    ///
    /// ```
    /// use bootseal_core::AddressHost;
    /// assert!(AddressHost::require_ascii("https://api.acme.example/login").is_ok());
    /// let error = AddressHost::require_ascii("https://vendör.example/").unwrap_err();
    /// assert!(error.what().ends_with("it is xn--vendr-mua.example"));
    /// ```
    pub fn require_ascii(url: &str) -> Result<()> {
        unclear(url, false).map_or(Ok(()), Err)
    }

    /// The host with the letters that its `xn--` form stands for.
    pub(crate) fn unicode(&self) -> String {
        url::quirks::domain_to_unicode(&self.effective)
    }
}

/// The host that a word without a scheme names. `is_named` says that it is in the place of a host.
fn host_in(word: &str, is_named: bool) -> Option<AddressHost> {
    let word = word.trim_matches('.');
    let is_address = word.trim_matches(['[', ']']).parse::<Ipv6Addr>().is_ok();
    let (name, port) = match word.rsplit_once(':') {
        Some((name, port)) if !is_address && port.parse::<u16>().is_ok() => (name, Some(port)),
        _ => (word, None),
    };
    let name = match name.trim_matches(['[', ']']).parse::<Ipv6Addr>() {
        Ok(address) => format!("[{address}]"),
        Err(_) => name.trim_matches(':').rsplit(':').next().unwrap_or_default().to_owned(),
    };
    let is_label = |last: &str| {
        last.starts_with("xn--")
            || last.chars().count() > 1 && last.chars().all(char::is_alphabetic)
    };
    let is_domain = name.rsplit_once('.').is_some_and(|(_, last)| is_label(last));
    // 2130706433 is 127.0.0.1, and 10:30 is a time.
    let is_number = name.parse::<u32>().is_ok_and(|number| number >> 24 > 0);
    let is_word = name.chars().any(char::is_alphabetic) || is_number;
    let is_host = is_domain
        || name.starts_with('[')
        || name == "localhost"
        || name.parse::<Ipv4Addr>().is_ok()
        || is_word && (is_named || port.is_some());
    let host = Host::parse(&name).ok().filter(|_| is_host)?.to_string();
    let effective = port.map_or(host.clone(), |port| format!("{host}:{port}"));
    let unclear = (!name.is_ascii()).then(|| name.clone());
    Some(AddressHost { effective, plain: host == name, unclear })
}

/// Refuses a host that `new` adds to `old`, if it is not written in ASCII, because a reviewer could
/// not distinguish it from another host.
///
/// # Errors
/// [`Kind::Conflict`], with the ASCII form of the host.
pub(crate) fn refuse_unclear_hosts(old: &Document, new: &Document) -> Result<()> {
    for (path, _) in new.names().filter(|(path, _)| decides_a_host(path)) {
        let property = new.get(&path);
        let Some(Property::Readable(value)) = &property else { continue };
        if old.has_same(&path, new) {
            continue;
        }
        let bare = path.segments().last().is_some_and(|key| key == "hosts");
        let mut refused = None;
        strings(value, &mut |text| refused = refused.take().or_else(|| unclear(text, bare)));
        if let Some(error) = refused {
            return Err(error.at(&path));
        }
    }
    Ok(())
}

fn unclear(text: &str, bare: bool) -> Option<Error> {
    let whole = if bare { format!("https://{text}") } else { text.to_owned() };
    let written = written_host(&whole)?;
    let host = match AddressHost::of(text, bare) {
        Some(host) => host.unclear.map(|_| host.effective),
        None if written.is_ascii() => None,
        None => {
            let what = format!("the host `{}` is not a valid host name", Brief(&written));
            return Some(Error::new(Kind::Conflict, what));
        }
    }?;
    let what =
        format!("the host `{}` is not written in plain ASCII; it is {host}", Brief(&written));
    Some(Error::new(Kind::Conflict, what).with_help(format!(
        "Write it as {host}. Letters of different scripts can look the same, so a review could not show where a secret is sent."
    )))
}

/// Whether the property is in a settings table, but not below a key whose content is sent.
fn is_setting(path: &PropertyPath) -> bool {
    let table = path.settings_table().map_or(0, <[String]>::len);
    table > 0 && !path.segments()[table..].iter().any(|key| SENT.contains(&key.as_str()))
}

fn decides_a_host(path: &PropertyPath) -> bool {
    let last = path.segments().last().map_or("", String::as_str);
    let elsewhere = path.settings_table().is_some_and(|table| table.len() == 1);
    is_setting(path) && (elsewhere || HOST_KEYS.contains(&last))
}

/// The host of a URL as it is written, with its port and without user information; `None` without
/// a scheme.
fn written_host(url: &str) -> Option<String> {
    // A URL parser removes these characters, wherever they are.
    let url: String = url.chars().filter(|next| !"\t\n\r".contains(*next)).collect();
    let url = url.trim_start_matches(|next: char| next <= ' ');
    let (scheme, rest) = url.split_once(':')?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    if scheme.is_empty() || !scheme.bytes().all(plain) {
        return None;
    }
    let rest = rest.trim_start_matches(['/', '\\']);
    let authority = rest.split(['/', '\\', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    Some(host.trim_end_matches(|next: char| next <= ' ').to_owned())
}

fn strings(value: &Value, each: &mut impl FnMut(&str)) {
    match value {
        Value::String(text) => each(text),
        Value::Array(list) => list.iter().for_each(|value| strings(value, each)),
        Value::Table(table) => table.values().for_each(|value| strings(value, each)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(path: &str, value: impl Into<Value>) -> Vec<(String, bool)> {
        let hosts = AddressHost::all_in(&path.parse().unwrap(), &value.into());
        hosts.into_iter().map(|host| (host.effective, host.plain)).collect()
    }

    #[test]
    fn the_effective_host_is_found_however_it_is_written() {
        for (text, host) in [
            ("https://vendör.example/x", "xn--vendr-mua.example"),
            ("https://vend%C3%B6r.example/x", "xn--vendr-mua.example"),
            ("https://vendor.example@evil.example/", "evil.example"),
            ("https://vendor.example\\@evil.example/", "vendor.example"),
            ("https:\\\\evil.example\\/vendor.example", "evil.example"),
            ("https:evil.example", "evil.example"),
            ("https://EVIL.example/", "evil.example"),
            ("https://evil\u{3002}example/", "evil.example"),
            ("https://ｅvil.example/", "evil.example"),
            (" https://evil.example/", "evil.example"),
            ("https://ev\til.example/", "evil.example"),
            ("https://0x7f.1/", "127.0.0.1"),
            ("https://%65vil.example:8443/", "evil.example:8443"),
        ] {
            assert_eq!(of("acme.login.url", text), [(host.to_owned(), false)], "{text}");
        }
        for plain in [
            "https://a.example",
            "https://a.example/ü?x=@b.example",
            "https://a.example:443/",
            "http://127.0.0.1:8080/x",
            "https://[::1]:8443/",
            "https://a.example/${id}",
        ] {
            assert!(of("acme.login.url", plain)[0].1, "{plain}");
        }
        for none in ["", "ü", "foo: bär", "10s", "unix:/run/a.sock", "127.0.0.1:9301"] {
            assert_eq!(of("acme.login.url", none), [], "{none}");
        }
        let list = Value::Array(vec!["api.acme.example".into(), "vendör.example:8443".into()]);
        assert_eq!(
            of("acme.login.hosts", list),
            [
                ("api.acme.example".to_owned(), true),
                ("xn--vendr-mua.example:8443".to_owned(), false)
            ]
        );
    }

    #[test]
    fn hosts_are_found_in_whatever_an_application_takes_for_an_address() {
        for (text, hosts) in [
            ("jdbc:postgresql://db.evil.example/app", &["db.evil.example"][..]),
            ("jdbc:oracle:thin:@//db.evil.example:1521/app", &["db.evil.example:1521"]),
            ("jdbc:sqlserver://db.evil.example:1433;database=x", &["db.evil.example:1433"]),
            ("db.evil.example:5432", &["db.evil.example:5432"]),
            ("db.evil.example", &["db.evil.example"]),
            ("db.evil.example.", &["db.evil.example"]),
            ("10.0.0.7", &["10.0.0.7"]),
            ("localhost:6379", &["localhost:6379"]),
            ("a.example:9092,b.example:9092", &["a.example:9092", "b.example:9092"]),
            ("u:p@tcp(db.evil.example:3306)/app", &["db.evil.example:3306"]),
            ("host=db.evil.example port=5432", &["db.evil.example"]),
            ("vendör.example", &["xn--vendr-mua.example"]),
            ("DB.evil.example", &["db.evil.example"]),
            ("[2001:db8::1]:5432", &["[2001:db8::1]:5432"]),
            ("2001:db8::1", &["[2001:db8::1]"]),
            ("db:5432", &["db:5432"]),
            ("jdbc:postgresql://db/app", &["db"]),
            ("u@tcp(2130706433:3306)/x", &["127.0.0.1:3306"]),
            ("evil.xn--p1ai", &["evil.xn--p1ai"]),
            ("//files/share", &["files"]),
            (r"\\files\share", &["files"]),
            ("10:30", &[]),
            ("10s", &[]),
            ("1.5", &[]),
            ("1.2.3", &[]),
            ("true", &[]),
            ("a sentence. Another one", &[]),
        ] {
            let found: Vec<String> = of("db.url", text).into_iter().map(|(host, _)| host).collect();
            assert_eq!(found, hosts, "{text}");
        }
    }

    #[test]
    fn a_writer_refuses_new_hosts_that_are_not_ascii() {
        let doc = |text: &str| Document::parse(text.to_owned()).unwrap();
        let check = |old: &str, new: &str| refuse_unclear_hosts(&doc(old), &doc(new));
        for (bad, host) in [
            ("[a.login]\nurl = \"https://vendör.example/\"", "xn--vendr-mua.example"),
            ("[a.login]\nurl = \"https://evil\\u3002example/\"", "evil.example"),
            ("[a.login]\nurl = \"https://vend%C3%B6r.example/\"", "xn--vendr-mua.example"),
            ("[a.login]\nurl = \"https://u:p@vendör.example/\"", "xn--vendr-mua.example"),
            ("[a.login.before]\nurl = \"https://vendör.example/\"", "xn--vendr-mua.example"),
            ("[a.login]\nlogout = { url = \"https://vendör.example/\" }", "xn--vendr-mua.example"),
            ("[a.login]\nhosts = [\"a.example\", \"vendör.example\"]", "xn--vendr-mua.example"),
            ("[a.login]\nproxy = \"http://vendör.example:3128\"", "xn--vendr-mua.example:3128"),
            ("[a.route]\nupstream = \"https://vendör.example/\"", "xn--vendr-mua.example"),
            ("[fleet]\nstore.peer = \"https://vendör.example/\"", "xn--vendr-mua.example"),
            ("[fleet.store]\nurl = \"redis://vendör.example/\"", "xn--vendr-mua.example"),
        ] {
            let error = check("", bad).unwrap_err();
            assert_eq!(error.kind(), Kind::Conflict, "{bad}");
            assert!(error.what().ends_with(&format!("it is {host}")), "{bad}: {error}");
            assert!(error.property().is_some());
            assert!(check(bad, bad).is_ok(), "an unchanged host stays: {bad}");
        }
        assert!(check("", "[a.login]\nurl = \"https://-ü-\\u0000/\"").is_err());
        for good in [
            "[a.login]\nurl = \"https://xn--vendr-mua.example/ü\"\njson = { u = \"https://ü.example\" }\nheaders = { Referer = \"https://ü.example/\" }",
            "title = \"https://ü.example/\"\n[acme]\nurl = \"https://ü.example/\"",
            "[a.login]\nurl = \"ü\"",
        ] {
            assert!(check("", good).is_ok(), "{good}");
        }
    }
}

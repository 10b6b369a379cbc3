//! Finds the tables of a file that are login profiles, and the keys of each profile, with `like`
//! resolved.

use crate::error::{Error, Kind, Result};
use crate::file::verified::VerifiedFile;
use crate::profile::Profile;
use crate::profile::keys::PROFILE_KEYS;
use crate::profile::request::Basic;
use crate::shown::{shell_word, some_names};
use crate::text::document::Property;
use crate::text::path::PropertyPath;
use std::borrow::Cow;
use std::collections::{BTreeSet, HashSet};
use toml::{Table, Value};

/// The maximum length of all values of one settings table together, in bytes. An array needs a
/// hundred times the memory of its text, and anyone can sign a file.
const MAX_SETTINGS: usize = 256 << 10;

impl Profile {
    /// The tables among `names` that contain a login profile by the rule of
    /// [`VerifiedFile::profiles`], for a text that is not sealed yet. `property` returns the value
    /// of a property.
    ///
    /// ```
    /// # use bootseal_core::*;
    /// use std::borrow::Cow;
    ///
    /// let plain = PlainDocument::parse("[acme.login]\nulr = \"https://a.example/\"\nform = { user = \"${username}\" }\n".into())?;
    /// let names: Vec<_> = plain.names().map(|(path, _)| path).collect();
    /// let names: Vec<_> = names.iter().collect();
    /// let property = |path: &PropertyPath| {
    ///     Some(Cow::Owned(Property::Readable(plain.property(path)?.value)))
    /// };
    /// let tables: Vec<_> = Profile::tables(&names, property).iter().map(ToString::to_string).collect();
    /// assert_eq!(tables, ["acme"]);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn tables<'a>(
        names: &[&'a PropertyPath],
        property: impl Fn(&PropertyPath) -> Option<Cow<'a, Property>>,
    ) -> BTreeSet<PropertyPath> {
        let has_all = |table: &[String], needed: [&str; 2]| {
            let path = |name: &str| PropertyPath::new([table, &[name.to_owned()]].concat());
            needed.iter().all(|name| path(name).is_ok_and(|path| property(&path).is_some()))
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
                key => PROFILE_KEYS.iter().any(|known| known.marks_profile && known.name == key),
            }
        };
        let logins = |path: &'a PropertyPath| {
            let segments = path.segments().iter().enumerate().skip(1);
            segments.filter(|(_, segment)| *segment == "login").map(move |(at, _)| (path, at))
        };
        let found = names.iter().copied().flat_map(logins).filter(|(path, at)| tells(path, *at));
        let found: HashSet<&[String]> = found.map(|(path, at)| &path.segments()[..at]).collect();
        // The body that a login sends may itself contain a table called `login`.
        let sent = |table: &[String]| {
            (1..table.len()).any(|at| table[at] == "login" && found.contains(&table[..at]))
        };
        let own = found.iter().filter(|table| !sent(table));
        own.filter_map(|table| PropertyPath::new(table.to_vec()).ok()).collect()
    }
}

impl VerifiedFile {
    /// The tables that contain a login profile: `acme` for `[acme.login]`. The content is not
    /// checked; see [`Profile::read`].
    ///
    /// A table `login` inside another table is a profile if it has `url` or `like`. To report a
    /// misspelt `url`, the table is also a profile if it has a key that only profiles have, a
    /// `${name}` in a value that would be sent, or `basic` and the two values for it.
    ///
    /// ```
    /// # let (_, file) = bootseal_fixtures::file("[acme.login]\nurl = \"https://auth.acme.example/\"\n");
    /// let tables: Vec<_> = file.profiles().iter().map(ToString::to_string).collect();
    /// assert_eq!(tables, ["acme"]);
    /// ```
    pub fn profiles(&self) -> BTreeSet<PropertyPath> {
        let below_login = |path: &PropertyPath| path.segments().iter().any(|name| name == "login");
        let names: Vec<_> =
            self.names().map(|(path, _)| path).filter(|path| below_login(path)).collect();
        let names: Vec<_> = names.iter().collect();
        Profile::tables(&names, |path| self.property(path).map(Cow::Owned))
    }

    /// All properties below `table`, as TOML; `None` if there are none. Fails if one of them is
    /// sealed.
    pub(crate) fn readable_table(&self, table: &PropertyPath) -> Result<Option<Table>> {
        let mut whole = Table::new();
        if self.document.length_below(table.segments()) > MAX_SETTINGS {
            return Err(Error::malformed(format!(
                "the values of the table `{table}` have more than 256 KiB in total, the limit of a settings table"
            ))
            .at(table));
        }
        for (path, property) in self.document.below(table.segments()) {
            let Some(inner) = path.segments().strip_prefix(table.segments()) else { continue };
            let Property::Readable(value) = property else {
                return Err(Error::malformed("is sealed; login profiles and routes must be readable, so that a review sees where a password is sent").at(&path));
            };
            let Some((last, above)) = inner.split_last() else { continue };
            let mut at = &mut whole;
            for segment in above {
                let Value::Table(next) =
                    at.entry(segment.clone()).or_insert_with(|| Value::Table(Table::new()))
                else {
                    return Err(Error::malformed("is both a value and a table").at(&path));
                };
                at = next;
            }
            at.insert(last.clone(), value);
        }
        // Empty tables are included, because `callers = {}` is a mistake to report, not a missing
        // key.
        for path in self.document.empty_below(table.segments()) {
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
            "Create one: bootseal profile {} --preset KIND (bootseal profile --list shows the kinds), or write a table [{table}.login].",
            shell_word(table)
        ),
        known => format!("The file has profiles for: {}.", some_names(known)),
    };
    Error::new(
        Kind::NotFound,
        format!("no login profile `{table}`: the file has no table [{table}.login]"),
    )
    .with_help(help)
}

/// The keys of the login table of `table`, completed by those of the profile that `like` names.
pub(super) fn written(
    file: &VerifiedFile,
    table: &PropertyPath,
    seen: &mut Vec<PropertyPath>,
) -> Result<Table> {
    let login = table.child("login")?;
    let Some(mut own) = file.readable_table(&login)? else {
        return Err(no_profile(file, table));
    };
    let Some(like) = own.remove("like") else { return Ok(own) };
    let wrong = |what: &str| Error::malformed(format!("`{login}.like` {what}"));
    let Value::String(like) = like else {
        return Err(wrong("must be the name of a table, such as \"acme\""));
    };
    let like: PropertyPath =
        like.parse().map_err(|_| wrong("must be the name of a table, such as \"acme\""))?;
    seen.push(table.clone());
    if seen.contains(&like) {
        return Err(wrong("forms a cycle"));
    }
    if seen.len() > 4 {
        return Err(wrong("leads through more than four profiles"));
    }
    let mut whole = written(file, &like, seen)?;
    if own.contains_key("json") || own.contains_key("form") {
        whole.remove("json");
        whole.remove("form");
    }
    whole.extend(own);
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::identity::Identity;
    use crate::file::header::{Access, Role};
    use crate::file::sealed::SealedFile;
    use crate::profile::tests::{VALUES, whole};
    use crate::vault::Vault;
    use std::time::Duration;

    #[test]
    fn a_misspelt_url_is_reported_and_an_unrelated_login_table_is_no_profile() {
        let file = |text: &str| {
            let access = vec![
                Access::new("me", Role::Writer, Identity::generate().unwrap().recipient()).unwrap(),
            ];
            let text = Vault::create(access, text).unwrap().sign().unwrap();
            SealedFile::parse(text.into_bytes()).unwrap().verify(&[]).unwrap()
        };
        for (login, help) in [
            (
                "ulr = \"https://a.example/\"\njson = { user = \"${username}\" }",
                "Did you mean `url` instead of `ulr`?",
            ),
            ("URL = \"https://a.example/\"\nbasic = true", "Did you mean `url` instead of `URL`?"),
            (
                "uri = \"https://a.example/\"\nform = { a = \"${password}\" }",
                "Did you mean `url` instead of `uri`?",
            ),
            (
                "address = \"https://a.example/\"\ninject = { header = \"X\", value = \"${token}\" }",
                "",
            ),
            ("lik = \"other\"\nmax_age = \"5m\"\nrejected_status = [403]", ""),
        ] {
            let file = file(&format!("{VALUES}[acme.login]\n{login}\n"));
            assert_eq!(file.profiles().len(), 1, "{login}");
            let error = Profile::read(&file, &"acme".parse().unwrap()).unwrap_err();
            assert_eq!(error.what(), "`acme.login.url` is missing", "{login}");
            assert_eq!(error.help().unwrap_or_default(), help, "{login}");
        }
        let file_of = |login: &str| {
            file(&format!("{VALUES}[acme.login]\nurl = \"https://a.example/\"\n{login}\n"))
        };
        for (login, what, help) in [
            (
                "jsn = { a = \"${password}\" }",
                "`acme.login.jsn` is not a key that this version knows",
                "Did you mean `json`?",
            ),
            (
                "bsic = true",
                "`acme.login.bsic` is not a key that this version knows",
                "Did you mean `basic`?",
            ),
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
    fn like_follows_several_profiles_and_a_body_replaces_the_inherited_body() {
        let other = "[b.login]\nlike = \"c\"\nmax_age = \"1h\"\n[c.login]\nurl = \"https://c.example/\"\njson = { u = \"${username}\" }\nmax_age = \"2h\"\nskew = \"5s\"\n";
        let profile = whole(&format!(
            "{VALUES}[acme.login]\nlike = \"b\"\nform = {{ p = \"${{password}}\" }}\n{other}"
        ))
        .unwrap();
        assert_eq!(
            (profile.max_age, profile.skew),
            (Duration::from_secs(3600), Duration::from_secs(5))
        );
        assert_eq!(profile.value_names().into_iter().collect::<Vec<_>>(), ["password"]);
        assert_eq!(
            profile.canonical(),
            r#"{"form":{"p":"${password}"},"max_age":"1h","skew":"5s","url":"https://c.example/"}"#
        );
    }
}

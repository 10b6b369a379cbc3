//! Checks of a login profile as a whole: what it sends, where the token goes, and that every
//! `${name}` has a value.

use crate::error::{Error, Result};
use crate::file::verified::VerifiedFile;
use crate::profile::Profile;
use crate::profile::extract::ResponsePlace;
use crate::profile::request::Call;
use crate::shown::shell_word;
use crate::text::document::Property;
use crate::text::table_reader::Fields;
use std::collections::BTreeSet;
use toml::Value;

impl Profile {
    /// Checks that the profile is complete and consistent; `fields` names the table in errors.
    pub(super) fn check(&self, file: &VerifiedFile, fields: &Fields) -> Result<()> {
        if self.ca.as_ref().is_some_and(|ca| !ca.contains("-----BEGIN CERTIFICATE-----")) {
            return Err(
                fields.error("ca", "must contain PEM certificates (-----BEGIN CERTIFICATE-----)")
            );
        }
        if self.renew_from_answers
            && !matches!(self.token, ResponsePlace::Header(_) | ResponsePlace::Cookie(_))
        {
            return Err(fields.error(
                "renew_from_answers",
                "needs a token in a header or a cookie: the bodies of ordinary responses belong to the caller",
            ));
        }
        if let Some(logout) = &self.logout {
            let url = logout.url.base();
            if url.origin() != self.login.url.base().origin() && !self.allows(url) {
                return Err(fields.error(
                    "logout",
                    "has a `url` whose host is not among `hosts`: the token would be sent there",
                ));
            }
        }
        if self.login.names().is_empty() && self.client_cert.is_none() {
            let nothing = fields
                .error("json", "is missing, and no other key sends the credentials")
                .with_help("Set what is sent: json = { user = \"${username}\", password = \"${password}\" }, or form = { … }, or basic = true.");
            // A misspelt key is the more likely reason.
            fields.check_finished()?;
            return Err(nothing);
        }
        self.check_names(file, fields)
    }

    /// Checks that every `${name}` is a value of the table or was captured by an earlier response,
    /// and that every captured value is used.
    fn check_names(&self, file: &VerifiedFile, fields: &Fields) -> Result<()> {
        let captured = |call: &Option<Call>| -> BTreeSet<String> {
            call.iter().flat_map(|call| &call.capture).map(|capture| capture.name.clone()).collect()
        };
        let before = captured(&self.before);
        let totp = self.totp.iter().map(|_| "totp".to_owned());
        let login: BTreeSet<String> = before.iter().cloned().chain(totp).collect();
        let after: BTreeSet<String> = before
            .into_iter()
            .chain(captured(&Some(self.login.clone())))
            .chain(captured(&self.refresh))
            .collect();
        for name in &after {
            if file.is_sealed(&self.table.child(name)?).is_some() {
                return Err(fields.error(
                    "capture",
                    format_args!(
                        "captures `{name}`, but the table `{}` has a value of that name",
                        self.table
                    ),
                ));
            }
        }
        let with_token: BTreeSet<String> = after.iter().cloned().chain(["token".into()]).collect();
        let nothing = BTreeSet::new();
        let inject: BTreeSet<&str> =
            self.inject.iter().flat_map(|(_, template)| template.names()).collect();
        let mut used = BTreeSet::new();
        let mut check = |key: &str,
                         names: BTreeSet<&str>,
                         urls: Vec<&str>,
                         known: &BTreeSet<String>|
         -> Result<()> {
            self.check_uses(file, fields, key, (&names, &urls[..]), known)?;
            used.extend(names.into_iter().chain(urls).map(str::to_owned));
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
        self.check_all_used(file, fields, &login.iter().chain(&after).collect::<Vec<_>>(), &used)
    }

    /// Checks that every captured or provided value is used, and that every other named value
    /// exists.
    fn check_all_used(
        &self,
        file: &VerifiedFile,
        fields: &Fields,
        given: &[&String],
        used: &BTreeSet<String>,
    ) -> Result<()> {
        if let Some(name) = given.iter().find(|name| !used.contains(**name)) {
            let key = if *name == "totp" { "totp" } else { "capture" };
            return Err(fields
                .error(key, format_args!("provides `{name}`, but nothing uses it"))
                .with_help(format!("Use it as ${{{name}}}, or remove it.")));
        }
        let others = self.client_cert.iter().flat_map(|names| [&names.cert, &names.key]);
        for name in others.chain(self.totp.iter().map(|totp| &totp.seed)) {
            self.check_value(file, fields, name)?;
        }
        for (name, _) in &self.next {
            if !used.contains(name) {
                return Err(fields.error(
                    "next",
                    format_args!("replaces `{name}`, which the login does not use"),
                ));
            }
        }
        Ok(())
    }

    /// Checks the names that one request uses. Its URL may contain only captured values; other
    /// parts may also contain values of the table.
    fn check_uses(
        &self,
        file: &VerifiedFile,
        fields: &Fields,
        key: &str,
        (names, urls): (&BTreeSet<&str>, &[&str]),
        known: &BTreeSet<String>,
    ) -> Result<()> {
        for name in urls {
            if !known.contains(*name) || *name == "token" || *name == "totp" {
                return Err(fields.error(
                    key,
                    format_args!("has ${{{name}}} in its `url`; only captured values can be used there, and this value was not captured"),
                ));
            }
        }
        for name in names {
            let cannot = |what: &str| {
                let place = if key == "url" { String::new() } else { format!(".{key}") };
                Error::malformed(format!("`{}.login{place}` uses ${{{name}}}{what}", self.table))
            };
            match *name {
                name if known.contains(name) => {}
                "token" => {
                    return Err(cannot(
                        ", which exists only after a login, in `inject` and `logout`",
                    ));
                }
                "totp" => {
                    return Err(cannot(
                        ": a one-time code is sent once, with the login itself, and needs the key `totp`",
                    ));
                }
                name => self.check_value(file, fields, name)?,
            }
        }
        Ok(())
    }

    fn check_value(&self, file: &VerifiedFile, fields: &Fields, name: &str) -> Result<()> {
        let (table, login) = (&self.table, self.table.child("login")?);
        match file.property(&table.child(name)?) {
            Some(
                Property::Sealed(_) | Property::Readable(Value::String(_) | Value::Integer(_)),
            ) => Ok(()),
            Some(Property::Readable(_)) => Err(fields.error(
                "json",
                format_args!("uses ${{{name}}}, which is neither text nor a number"),
            )),
            None => Err(Error::malformed(format!(
                "`{login}` uses ${{{name}}}, but the table `{table}` has no such value"
            ))
            .with_help(format!("Seal it: bootseal set {}", shell_word(table.child(name)?)))),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::profile::tests::read;

    #[test]
    #[allow(clippy::too_many_lines, reason = "a table")]
    fn each_mistake_has_its_own_error() {
        let basic = "basic = true\n";
        for (login, words) in [
            ("capture = [ { cookie = \"R\" } ]", "provides `R`, but nothing uses it"),
            ("capture = [ { json = \"/id\" } ]", "it names the value"),
            ("capture = [ { json = \"/id\", as = \"token\" } ]", "neither `token` nor `totp`"),
            ("capture = [ { json = \"/id\", as = \"password\" } ]", "has a value of that name"),
            (
                "capture = [ { json = \"/a\", as = \"a\" }, { json = \"/b\", as = \"a\" } ]",
                "is `a` twice",
            ),
            ("capture = [ { json = \"/id\", header = \"X\", as = \"a\" } ]", "exactly one of them"),
            ("capture = [ { jsn = \"/id\" } ]", "exactly one of them"),
            ("headers = { X = \"${csrf}\" }", "has no such value"),
            ("headers = { X = \"${list}\" }", "neither text nor a number"),
            ("headers = { X = \"a\\u001bb\" }", "not one line of text"),
            (
                "headers = { X = \"${token}\" }",
                "`acme.login` uses ${token}, which exists only after a login",
            ),
            ("headers = { X = \"${totp}\" }", "needs the key `totp`"),
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
            (
                "refused_when = { json = \"/e\", equals = \"x\", contains = \"y\" }",
                "cannot be combined with `equals`",
            ),
            ("rejected_when = { json = \"e\" }", "JSON pointer"),
            ("rejected_when = { json = \"/e\", contains = \"\" }", "is empty"),
            ("rejected_when = { json = \"/e\", equls = \"\" }", "Did you mean `equals`"),
            ("renew_from_answers = true", "needs a token in a header or a cookie"),
            ("inject = { header = \"X\" , value = \"x\" }", "${token} exactly once"),
            (
                "inject = [ { value = \"${token}\" }, { header = \"authorization\", value = \"x\" } ]",
                "twice",
            ),
            ("proxy = \"socks5://p.example\"", "must have the form"),
            ("proxy = \"http://u:p@p.example\"", "contains credentials"),
            ("client_cert = \"${password}\"", "`acme.login.client_key` is missing"),
            (
                "client_cert = \"cert.pem\"\nclient_key = \"${password}\"",
                "no profile key takes a file name",
            ),
            ("next = { password = \"password\" }", "another value"),
            ("next = { otp = \"password\" }", "the login does not use"),
            ("totp = { seed = \"otp\" }", "provides `totp`, but nothing uses it"),
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
            ("like = \"acme\"", "cycle"),
            ("like = \"orders\"", "no login profile `orders`"),
            ("like = 7", "name of a table"),
            ("share = \"no\"", "true or false"),
            ("http2 = 2", "true or false"),
        ] {
            let error = read(&format!("{basic}{login}")).unwrap_err();
            assert!(error.to_string().contains(words), "{login}\n{words}\n{error}");
        }
    }
}

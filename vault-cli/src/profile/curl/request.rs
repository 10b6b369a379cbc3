//! What of a request is secret, and what would a profile send in its place? User and password become `${username}` and `${password}`.

use crate::profile::curl::line::{Data, Line};
use crate::profile::curl::words::Word;
use crate::ui::failure::{Failure, Result};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bootseal_core::{Kind, Secret, Shown};
use serde_json::Value as Json;
use toml::{Table, Value};
use url::Url;
use zeroize::{Zeroize, Zeroizing};

/// A login profile, as a request showed it.
pub(crate) struct Login {
    pub(crate) url: Url,
    pub(crate) table: Table,
    pub(crate) sealed: Vec<(String, Secret)>,
    /// What the line has only a placeholder for.
    pub(crate) missing: Vec<String>,
    pub(crate) left_out: Vec<&'static str>,
}

/// Which fields hold user and password, where someone said so.
pub(crate) struct Wanted<'a> {
    pub(crate) username: Option<&'a str>,
    pub(crate) password: Option<&'a str>,
}

/// What is asked where it is not clear.
#[derive(Clone, Copy)]
pub(crate) enum Field {
    Username,
    Password,
}

/// Says which of some fields is meant; nothing where none is.
pub(crate) type Ask<'a> = dyn FnMut(Field, &[&str]) -> Result<Option<String>> + 'a;

/// Name and value of a header.
type Header = (String, Word);

/// A text in the body.
struct Leaf {
    /// As it is shown: `user.name`.
    name: String,
    /// What it is called where it stands.
    key: String,
    text: Word,
    /// What is filled in there, once that is known.
    role: Option<String>,
}

enum Shape {
    Nothing,
    /// Strings are numbers of leaves.
    Json(Value),
    Form(Vec<(String, usize)>),
}

/// Marks the place of a leaf in [`Shape::Json`]; no text of a body is left in it.
const LEAF: &str = "leaf ";

/// Takes `line` apart. What is not clear is asked.
pub(crate) fn recognise(line: Line, wanted: &Wanted<'_>, ask: &mut Ask<'_>) -> Result<Login> {
    let Line { url, method, headers, data, json, user, proxy, mut left_out } = line;
    let url = url.ok_or_else(|| refused("has no address"))?;
    let (url, in_url) = address(&url)?;
    let (headers, in_header) = sort_headers(headers, &mut left_out)?;
    let content_type = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    let said = content_type.map(|(_, value)| value.to_ascii_lowercase());
    let (shape, mut leaves) = body(&data, json || said.as_ref().is_some_and(|kind| kind.contains("json")))?;
    let mut login = Login { url, table: Table::new(), sealed: Vec::new(), missing: Vec::new(), left_out };
    let basic = user.or(in_url).or(in_header);
    let oauth = leaves.iter().any(|leaf| leaf.key == "grant_type");
    give_roles(&mut leaves, basic.is_some(), oauth, wanted, ask)?;

    let mut table = Table::new();
    table.insert("url".into(), Value::String(login.url.to_string()));
    let sends = !matches!(shape, Shape::Nothing);
    let method = method.unwrap_or_else(|| if sends { "POST" } else { "GET" }.into());
    if method != "POST" {
        table.insert("method".into(), method.into());
    }
    if let Some(both) = basic {
        let (who, proof) = match both.split_once(':') {
            Some((who, proof)) => (who, proof),
            None => (both.as_str(), ""),
        };
        let names = if oauth { ["client_id", "client_secret"] } else { ["username", "password"] };
        for (name, text) in names.into_iter().zip([who, proof]) {
            login.seal(name, text)?;
        }
        table.insert("basic".into(), if oauth { "oauth".into() } else { true.into() });
    }
    for leaf in &leaves {
        if let Some(role) = &leaf.role {
            login.seal(role, &leaf.text)?;
        } else if leaf.text.contains("${") {
            let what = format!("has `${{…}}` in its field `{}`: put in what it stands for", Shown(&leaf.name));
            return Err(refused(&what));
        }
    }
    match shape {
        Shape::Nothing => {}
        Shape::Json(mut value) => {
            fill(&mut value, &leaves);
            table.insert("json".into(), value);
        }
        Shape::Form(pairs) => {
            let form = pairs.into_iter().map(|(name, index)| (name, Value::String(leaves[index].shown())));
            table.insert("form".into(), Value::Table(form.collect()));
        }
    }
    let implied = |name: &str, value: &str| match name.to_ascii_lowercase().as_str() {
        "content-type" => {
            ["application/json", "application/x-www-form-urlencoded"].iter().any(|known| value.starts_with(known))
        }
        _ => false,
    };
    let mut kept = Table::new();
    for (name, value) in headers {
        if implied(&name, &value) {
            continue;
        }
        let plain = squeezed(&name);
        if ["auth", "key", "token", "secret", "session", "password"].iter().any(|word| plain.contains(word)) {
            let role = name.to_ascii_lowercase().replace(|other: char| !other.is_ascii_alphanumeric(), "_");
            login.seal(&role, &value)?;
            kept.insert(name, format!("${{{role}}}").into());
        } else if value.contains("${") {
            return Err(refused("has `${…}` in a header: put in what it stands for"));
        } else {
            kept.insert(name, value.to_string().into());
        }
    }
    if !kept.is_empty() {
        table.insert("headers".into(), kept.into());
    }
    if let Some(proxy) = proxy {
        let proxy = if proxy.contains("://") { proxy } else { format!("http://{proxy}") };
        table.insert("proxy".into(), proxy.into());
    }
    login.table = table;
    Ok(login)
}

impl Login {
    fn seal(&mut self, name: &str, text: &str) -> Result<()> {
        if is_placeholder(text) {
            self.missing.push(name.to_owned());
        } else {
            self.sealed.push((name.to_owned(), Secret::copy_of(text.as_bytes())?));
        }
        Ok(())
    }
}

impl Leaf {
    /// What a profile has in its place.
    fn shown(&self) -> String {
        self.role.as_ref().map_or_else(|| self.text.to_string(), |role| format!("${{{role}}}"))
    }
}

fn refused(what: &str) -> Failure {
    Failure::new(Kind::Usage, format!("the curl line {what}"))
}

/// What a document has where a reader puts in a secret of their own.
fn is_placeholder(text: &str) -> bool {
    let marked = [("<", ">"), ("{{", "}}"), ("[", "]"), ("${", "}"), ("%", "%")];
    let variable = text.strip_prefix('$').is_some_and(|name| {
        name.starts_with(|first: char| first.is_ascii_uppercase() || first == '_')
            && name.chars().all(|next| next.is_ascii_uppercase() || next.is_ascii_digit() || next == '_')
    });
    let filler = text.chars().all(|next| "*.x…X".contains(next));
    let yours = ["your_", "your-", "your ", "my_password"].iter().any(|word| text.to_lowercase().starts_with(word));
    variable
        || filler
        || yours
        || marked.iter().any(|(open, close)| text.len() > 2 && text.starts_with(open) && text.ends_with(close))
}

/// The address without what stands in it beside the host, and the user that curl takes from there.
fn address(text: &str) -> Result<(Url, Option<Word>)> {
    let whole = Zeroizing::new(if text.contains("://") { text.to_owned() } else { format!("http://{text}") });
    let mut url = Url::parse(&whole).map_err(|_| refused("has an address that is no URL"))?;
    url.set_fragment(None);
    let secret = url.query_pairs().any(|(name, _)| is_password(&squeezed(&name)) || is_secret(&squeezed(&name)));
    if secret {
        let what =
            "has a secret in its address, where every log keeps it: a profile sends secrets in the body or a header";
        return Err(refused(what).with_help("Ask the vendor for another way, and change that secret."));
    }
    if whole.contains("${") || whole.contains('<') {
        return Err(refused("has a placeholder in its address: put in what it stands for"));
    }
    let decoded = |text: &str| -> String {
        let form = Zeroizing::new(format!("v={}", text.replace('+', "%2B")));
        let value = url::form_urlencoded::parse(form.as_bytes()).next();
        value.map(|(_, value)| value.into_owned()).unwrap_or_default()
    };
    let user = (!url.username().is_empty()).then(|| {
        Zeroizing::new(format!("{}:{}", decoded(url.username()), decoded(url.password().unwrap_or_default())))
    });
    let _ = url.set_username("");
    let _ = url.set_password(None);
    Ok((url, user))
}

/// The headers that matter to a vendor, and the user of HTTP Basic.
fn sort_headers(headers: Vec<Header>, left_out: &mut Vec<&'static str>) -> Result<(Vec<Header>, Option<Word>)> {
    let (mut kept, mut user) = (Vec::new(), None);
    for (name, value) in headers {
        let lower = name.to_ascii_lowercase();
        match lower.as_str() {
            "authorization" if value.to_ascii_lowercase().starts_with("basic ") => {
                let both = BASE64_STANDARD.decode(value[6..].trim()).ok().and_then(|both| String::from_utf8(both).ok());
                user = Some(Zeroizing::new(both.ok_or_else(|| refused("has an Authorization that is no HTTP Basic"))?));
            }
            "cookie" => left_out.push("cookies: they are one browser's; `before` fetches what the login itself needs"),
            _ if lower.contains("csrf") || lower.contains("xsrf") => {
                left_out.push("a CSRF token, which is good once: `before` fetches one ahead of each login");
            }
            // What browsers and curl add of their own.
            "user-agent"
            | "referer"
            | "connection"
            | "host"
            | "content-length"
            | "cache-control"
            | "pragma"
            | "priority"
            | "dnt"
            | "upgrade-insecure-requests"
            | "te"
            | "expect" => {}
            _ if lower.starts_with("sec-") || lower.starts_with("accept") && !is_own_accept(&lower, &value) => {}
            _ => kept.push((name, value)),
        }
    }
    Ok((kept, user))
}

/// `Accept: application/vnd.acme.v2+json`: some vendors insist.
fn is_own_accept(name: &str, value: &str) -> bool {
    name == "accept" && !value.contains(',') && !["*/*", "application/json"].contains(&value)
}

fn body(data: &[Data], is_json: bool) -> Result<(Shape, Vec<Leaf>)> {
    if data.is_empty() {
        return Ok((Shape::Nothing, Vec::new()));
    }
    let mut whole = Zeroizing::new(String::new());
    for piece in data {
        if let Data::Raw(text) = piece {
            if !whole.is_empty() && !is_json {
                whole.push('&');
            }
            whole.push_str(text);
        }
    }
    let mut leaves = Vec::new();
    if is_json || whole.trim_start().starts_with('{') {
        let json = serde_json::from_str::<Json>(&whole).map_err(|error| {
            refused(&format!("has a body that is not JSON (column {} of it)", error.column()))
                .with_help("Is a quote missing, or a backslash?")
        })?;
        let json = Wiped(json);
        if !json.0.is_object() {
            return Err(refused("has a body that is no JSON object"));
        }
        let value = collect(&json.0, &mut Vec::new(), &mut leaves)?;
        return Ok((Shape::Json(value), leaves));
    }
    let mut pairs: Vec<(String, Word)> = url::form_urlencoded::parse(whole.as_bytes())
        .map(|(name, value)| (name.into_owned(), Zeroizing::new(value.into_owned())))
        .collect();
    for piece in data {
        match piece {
            Data::Pair(name, _) if name.is_empty() => return Err(refused("has --data-urlencode without a name")),
            Data::Pair(name, content) => pairs.push((name.to_string(), content.clone())),
            Data::Raw(_) => {}
        }
    }
    let mut form: Vec<(String, usize)> = Vec::new();
    for (name, text) in pairs {
        if form.iter().any(|(other, _)| *other == name) {
            return Err(refused(&format!("has the field `{}` twice", Shown(&name))));
        }
        form.push((name.clone(), leaves.len()));
        leaves.push(Leaf { key: name.clone(), name, text, role: None });
    }
    Ok((Shape::Form(form), leaves))
}

/// JSON whose texts are wiped when it goes.
struct Wiped(Json);

impl Drop for Wiped {
    fn drop(&mut self) {
        fn wipe(value: &mut Json) {
            match value {
                Json::String(text) => text.zeroize(),
                Json::Array(list) => list.iter_mut().for_each(wipe),
                Json::Object(object) => object.iter_mut().for_each(|(_, value)| wipe(value)),
                _ => {}
            }
        }
        wipe(&mut self.0);
    }
}

fn collect(json: &Json, path: &mut Vec<String>, leaves: &mut Vec<Leaf>) -> Result<Value> {
    let here = || Shown(&path.join(".")).to_string();
    Ok(match json {
        Json::Null => {
            return Err(
                refused(&format!("has null at `{}`, which a profile cannot send", here())).with_help("Leave it out.")
            );
        }
        Json::Bool(value) => Value::Boolean(*value),
        Json::Number(number) => {
            let key = path.last().map(|key| squeezed(key)).unwrap_or_default();
            if is_password(&key) || is_secret(&key) {
                let what = format!("has a number as `{}`; a profile sends secrets as text only", here());
                return Err(refused(&what).with_help("Try the login with quotes around it."));
            }
            match (number.as_i64(), number.as_f64()) {
                (Some(integer), _) => Value::Integer(integer),
                (None, Some(float)) => Value::Float(float),
                _ => return Err(refused("has a number that is too large")),
            }
        }
        Json::String(text) => {
            let key = path.iter().rev().find(|step| step.parse::<usize>().is_err()).cloned().unwrap_or_default();
            leaves.push(Leaf { name: path.join("."), key, text: Zeroizing::new(text.clone()), role: None });
            Value::String(format!("{LEAF}{}", leaves.len() - 1))
        }
        Json::Array(list) => {
            let mut array = Vec::new();
            for (index, element) in list.iter().enumerate() {
                path.push(index.to_string());
                array.push(collect(element, path, leaves)?);
                path.pop();
            }
            Value::Array(array)
        }
        Json::Object(object) => {
            let mut table = Table::new();
            for (key, member) in object {
                path.push(key.clone());
                table.insert(key.clone(), collect(member, path, leaves)?);
                path.pop();
            }
            Value::Table(table)
        }
    })
}

fn fill(value: &mut Value, leaves: &[Leaf]) {
    match value {
        Value::String(text) => {
            let leaf = text.strip_prefix(LEAF).and_then(|index| leaves.get(index.parse::<usize>().ok()?));
            if let Some(leaf) = leaf {
                *text = leaf.shown();
            }
        }
        Value::Array(array) => array.iter_mut().for_each(|element| fill(element, leaves)),
        Value::Table(table) => table.iter_mut().for_each(|(_, member)| fill(member, leaves)),
        _ => {}
    }
}

/// `User-Name` as `username`.
fn squeezed(name: &str) -> String {
    name.chars().filter(|next| next.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

fn is_password(key: &str) -> bool {
    ["password", "passwd", "pass", "pwd", "passphrase", "passwort", "pin", "pw"].contains(&key)
        || key.ends_with("password")
        || key.ends_with("passwd")
}

/// From the surest on.
const USERS: &[&[&str]] = &[
    &[
        "username",
        "user",
        "login",
        "loginname",
        "userid",
        "uid",
        "account",
        "accountname",
        "identifier",
        "principal",
        "jusername",
        "benutzer",
    ],
    &["email", "mail", "emailaddress", "useremail", "loginid"],
    &["name", "id"],
];

fn is_secret(key: &str) -> bool {
    ["secret", "token", "apikey", "accesskey", "privatekey", "otp", "credential"].iter().any(|word| key.contains(word))
        || key == "key"
}

fn give_roles(leaves: &mut [Leaf], basic: bool, oauth: bool, wanted: &Wanted<'_>, ask: &mut Ask<'_>) -> Result<()> {
    let said = |leaves: &[Leaf], name: &str| -> Result<usize> {
        leaves.iter().position(|leaf| leaf.name == name).ok_or_else(|| {
            let names: Vec<String> = leaves.iter().map(|leaf| Shown(&leaf.name).to_string()).collect();
            refused(&format!("has no field `{}`", Shown(name)))
                .with_help(format!("Its fields are: {}", names.join(", ")))
        })
    };
    // With HTTP Basic for a user, the body's fields are no user and no password.
    let (user_name, password_name) =
        if basic && !oauth { ("body_username", "body_password") } else { ("username", "password") };
    if let Some(name) = wanted.username {
        leaves[said(leaves, name)?].role = Some(user_name.into());
    }
    if let Some(name) = wanted.password {
        leaves[said(leaves, name)?].role = Some(password_name.into());
    }
    for leaf in leaves.iter_mut().filter(|leaf| leaf.role.is_none()) {
        let key = squeezed(&leaf.key);
        if key == "clientid" || key == "clientsecret" {
            leaf.role = Some(if key == "clientid" { "client_id" } else { "client_secret" }.into());
        }
    }
    let proof = |leaves: &[Leaf]| leaves.iter().any(|leaf| leaf.role.as_deref() == Some("client_secret"));
    if wanted.password.is_none() {
        let named: Vec<usize> = (0..leaves.len())
            .filter(|index| leaves[*index].role.is_none() && is_password(&squeezed(&leaves[*index].key)))
            .collect();
        let chosen = match named.as_slice() {
            [only] => Some(*only),
            [] if basic || proof(leaves) => None,
            _ => choose(leaves, &named, Field::Password, ask)?,
        };
        if let Some(index) = chosen {
            leaves[index].role = Some(password_name.into());
        }
    }
    if wanted.username.is_none() {
        let free = |index: &usize| leaves[*index].role.is_none();
        let named = USERS.iter().map(|keys| -> Vec<usize> {
            (0..leaves.len())
                .filter(free)
                .filter(|index| keys.contains(&squeezed(&leaves[*index].key).as_str()))
                .collect()
        });
        let named = named.into_iter().find(|found| !found.is_empty()).unwrap_or_default();
        let chosen = match named.as_slice() {
            [only] => Some(*only),
            [] if basic || proof(leaves) => None,
            _ => choose(leaves, &named, Field::Username, ask)?,
        };
        if let Some(index) = chosen {
            leaves[index].role = Some(user_name.into());
        }
    }
    for index in 0..leaves.len() {
        let key = squeezed(&leaves[index].key);
        if leaves[index].role.is_none() && (is_secret(&key) || is_password(&key)) && key != "granttype" {
            let own = leaves[index].key.to_ascii_lowercase().replace(|other: char| !other.is_ascii_alphanumeric(), "_");
            let taken = leaves.iter().any(|leaf| leaf.role.as_deref() == Some(&own)) || own == "token" || own == "totp";
            leaves[index].role = Some(if taken { format!("{own}_{index}") } else { own });
        }
    }
    if !basic && leaves.iter().all(|leaf| leaf.role.is_none()) {
        return Err(refused("carries no credentials: neither -u nor a field that would be one"));
    }
    Ok(())
}

/// Which of `named`, or of all where there is none.
fn choose(leaves: &[Leaf], named: &[usize], field: Field, ask: &mut Ask<'_>) -> Result<Option<usize>> {
    let all: Vec<usize> = (0..leaves.len()).filter(|index| leaves[*index].role.is_none()).collect();
    let open = if named.is_empty() { all } else { named.to_vec() };
    if open.is_empty() {
        return Ok(None);
    }
    let names: Vec<&str> = open.iter().map(|index| leaves[*index].name.as_str()).collect();
    let chosen = ask(field, &names)?;
    Ok(chosen.and_then(|name| open.into_iter().find(|index| leaves[*index].name == name)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::profile::curl::split;
    use proptest::prelude::*;

    fn made_of(text: &str) -> Result<Login> {
        let wanted = Wanted { username: None, password: None };
        recognise(Line::read(split(text)?)?, &wanted, &mut |_, _| Ok(None))
    }

    #[test]
    fn what_is_to_be_put_in_is_missing_and_not_sealed() {
        for placeholder in
            ["$PASSWORD", "${PASSWORD}", "<password>", "{{password}}", "YOUR_PASSWORD", "***", "%PASSWORD%", ""]
        {
            let line = format!("curl https://a.example --json '{{\"user\":\"bob\",\"password\":\"{placeholder}\"}}'");
            let login = made_of(&line).unwrap();
            let sealed: Vec<_> = login.sealed.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!((login.missing, sealed), (vec!["password".to_owned()], vec!["username"]), "{placeholder}");
        }
        let login = made_of("curl https://a.example -d 'user=b$b&password=$hunter2'").unwrap();
        assert!(login.missing.is_empty());
    }

    proptest! {
        #[test]
        fn no_line_breaks_it_and_no_error_repeats_it(text in "(curl )?[ -~\n^\"'\\\\$=&{}:@]{0,80}", flag in prop::sample::select(vec!["", "-d ", "-u ", "-H ", "--json "])) {
            let line = format!("curl https://a.example {flag}{text}");
            let _ = made_of(&line);
            let _ = made_of(&text);
            if let Err(failure) = made_of(&format!("curl https://a.example {flag}'{{\"hunter2hunter2{text}")) {
                prop_assert!(!failure.text().contains("hunter2hunter2"), "{}", failure.text());
            }
        }
    }
}

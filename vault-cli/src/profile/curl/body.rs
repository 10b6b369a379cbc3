//! The body of a request, split into its strings, each of which may be a secret.

use crate::profile::curl::line::Data;
use crate::profile::curl::names::{is_password, is_secret, squeezed};
use crate::profile::curl::refusal::refused;
use crate::profile::curl::words::Word;
use crate::ui::failure::Result;
use bootseal_core::Shown;
use serde_json::Value as Json;
use toml::{Table, Value};
use zeroize::{Zeroize, Zeroizing};

/// A string in the body.
pub(super) struct Leaf {
    /// The name as it is shown: `user.name`.
    pub(super) name: String,
    /// The last part of the name.
    pub(super) key: String,
    pub(super) text: Word,
    /// The name of the sealed value that replaces the string, once it is known.
    pub(super) role: Option<String>,
}

impl Leaf {
    /// Returns the string for the profile: the string itself, or the placeholder of the sealed
    /// value.
    pub(super) fn shown(&self) -> String {
        self.role.as_ref().map_or_else(|| self.text.to_string(), |role| format!("${{{role}}}"))
    }
}

/// The structure of the body.
pub(super) enum Shape {
    Nothing,
    /// Each string refers to a leaf by its number.
    Json(Value),
    Form(Vec<(String, usize)>),
}

/// Marks the place of a leaf in [`Shape::Json`], from which all strings are removed.
const LEAF: &str = "leaf ";

pub(super) fn body(data: &[Data], is_json: bool) -> Result<(Shape, Vec<Leaf>)> {
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
            refused(&format!(
                "has a body that is not JSON (error at column {} of the body)",
                error.column()
            ))
            .with_help("Check for a missing quote or backslash.")
        })?;
        let json = Wiped(json);
        if !json.0.is_object() {
            return Err(refused("has a body that is not a JSON object"));
        }
        let value = collect(&json.0, &mut Vec::new(), &mut leaves)?;
        return Ok((Shape::Json(value), leaves));
    }
    let mut pairs: Vec<(String, Word)> = url::form_urlencoded::parse(whole.as_bytes())
        .map(|(name, value)| (name.into_owned(), Zeroizing::new(value.into_owned())))
        .collect();
    for piece in data {
        match piece {
            Data::Pair(name, _) if name.is_empty() => {
                return Err(refused("has --data-urlencode without a name"));
            }
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

/// JSON whose strings are wiped on drop.
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
            return Err(refused(&format!("has null at `{}`, which a profile cannot send", here()))
                .with_help("Leave it out."));
        }
        Json::Bool(value) => Value::Boolean(*value),
        Json::Number(number) => {
            let key = path.last().map(|key| squeezed(key)).unwrap_or_default();
            if is_password(&key) || is_secret(&key) {
                let what = format!(
                    "has a number at `{}`, but a profile sends secrets only as strings",
                    here()
                );
                return Err(
                    refused(&what).with_help("Try the login with quotes around the number.")
                );
            }
            match (number.as_i64(), number.as_f64()) {
                (Some(integer), _) => Value::Integer(integer),
                (None, Some(float)) => Value::Float(float),
                _ => return Err(refused("has a number that is too large")),
            }
        }
        Json::String(text) => {
            let key = path
                .iter()
                .rev()
                .find(|step| step.parse::<usize>().is_err())
                .cloned()
                .unwrap_or_default();
            leaves.push(Leaf {
                name: path.join("."),
                key,
                text: Zeroizing::new(text.clone()),
                role: None,
            });
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

/// Replaces the marker of each leaf with its string for the profile.
pub(super) fn fill(value: &mut Value, leaves: &[Leaf]) {
    match value {
        Value::String(text) => {
            let leaf =
                text.strip_prefix(LEAF).and_then(|index| leaves.get(index.parse::<usize>().ok()?));
            if let Some(leaf) = leaf {
                *text = leaf.shown();
            }
        }
        Value::Array(array) => array.iter_mut().for_each(|element| fill(element, leaves)),
        Value::Table(table) => table.iter_mut().for_each(|(_, member)| fill(member, leaves)),
        _ => {}
    }
}

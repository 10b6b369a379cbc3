//! The shape of a login step: whether a request matches it, and the values that the request
//! contains for the profile's `${names}`.

use crate::responses::authorization;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bootseal_core::{Basic, Body, Call, JsonTemplate, Part, Template};
use http::HeaderMap;
use http::header::COOKIE;
use http::request::Parts;
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeMap;
use url::Url;

/// Values by their name.
pub(crate) type Filled = BTreeMap<String, String>;

/// The prefix of the placeholder for a name in a parsed URL; no other text begins with it.
const NAME: &str = "bootseal-name-";

/// The values in the URL, if the request has the URL and the method of `call`.
pub(crate) fn goes_to(call: &Call, head: &Parts) -> Option<Filled> {
    if head.method.as_str() != call.method {
        return None;
    }
    let text = call.url.parts().iter().map(|part| match part {
        Part::Text(text) => text.clone(),
        Part::Name(name) => format!("{NAME}{name}"),
    });
    let meant = Url::parse(&text.collect::<String>()).ok()?;
    let mut filled = Filled::new();
    let (mut meant_steps, mut steps) = (meant.path().split('/'), head.uri.path().split('/'));
    loop {
        match (meant_steps.next(), steps.next()) {
            (None, None) => break,
            (Some(meant), Some(step)) => match meant.strip_prefix(NAME) {
                Some(name) => {
                    // A path is decoded like a form, except for the plus sign.
                    let form = format!("v={}", step.replace('+', "%2B"));
                    let (_, value) = url::form_urlencoded::parse(form.as_bytes()).next()?;
                    filled.insert(name.to_owned(), value.into_owned());
                }
                None if meant == step => {}
                None => return None,
            },
            _ => return None,
        }
    }
    let query: Vec<_> =
        url::form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes()).collect();
    for (key, value) in meant.query_pairs() {
        let found = query
            .iter()
            .find(|(other, _)| *other == key)
            .map(|(_, found)| found.clone().into_owned())?;
        match value.strip_prefix(NAME) {
            Some(name) => drop(filled.insert(name.to_owned(), found)),
            None if value == found => {}
            None => return None,
        }
    }
    Some(filled)
}

/// The values in body and headers of a request whose URL is that of `call`.
///
/// # Errors
/// The difference from the profile, in words without any value.
pub(crate) fn read(
    call: &Call,
    head: &Parts,
    body: &[u8],
    mut filled: Filled,
) -> Result<Filled, String> {
    match &call.body {
        Body::Json(json) => {
            let found: Value = serde_json::from_slice(body).map_err(|_| "its body is not JSON")?;
            read_json(json, &found, "", &mut filled)?;
        }
        Body::Form(form) => {
            let found: Vec<_> = url::form_urlencoded::parse(body).collect();
            for (name, template) in form {
                let found = found.iter().find(|(other, _)| other == name).map(|(_, value)| value);
                let found = found.ok_or_else(|| format!("its form has no `{name}`"))?;
                read_template(template, found, &mut filled)
                    .ok_or_else(|| format!("its form field `{name}` differs from the profile"))?;
            }
        }
        _ => {}
    }
    if let Some(basic) = call.basic {
        let both = authorization(&head.headers, "Basic")
            .and_then(|text| BASE64_STANDARD.decode(text).ok());
        let both =
            both.and_then(|both| String::from_utf8(both).ok()).ok_or("it has no HTTP Basic")?;
        let (who, proof) = both.split_once(':').ok_or("its HTTP Basic has no colon")?;
        for (name, value) in basic.names().into_iter().zip([who, proof]) {
            let value = match basic {
                Basic::Plain => value.to_owned(),
                Basic::OAuth => form_decoded(value),
            };
            filled.insert(name.to_owned(), value);
        }
    }
    read_headers(&call.headers, &head.headers, &mut filled)?;
    match filled.iter().find(|(_, value)| value.is_empty()) {
        Some((name, _)) => Err(format!("its `{name}` is empty")),
        None => Ok(filled),
    }
}

/// Reads the values in these headers into `filled`.
pub(crate) fn read_headers(
    templates: &[(String, Template)],
    headers: &HeaderMap,
    filled: &mut Filled,
) -> Result<(), String> {
    for (name, template) in templates {
        let missing = || format!("it has no header `{name}`");
        let mut found = headers
            .get_all(name.as_str())
            .iter()
            .filter_map(|value| std::str::from_utf8(value.as_bytes()).ok());
        if *name.to_ascii_lowercase() != *COOKIE.as_str() {
            let found = found.next().ok_or_else(missing)?;
            read_template(template, found, filled)
                .ok_or_else(|| format!("its header `{name}` differs from the profile"))?;
            continue;
        }
        // There may be more cookies than those of the profile.
        let sent: Vec<&str> = found.flat_map(|line| line.split(';')).map(str::trim).collect();
        for cookie in cookies(template) {
            let fits = |sent: &&str| matches(&cookie, sent, filled);
            *filled = sent.iter().find_map(fits).ok_or_else(missing)?;
        }
    }
    Ok(())
}

/// Reads `a=${x}; b=${y}`, cookie by cookie.
fn cookies(template: &Template) -> Vec<Vec<Part>> {
    let mut all = vec![Vec::new()];
    for part in template.parts() {
        let Part::Text(text) = part else {
            all.iter_mut().next_back().into_iter().for_each(|last| last.push(part.clone()));
            continue;
        };
        for (index, piece) in text.split(';').enumerate() {
            if index > 0 {
                all.push(Vec::new());
            }
            let piece = if index > 0 { piece.trim_start() } else { piece };
            if !piece.is_empty() {
                all.iter_mut()
                    .next_back()
                    .into_iter()
                    .for_each(|last| last.push(Part::Text(piece.to_owned())));
            }
        }
    }
    all.retain(|cookie| !cookie.is_empty());
    all
}

fn read_json(
    template: &JsonTemplate,
    found: &Value,
    at: &str,
    filled: &mut Filled,
) -> Result<(), String> {
    let other = || format!("its JSON value at `{at}` differs from the profile");
    match (template, found) {
        (JsonTemplate::Text(template), Value::String(text)) => {
            read_template(template, text, filled).ok_or_else(other)
        }
        (JsonTemplate::Raw(raw), found) => match serde_json::from_str::<Value>(raw) {
            Ok(meant) if meant == *found => Ok(()),
            _ => Err(other()),
        },
        (JsonTemplate::Array(templates), Value::Array(list)) if templates.len() == list.len() => {
            let mut pairs = templates.iter().zip(list).enumerate();
            pairs.try_for_each(|(index, (template, found))| {
                read_json(template, found, &format!("{at}/{index}"), filled)
            })
        }
        (JsonTemplate::Object(members), Value::Object(object)) => {
            for (name, template) in members {
                let inner = format!("{at}/{name}");
                let found =
                    object.get(name).ok_or_else(|| format!("its JSON has nothing at `{inner}`"))?;
                read_json(template, found, &inner, filled)?;
            }
            Ok(())
        }
        _ => Err(other()),
    }
}

fn read_template(template: &Template, text: &str, filled: &mut Filled) -> Option<()> {
    *filled = matches(template.parts(), text, filled)?;
    Some(())
}

/// Adds to `filled` the values that `text` has for the names in `parts`. A name that already has a
/// value must have the same value again.
fn matches(parts: &[Part], text: &str, filled: &Filled) -> Option<Filled> {
    match parts {
        [] => text.is_empty().then(|| filled.clone()),
        [Part::Text(first), rest @ ..] => matches(rest, text.strip_prefix(first.as_str())?, filled),
        [Part::Name(name), rest @ ..] => {
            let with = |value: &str| -> Option<Filled> {
                let before = filled.get(name);
                if before.is_some_and(|before| before != value) {
                    return None;
                }
                Some(
                    filled
                        .iter()
                        .map(|(k, v)| (k.clone(), v.clone()))
                        .chain([(name.clone(), value.into())])
                        .collect(),
                )
            };
            let there = |end: usize| matches(rest, &text[end..], &with(&text[..end])?);
            match rest {
                [] => with(text),
                [Part::Text(next), ..] => {
                    text.match_indices(next.as_str()).find_map(|(end, _)| there(end))
                }
                [Part::Name(_), ..] => text.char_indices().map(|(end, _)| end).find_map(there),
            }
        }
    }
}

fn form_decoded(text: &str) -> String {
    let form = format!("v={text}");
    let value = url::form_urlencoded::parse(form.as_bytes()).next();
    value.map_or(Cow::Borrowed(""), |(_, value)| value).into_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_name_captures_exactly_the_text_in_its_place() {
        let parts = |text: &[&str]| -> Vec<Part> {
            let part = |text: &&str| match text.strip_prefix('$') {
                Some(name) => Part::Name(name.into()),
                None => Part::Text((*text).into()),
            };
            text.iter().map(part).collect()
        };
        let none = Filled::new();
        let read = matches(&parts(&["Bearer ", "$token"]), "Bearer a b", &none).unwrap();
        assert_eq!(read["token"], "a b");
        assert!(matches(&parts(&["Bearer ", "$token"]), "bearer a", &none).is_none());
        let read = matches(&parts(&["$a", "@", "$b", ".x"]), "ü@v.x.x", &none).unwrap();
        assert_eq!((read["a"].as_str(), read["b"].as_str()), ("ü", "v.x"));
        assert!(matches(&parts(&["$a", "-", "$a"]), "1-2", &none).is_none());
        assert!(matches(&parts(&["$a", "-", "$a"]), "1-1", &none).is_some());
    }
}

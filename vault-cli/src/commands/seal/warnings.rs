//! What `seal` warns of: placeholders, literal credentials in a login profile, and properties that
//! would not work there.

use crate::formats::{Input, InputProperty};
use crate::trust::special_tables::SpecialTables;
use crate::ui::failure::Result;
use bootseal_core::{Profile, PropertyPath, ValueKind};
use std::borrow::Cow;
use std::collections::HashSet;

/// Finds properties with placeholders that another tool would expand, except `${name}` in a
/// profile, which the login expands.
pub(super) fn unexpanded(input: &Input, special: &SpecialTables) -> Result<Vec<PropertyPath>> {
    let looks = |property: &InputProperty| {
        let holds =
            |what: &str| property.value.expose_str(|text| text.contains(what)).unwrap_or(false);
        holds("$(") || holds("${") && !special.hold(&property.path)
    };
    match input.document {
        Some(_) => Ok(Vec::new()),
        None => paths(input, |_| true, looks),
    }
}

/// Warnings of credentials that stay readable in a login profile, and of sealed properties that
/// would not work there.
pub(super) fn profile_warnings(
    input: &Input,
    special: &SpecialTables,
    sealed: &HashSet<PropertyPath>,
) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    for property in literal_credentials(input, special, sealed)? {
        let text =
            "looks like a credential, and stays readable, because it is part of a login profile";
        warnings.push(format!(
            "{property} {text}. Make it a value of the table above, and use it as ${{name}}"
        ));
    }
    for (path, near) in unknown_to_profiles(input, special, sealed) {
        let meant = near.map_or(String::new(), |near| format!(" Did you mean `{near}`?"));
        let text = "is sealed, and is not a key of a login profile: nothing in a profile may be sealed, so it will not work";
        warnings.push(format!("{path} {text}.{meant}"));
    }
    Ok(warnings)
}

/// Finds sealed properties that are unknown keys of a profile and would not work, each with a
/// similar known key.
pub(super) fn unknown_to_profiles(
    input: &Input,
    special: &SpecialTables,
    sealed: &HashSet<PropertyPath>,
) -> Vec<(PropertyPath, Option<&'static str>)> {
    let sealed = input.names().map(|(path, _)| path).filter(|path| sealed.contains(&**path));
    let unknown = |path: Cow<'_, PropertyPath>| {
        let place =
            special.place(&path).filter(|place| place.kind == "login" && !place.is_known())?;
        let near = Profile::near_key(place.key);
        Some((path.into_owned(), near))
    };
    sealed.filter_map(unknown).collect()
}

/// Finds strings in a profile whose names suggest credentials, and which do not contain `${name}`.
pub(super) fn literal_credentials(
    input: &Input,
    special: &SpecialTables,
    sealed: &HashSet<PropertyPath>,
) -> Result<Vec<PropertyPath>> {
    let tells = |name: &str| {
        ["pass", "pwd", "secret", "token", "key", "credential"]
            .iter()
            .any(|word| name.to_lowercase().contains(word))
    };
    let carried = |path: &PropertyPath| {
        special.is_sent(path)
            && !sealed.contains(path)
            && path.segments().last().is_some_and(|name| tells(name))
    };
    let literal = |property: &InputProperty| {
        property.kind == ValueKind::Text
            && property.value.expose_str(|text| !text.contains("${")).unwrap_or(false)
    };
    paths(input, carried, literal)
}

/// The paths of those among the properties `of` which `is` accepts.
pub(super) fn paths(
    input: &Input,
    of: impl Fn(&PropertyPath) -> bool,
    is: impl Fn(&InputProperty) -> bool,
) -> Result<Vec<PropertyPath>> {
    let mut paths = Vec::new();
    for property in input.properties(of) {
        let property = property?;
        if is(&property) {
            paths.push(property.path.clone());
        }
    }
    Ok(paths)
}

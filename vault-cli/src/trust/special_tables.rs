//! The tables of settings: login profiles, routes, gateway and fleet, which determine where a secret
//! is sent, and the rules for what is sealed. They stay readable.

use bootseal_core::{
    ClearText, Gateway, PlainProperty, Profile, Property, PropertyPath, Route, VerifiedFile,
    sealing_names,
};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

/// Keys of a route that this version does not read.
const MORE_ROUTE_KEYS: &[&str] = &["like", "login"];
const FLEET_KEYS: &[&str] = &["store", "own_login_when_store_down"];

/// The settings tables of one text.
pub(crate) struct SpecialTables(HashSet<Vec<String>>);

/// The place of a property in a settings table.
pub(crate) struct Place<'a> {
    /// The last name of the table: `login`, `route`, `gateway`, `fleet` or `seal`.
    pub(crate) kind: &'a str,
    /// The first key below the table.
    pub(crate) key: &'a str,
}

impl Place<'_> {
    /// Whether this version knows the key, which then stays readable.
    pub(crate) fn is_known(&self) -> bool {
        match self.kind {
            "login" => Profile::KEYS.contains(&self.key),
            "route" => Route::KEYS.contains(&self.key) || MORE_ROUTE_KEYS.contains(&self.key),
            // Only a table with exactly the key `names` is a table of rules.
            "seal" => true,
            "gateway" => Gateway::KEYS.contains(&self.key),
            _ => FLEET_KEYS.contains(&self.key),
        }
    }
}

impl SpecialTables {
    /// Finds the tables. The core determines which tables are profiles, so that this agrees with
    /// the loader.
    pub(crate) fn of<'a>(
        names: impl Iterator<Item = &'a PropertyPath>,
        property: impl Fn(&PropertyPath) -> Option<Cow<'a, Property>>,
    ) -> SpecialTables {
        let names: Vec<_> = names.collect();
        let rules =
            sealing_names(names.iter().copied(), &property).map(|_| vec!["seal".to_owned()]);
        let logins = Profile::tables(&names, property);
        let logins = logins.iter().map(|table| [table.segments(), &["login".to_owned()]].concat());
        let others = names.into_iter().filter_map(other_table).map(<[String]>::to_vec);
        SpecialTables(logins.chain(others).chain(rules).collect())
    }

    pub(crate) fn of_file(file: &VerifiedFile) -> SpecialTables {
        let names = file.names().map(|(path, _)| path);
        let settings: Vec<_> = names.filter(PropertyPath::may_be_setting).collect();
        SpecialTables::of(settings.iter(), |path| file.property(path).map(Cow::Owned))
    }

    pub(crate) fn of_edit(edit: &ClearText) -> SpecialTables {
        let all: HashMap<&PropertyPath, &PlainProperty> =
            edit.properties().iter().map(|property| (&property.path, property)).collect();
        SpecialTables::of(edit.names(), |path| {
            all.get(path).map(|property| Cow::Owned((*property).clone().into_property()))
        })
    }

    pub(crate) fn place<'a>(&self, path: &'a PropertyPath) -> Option<Place<'a>> {
        let segments = path.segments();
        let at = (1..segments.len()).find(|length| self.0.contains(&segments[..*length]))?;
        Some(Place { kind: &segments[at - 1], key: &segments[at] })
    }

    pub(crate) fn hold(&self, path: &PropertyPath) -> bool {
        self.place(path).is_some()
    }

    /// Whether a property is a part of what a login sends, in which a credential may be written.
    pub(crate) fn is_sent(&self, path: &PropertyPath) -> bool {
        self.place(path).is_some_and(|place| {
            place.kind == "login" && matches!(place.key, "json" | "form" | "headers")
        })
    }

    /// Whether a property is a known key of a settings table.
    pub(crate) fn keep_readable(&self, path: &PropertyPath) -> bool {
        self.place(path).is_some_and(|place| place.is_known())
    }
}

/// The route that this property defines, or the top-level table that contains it.
fn other_table(path: &PropertyPath) -> Option<&[String]> {
    let table = path.settings_table()?;
    let key = path.segments().get(table.len())?;
    let special = match table.last()?.as_str() {
        "login" => false,
        "route" => matches!(key.as_str(), "url" | "upstream" | "like"),
        _ => true,
    };
    special.then_some(table)
}

//! Deserialization of a table into the application's own struct: readable values as they are,
//! sealed values only as a [`Secret`], unless the field is marked as exposed.

use crate::load::exposed;
use bootseal_core::{Kind, OpenedValue, Property, PropertyPath, Secret, ValueKind, shell_word};
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IntoDeserializer, MapAccess, Visitor};
use serde::forward_to_deserialize_any;
use std::collections::BTreeMap;
use std::fmt;
use toml::Value;

enum Node<'a> {
    Table(BTreeMap<&'a str, Node<'a>>),
    Readable(&'a Value),
    Sealed(&'a OpenedValue),
}

/// A node and its property's name.
struct At<'a> {
    node: Node<'a>,
    path: String,
}

/// The error for a table that cannot be read. It contains no part of a sealed value.
#[derive(Debug)]
pub(crate) struct Wrong {
    pub(crate) kind: Kind,
    pub(crate) text: String,
    pub(crate) path: Option<String>,
    pub(crate) help: Option<String>,
}

/// Reads the properties below `table` into `T`; all of them if `table` has no segments.
pub(crate) fn read<'a, T: serde::de::DeserializeOwned>(
    table: &[String],
    properties: &'a [(PropertyPath, Property)],
    opened: impl Fn(&PropertyPath) -> Option<&'a OpenedValue>,
) -> Result<T, Wrong> {
    let mut whole: BTreeMap<&str, Node<'_>> = BTreeMap::new();
    for (path, property) in properties {
        let Some((last, above)) =
            path.segments().strip_prefix(table).and_then(<[String]>::split_last)
        else {
            continue;
        };
        // Settings tables are left out unless the application requests them.
        if path.settings_table().is_some_and(|settings| settings.len() > table.len()) {
            continue;
        }
        let node = match (property, opened(path)) {
            (Property::Readable(value), _) => Node::Readable(value),
            (Property::Sealed(_), Some(value)) => Node::Sealed(value),
            (Property::Sealed(_), None) => continue,
        };
        let mut at = &mut whole;
        for segment in above {
            let Node::Table(inner) =
                at.entry(segment).or_insert_with(|| Node::Table(BTreeMap::new()))
            else {
                return Err(Wrong::custom("this property is both a value and a table")
                    .at(&path.to_string()));
            };
            at = inner;
        }
        at.insert(last, node);
    }
    let path = PropertyPath::new(table.to_vec()).map(|path| path.to_string()).unwrap_or_default();
    T::deserialize(At { node: Node::Table(whole), path })
}

impl Wrong {
    fn at(mut self, path: &str) -> Wrong {
        self.path.get_or_insert_with(|| path.to_owned());
        self
    }
}

impl serde::de::Error for Wrong {
    fn custom<T: fmt::Display>(text: T) -> Wrong {
        Wrong { kind: Kind::Malformed, text: text.to_string(), path: None, help: None }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Wrong {}

impl<'a> At<'a> {
    fn sealed_but_not_a_secret(&self) -> Wrong {
        let field = self.path.rsplit('.').next().unwrap_or_default();
        Wrong {
            kind: Kind::Conflict,
            text: format!(
                "this property is sealed, but the field `{field}` is not a `bootseal::Secret`"
            ),
            path: Some(self.path.clone()),
            help: Some(format!(
                "Make `{field}` a Secret, or allow a copy in ordinary memory: #[serde(with = \"bootseal::exposed\")]"
            )),
        }
    }
}

impl<'de> Deserializer<'de> for At<'_> {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.node {
            Node::Table(table) => {
                visitor.visit_map(Members { rest: table.into_iter(), next: None, path: self.path })
            }
            Node::Readable(value) => value
                .clone()
                .deserialize_any(visitor)
                .map_err(|error| Wrong::custom(error.message()).at(&self.path)),
            Node::Sealed(_) => Err(self.sealed_but_not_a_secret()),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        match (name, &self.node) {
            (bootseal_memory::SECRET_NAME, Node::Sealed(value)) => {
                value.secret.expose(|bytes| visitor.visit_bytes(bytes))
            }
            (bootseal_memory::SECRET_NAME, _) => Err(Wrong {
                kind: Kind::Conflict,
                text: "this property is readable, not sealed; the field is a Secret".into(),
                help: Some(format!("Seal it: bootseal set {}", shell_word(&self.path))),
                path: Some(self.path),
            }),
            (exposed::NAME, _) => visitor.visit_newtype_struct(Exposed(self)),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        match self.node {
            Node::Table(table) => {
                let members = Members { rest: table.into_iter(), next: None, path: self.path };
                MapAccessDeserializer::new(members).deserialize_enum(name, variants, visitor)
            }
            Node::Readable(value) => value
                .clone()
                .deserialize_enum(name, variants, visitor)
                .map_err(|error| Wrong::custom(error.message()).at(&self.path)),
            Node::Sealed(_) => Err(self.sealed_but_not_a_secret()),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier
    }
}

struct Members<'a> {
    rest: std::collections::btree_map::IntoIter<&'a str, Node<'a>>,
    next: Option<(&'a str, Node<'a>)>,
    path: String,
}

impl<'de> MapAccess<'de> for Members<'_> {
    type Error = Wrong;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Wrong> {
        self.next = self.rest.next();
        match &self.next {
            Some((name, _)) => seed
                .deserialize((*name).into_deserializer())
                .map(Some)
                .map_err(|error: Wrong| error.at(&self.path)),
            None => Ok(None),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Wrong> {
        let Some((name, node)) = self.next.take() else {
            return Err(Wrong::custom("a value without a name"));
        };
        let own = PropertyPath::new([name.to_owned()].to_vec())
            .map_or_else(|_| name.to_owned(), |path| path.to_string());
        let path = if self.path.is_empty() { own } else { format!("{}.{own}", self.path) };
        seed.deserialize(At { node, path: path.clone() }).map_err(|error| error.at(&path))
    }
}

/// A node whose value may be copied into ordinary memory.
struct Exposed<'a>(At<'a>);

impl Exposed<'_> {
    /// The error when a value does not fit. The visitor's own error may contain the value, so it is
    /// dropped.
    fn unfit(path: &str) -> Wrong {
        Wrong::custom("the sealed value does not fit the type of the field").at(path)
    }
}

impl<'de> Deserializer<'de> for Exposed<'_> {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        let Node::Sealed(OpenedValue { kind, secret, .. }) = &self.0.node else {
            return self.0.deserialize_any(visitor);
        };
        let path = &self.0.path;
        let text =
            |secret: &Secret| secret.expose_str(str::to_owned).map_err(|_| Exposed::unfit(path));
        match kind {
            ValueKind::Bytes => secret
                .expose(|bytes| visitor.visit_bytes(bytes))
                .map_err(|_: Wrong| Exposed::unfit(path)),
            ValueKind::Text => {
                let read = secret
                    .expose_str(|text| visitor.visit_str(text))
                    .map_err(|_| Exposed::unfit(path))?;
                read.map_err(|_: Wrong| Exposed::unfit(path))
            }
            // Any other kind is stored as TOML text.
            _ => {
                let mut table: toml::Table = toml::from_str(&format!("value = {}", text(secret)?))
                    .map_err(|_| Exposed::unfit(path))?;
                let value = table.remove("value").ok_or_else(|| Exposed::unfit(path))?;
                value.deserialize_any(visitor).map_err(|_| Exposed::unfit(path))
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        let Node::Sealed(OpenedValue { secret, .. }) = &self.0.node else {
            return self.0.deserialize_enum(name, variants, visitor);
        };
        let unfit = |_: Wrong| Exposed::unfit(&self.0.path);
        let text = secret.expose_str(str::to_owned).map_err(|_| Exposed::unfit(&self.0.path))?;
        IntoDeserializer::<Wrong>::into_deserializer(text)
            .deserialize_enum(name, variants, visitor)
            .map_err(unfit)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

#[cfg(test)]
#[cfg(feature = "testing")]
mod tests {
    use crate::{Error, Kind, Secret};
    use serde::Deserialize;
    use std::collections::BTreeMap;

    const READABLE: &str = "name = \"shop\"\n[acme]\nurl = \"https://acme.example\"\nport = 8443\nmode = \"fast\"\ntags = [\"a\", \"b\"]\n[acme.pool]\nsize = 5\n[acme.login]\nurl = \"https://acme.example/\"\nbasic = true\n";

    fn vault() -> crate::Secrets {
        crate::testing::vault([("acme.username", "bob"), ("acme.password", "canary-1")], READABLE)
            .unwrap()
    }

    fn error<T: for<'de> Deserialize<'de>>(table: &str) -> Error {
        vault().deserialize::<T>(table).err().unwrap()
    }

    #[derive(Deserialize, PartialEq, Debug)]
    #[serde(rename_all = "lowercase")]
    enum Mode {
        Fast,
    }

    #[derive(Deserialize)]
    struct Pool {
        size: u16,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Acme {
        url: String,
        port: u16,
        mode: Mode,
        tags: Vec<String>,
        pool: Pool,
        password: Secret,
        #[serde(with = "crate::load::exposed")]
        username: String,
        #[serde(default)]
        absent: Option<Secret>,
    }

    #[test]
    fn a_table_deserializes_into_a_struct_without_its_login_settings() {
        let acme: Acme = vault().deserialize("acme").unwrap();
        assert_eq!(
            (acme.url.as_str(), acme.port, acme.mode),
            ("https://acme.example", 8443, Mode::Fast)
        );
        assert_eq!((acme.tags.len(), acme.pool.size, acme.username.as_str()), (2, 5, "bob"));
        assert!(acme.password.expose(|password| password == b"canary-1") && acme.absent.is_none());
        #[derive(Deserialize)]
        struct Whole {
            name: String,
            acme: BTreeMap<String, serde::de::IgnoredAny>,
        }
        let whole: Whole = vault().deserialize("").unwrap();
        assert_eq!((whole.name.as_str(), whole.acme.len()), ("shop", 7));
    }

    #[test]
    fn a_secret_field_needs_a_sealed_value_and_any_other_field_a_readable_or_exposed_one() {
        #[derive(Deserialize, Debug)]
        #[allow(dead_code)]
        struct ReadableSecret {
            url: Secret,
        }
        let wrong = error::<ReadableSecret>("acme");
        assert!(
            wrong.kind() == Kind::Conflict && wrong.to_string().contains("acme.url"),
            "{wrong}"
        );
        #[derive(Deserialize, Debug)]
        #[allow(dead_code)]
        struct Copied {
            password: String,
        }
        let wrong = error::<Copied>("acme").to_string();
        for part in ["acme.password", "field `password`", "#[serde(with = \"bootseal::exposed\")]"]
        {
            assert!(wrong.contains(part), "{wrong}");
        }
    }

    #[test]
    fn no_error_contains_a_value() {
        #[derive(Deserialize, Debug)]
        #[allow(dead_code)]
        struct Number {
            #[serde(with = "crate::load::exposed")]
            password: u16,
        }
        #[derive(Deserialize, Debug)]
        #[allow(dead_code)]
        struct Enum {
            #[serde(with = "crate::load::exposed")]
            password: Mode,
        }
        for wrong in [error::<Number>("acme").to_string(), error::<Enum>("acme").to_string()] {
            assert!(wrong.contains("acme.password") && !wrong.contains("canary"), "{wrong}");
        }
        #[derive(Deserialize, Debug)]
        #[allow(dead_code)]
        struct Text {
            port: String,
        }
        assert!(error::<Text>("acme").to_string().contains("acme.port"));
        #[derive(Deserialize, Debug)]
        #[allow(dead_code)]
        struct Missing {
            passwort: Secret,
        }
        assert!(error::<Missing>("acme").to_string().contains("passwort"));
    }

    #[test]
    fn a_secret_cannot_be_deserialized_from_another_format() {
        assert!(toml::from_str::<BTreeMap<String, Secret>>("a = \"b\"").is_err());
    }
}

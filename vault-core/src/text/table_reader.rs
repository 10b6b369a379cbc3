//! Reads a table with known keys, checks types and completeness, and returns a specific error for
//! each mistake.

use crate::error::{Error, Result};
use crate::shown::Brief;
use crate::text::nearest::nearest;
use toml::{Table, Value};

/// The keys of one table that have not been read yet.
pub(crate) struct Fields {
    table: Table,
    /// The name of the table in messages, as a TOML dotted key.
    name: String,
    asked: Vec<&'static str>,
}

impl Fields {
    pub(crate) fn of(name: impl Into<String>, table: Table) -> Fields {
        Fields { table, name: name.into(), asked: Vec::new() }
    }

    pub(crate) fn error(&self, key: &str, what: impl std::fmt::Display) -> Error {
        Error::malformed(format!("`{}.{}` {what}", self.name, Brief(key)))
    }

    pub(crate) fn take(&mut self, key: &'static str) -> Option<Value> {
        self.asked.push(key);
        self.table.remove(key)
    }

    fn typed<T>(
        &mut self,
        key: &'static str,
        wanted: &str,
        read: impl FnOnce(Value) -> Option<T>,
    ) -> Result<Option<T>> {
        match self.take(key) {
            None => Ok(None),
            Some(value) => {
                let found = value.type_str();
                read(value).map(Some).ok_or_else(|| {
                    self.error(key, format_args!("must be {wanted}, but is of type {found}"))
                })
            }
        }
    }

    pub(crate) fn string(&mut self, key: &'static str) -> Result<Option<String>> {
        self.typed(key, "a string", |value| match value {
            Value::String(text) => Some(text),
            _ => None,
        })
    }

    pub(crate) fn boolean(&mut self, key: &'static str) -> Result<Option<bool>> {
        self.typed(key, "true or false", |value| value.as_bool())
    }

    pub(crate) fn integer(&mut self, key: &'static str) -> Result<Option<i64>> {
        self.typed(key, "an integer", |value| value.as_integer())
    }

    pub(crate) fn table(&mut self, key: &'static str) -> Result<Option<Table>> {
        self.typed(key, "a table", |value| match value {
            Value::Table(table) => Some(table),
            _ => None,
        })
    }

    pub(crate) fn array(&mut self, key: &'static str) -> Result<Option<Vec<Value>>> {
        self.typed(key, "an array", |value| match value {
            Value::Array(array) => Some(array),
            _ => None,
        })
    }

    /// The keys of the table at `key`, to be read one by one.
    pub(crate) fn inner(&mut self, key: &'static str) -> Result<Option<Fields>> {
        let table = self.table(key)?;
        Ok(table.map(|table| self.inner_of(key, table)))
    }

    /// The keys of a table that is in a list at `key`.
    pub(crate) fn inner_of(&self, key: &str, table: Table) -> Fields {
        Fields::of(format!("{}.{key}", self.name), table)
    }

    pub(crate) fn required<T>(&self, key: &str, value: Option<T>) -> Result<T> {
        value.ok_or_else(|| {
            let error = self.error(key, "is missing");
            match nearest(key, self.table.keys()) {
                Some(other) => {
                    error.with_help(format!("Did you mean `{key}` instead of `{}`?", Brief(other)))
                }
                None => error,
            }
        })
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Whether every key of the table was read.
    pub(crate) fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Succeeds if every key was read; otherwise returns an error for the first unread key.
    pub(crate) fn finish(self) -> Result<()> {
        self.check_finished()
    }

    /// Like `finish`, without consuming the keys.
    pub(crate) fn check_finished(&self) -> Result<()> {
        let Some(unknown) = self.table.keys().next() else { return Ok(()) };
        let error = self.error(unknown, "is not a key that this version knows");
        Err(match nearest(unknown, &self.asked) {
            Some(known) => error.with_help(format!("Did you mean `{known}`?")),
            None => error.with_help(format!("The keys here are: {}.", self.asked.join(", "))),
        })
    }
}

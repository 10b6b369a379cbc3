//! Settings tables: the tables of a vault that decide where a secret is sent, and how.

use crate::text::path::PropertyPath;

/// Settings tables at the top of a file.
pub(crate) const AT_THE_TOP: [&str; 2] = ["gateway", "fleet"];
/// Settings tables inside another table: `[acme.login]`, `[acme.route]`.
const BELOW_A_NAME: [&str; 2] = ["login", "route"];

impl PropertyPath {
    /// The settings table that this property belongs to: `gateway` or `fleet` at the top of the
    /// file, or the innermost table called `login` or `route` inside another one. Such a property
    /// is not a setting of the application: changing it can change where secrets are sent.
    ///
    /// ```
    /// use bootseal_core::PropertyPath;
    /// let path: PropertyPath = "acme.login.headers.Accept".parse()?;
    /// assert_eq!(path.settings_table(), Some(&["acme".to_owned(), "login".to_owned()][..]));
    /// let path: PropertyPath = "acme.password".parse()?;
    /// assert_eq!(path.settings_table(), None);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn settings_table(&self) -> Option<&[String]> {
        let tables = self.segments().split_last().map_or(&[][..], |(_, tables)| tables);
        if tables.first().is_some_and(|top| AT_THE_TOP.contains(&top.as_str())) {
            return Some(&tables[..1]);
        }
        let innermost =
            tables.iter().skip(1).rposition(|table| BELOW_A_NAME.contains(&table.as_str()))? + 1;
        Some(&tables[..=innermost])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_table_of_a_property_decides() {
        for (path, table) in [
            ("gateway.listen", Some("gateway")),
            ("fleet.store.url", Some("fleet")),
            ("acme.login.url", Some("acme.login")),
            ("acme.eu.route.headers.x", Some("acme.eu.route")),
            ("acme.login.json.route.x", Some("acme.login.json.route")),
            ("gateway", None),
            ("login.url", None),
            ("acme.login", None),
            ("acme.gateway.listen", None),
            ("acme.password", None),
        ] {
            let path: PropertyPath = path.parse().unwrap();
            assert_eq!(
                path.settings_table().map(|table| table.join(".")).as_deref(),
                table,
                "{path}"
            );
        }
    }
}

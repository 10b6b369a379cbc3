//! Sealed values in fields that are not a [`Secret`](crate::Secret). The struct must mark each such
//! field as exposed.
//!
//! ```
//! #[derive(serde::Deserialize)]
//! struct Db {
//!     user: String,
//!     #[serde(with = "bootseal::exposed")]
//!     url: String, // from here on the application has a copy in ordinary memory
//!     password: bootseal::Secret,
//! }
//! let vault = bootseal::testing::vault([("db.url", "postgres://x"), ("db.password", "hunter2")], "[db]\nuser = \"app\"\n")?;
//! let db: Db = vault.deserialize("db")?;
//! assert_eq!((db.user.as_str(), db.url.as_str(), db.password.len()), ("app", "postgres://x", 7));
//! # Ok::<(), bootseal::Error>(())
//! ```

use serde::de::{Deserialize, Deserializer, Visitor};
use std::marker::PhantomData;

/// The name by which a vault's deserializer recognises an exposed field.
pub(crate) const NAME: &str = "$bootseal::exposed";

/// Implements `#[serde(with = "bootseal::exposed")]`. Readable values and other formats are read as
/// usual. See the example above.
///
/// # Errors
/// The errors of the format. An error about a sealed value does not contain the value.
pub fn deserialize<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<T, D::Error> {
    struct Through<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Through<T> {
        type Value = T;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a value")
        }

        fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<T, D::Error> {
            T::deserialize(inner)
        }
    }

    from.deserialize_newtype_struct(NAME, Through(PhantomData))
}

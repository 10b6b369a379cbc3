//! How does a sealed value get into a field that is no [`Secret`](crate::Secret)? By a word in the struct that says so.
//!
//! ```
//! #[derive(serde::Deserialize)]
//! struct Db {
//!     user: String,
//!     #[serde(with = "bootseal::exposed")]
//!     url: String, // from here on it is the application's own copy
//!     password: bootseal::Secret,
//! }
//! let vault = bootseal::testing::vault([("db.url", "postgres://x"), ("db.password", "hunter2")], "[db]\nuser = \"app\"\n")?;
//! let db: Db = vault.deserialize("db")?;
//! assert_eq!((db.user.as_str(), db.url.as_str(), db.password.len()), ("app", "postgres://x", 7));
//! # Ok::<(), bootseal::Error>(())
//! ```

use serde::de::{Deserialize, Deserializer, Visitor};
use std::marker::PhantomData;

/// What a vault's deserializer knows this wish by.
pub(crate) const NAME: &str = "$bootseal::exposed";

/// For `#[serde(with = "bootseal::exposed")]`. A readable value, and any other format, is read as ever. See the example above.
///
/// # Errors
/// Those of the format. What is wrong with a sealed value is said without the value.
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

//! The sealed file: credentials that can lie in git, names readable, values encrypted one by one, the whole signed.
//!
//! # Flow
//! Each type is the proof that a check was made; what was not checked cannot be called.
//!
//! | type | is proof that |
//! |---|---|
//! | [`SealedFile`] | size, bytes and the last two lines have the shape of a sealed file; nothing is parsed or trusted |
//! | [`VerifiedFile`] | the signature holds, under the pin where there is one; names and readable values may be used |
//! | [`Vault<CanRead>`](Vault) | an identity opened the data key: values can be opened |
//! | [`Vault<CanWrite>`](Vault) | an identity opened the signing seed: values can be sealed, the file signed |
//! | [`Secret`] | one opened value, in guarded memory |
//! | [`Profile`] | a login profile that can work |
//!
//! A writer goes [`FileLock::acquire`] → [`FileLock::read`] → [`SealedFile::verify`] → [`VerifiedFile::open_for_writing`] →
//! [`Vault::set`] → [`Vault::sign`] → [`FileLock::write`]. A reader stops after [`VerifiedFile::open`].
//!
//! # What this crate does not do
//! No network, no environment variable, no terminal, no clock: time comes in as an argument. No program, but with the feature `plugin` those of
//! age plugins, once the signature holds. It does not choose which identity
//! or pin is meant; the CLI and the loader do. The format is described in `docs/format.md`, with vectors in `tests/vectors`.

#![forbid(unsafe_code)]

mod proposal;
mod review;

mod profile;

mod vault;

mod file;

mod access;
mod keys;

mod disk;
mod text;

mod error;

pub use bootseal_memory::Secret;

pub use access::identity::{Identity, IdentityFile};
pub use access::locked::LockedKey;
pub use access::passphrase::{Cost, Derivation, read_passphrase, read_passphrase_from};
#[cfg(feature = "plugin")]
pub use access::plugin::{PluginUser, Plugins};
pub use access::recipient::Recipient;
pub use access::wrap::open_age_file;
pub use disk::lock::FileLock;
pub use error::{Error, Kind, Result, Shown, Typed, is_hidden};
pub use file::header::{Access, Role};
pub use file::known_vaults::{KnownFile, KnownVaults};
pub use file::sealed::{MAX_FILE, SealedFile, SignedFile, Trust, VerifiedFile};
pub use keys::derive::CredentialKey;
pub use keys::pin::Pin;
pub use keys::signing::VaultId;
pub use profile::extract::{Capture, Field, ResponsePlace, Test, Unit, When};
pub use profile::request::{Basic, Body, Call};
pub use profile::route::{Callers, Gateway, Listen, Route};
pub use profile::template::{JsonTemplate, Part, Template};
pub use profile::url_template::UrlTemplate;
pub use profile::{ClientCert, Expiry, Profile, Replay, Totp, TotpHash};
pub use proposal::Proposal;
pub use review::changes::{AccessChange, Change, Changes};
pub use review::clear_text::{ClearText, Edited};
pub use review::hand_edit::HandEdit;
pub use review::merge::{Clash, Merged, Side, Taken};
pub use text::document::{Property, SECRET_PREFIX};
pub use text::path::{BasicString, PropertyPath};
pub use text::plain::{PlainDocument, PlainProperty};
pub use vault::value::{OpenedValue, ValueKind};
pub use vault::{CanRead, CanWrite, Vault};

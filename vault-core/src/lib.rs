//! The sealed file: credentials that can lie in git, names readable, values encrypted one by one, the whole signed.
//!
//! # Flow
//! Each type is the proof that a check was made; what was not checked cannot be called.
//!
//! | type | is proof that |
//! |---|---|
//! | [`SealedFile`] | size, bytes and the last two lines have the shape of a sealed file; nothing is parsed or trusted |
//! | [`VerifiedFile`] | the signature holds, under the pin where there is one; names and readable values may be used |
//! | [`Vault<Reader>`](Vault) | an identity opened the data key: values can be opened |
//! | [`Vault<Writer>`](Vault) | an identity opened the signing seed: values can be sealed, the file signed |
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

mod document;
mod outline;
mod path;
mod plain;

mod identity;
mod passphrase;
#[cfg(feature = "plugin")]
mod plugin;
#[cfg(feature = "plugin")]
mod plugin_protocol;
mod recipient;
mod ssh;

mod key_block;
mod keys;
mod locked;
mod value;

mod pin;
mod signature;
mod state;

mod fields;
mod header;
mod save;
mod sealed_file;
mod vault;

mod access;
mod changes;
mod clear_text;
mod hand_edit;
mod merge;
mod proposal;
mod proposal_text;

mod call;
mod canonical;
mod error;
mod place;
mod profile;
mod route;
mod template;
mod url_template;

pub use bootseal_memory::Secret;

pub use call::{Basic, Body, Call};
pub use changes::{AccessChange, Change, Changes};
pub use clear_text::{ClearText, Edited};
pub use document::{Property, SECRET_PREFIX};
pub use error::{Error, Kind, Result, Shown, Typed, is_hidden};
pub use hand_edit::HandEdit;
pub use header::{Access, Role};
pub use identity::{Identity, IdentityFile};
pub use key_block::open_age_file;
pub use keys::CredentialKey;
pub use locked::LockedKey;
pub use merge::{Clash, Merged, Side, Taken};
pub use passphrase::{Cost, Derivation, read_passphrase, read_passphrase_from};
pub use path::{BasicString, PropertyPath};
pub use pin::Pin;
pub use place::{AnswerPlace, Capture, Field, Test, Unit, When};
pub use plain::{PlainDocument, PlainProperty};
#[cfg(feature = "plugin")]
pub use plugin::{PluginUser, Plugins};
pub use profile::{ClientCert, Expiry, Profile, Replay, Totp, TotpHash};
pub use proposal::Proposal;
pub use recipient::Recipient;
pub use route::{Callers, Gateway, Listen, Route};
pub use save::FileLock;
pub use sealed_file::{MAX_FILE, SealedFile, Trust, VerifiedFile};
pub use signature::VaultId;
pub use state::{KnownVaults, Place};
pub use template::{JsonTemplate, Part, Template};
pub use url_template::UrlTemplate;
pub use value::{OpenedValue, ValueKind};
pub use vault::{Reader, Vault, Writer};

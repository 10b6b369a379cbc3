//! The sealed file: credentials that can be committed to git. Names are readable, each value is
//! encrypted separately, and the whole file is signed.
//!
//! # Flow
//! Each type proves that a check has been made. A method that needs a check exists only on the type
//! that proves it.
//!
//! | type | what it proves |
//! |---|---|
//! | [`SealedFile`] | the size, the bytes and the last two lines have the form of a sealed file, which is neither parsed nor trusted yet |
//! | [`VerifiedFile`] | the signature is valid and, if there is a pin, the vault is the pinned vault; names and readable values may be used |
//! | [`Vault<CanRead>`](Vault) | an identity opened the data key: values can be opened |
//! | [`Vault<CanWrite>`](Vault) | an identity opened the signing seed: values can be sealed and the file can be signed |
//! | [`Secret`] | the bytes are in guarded memory, and only a closure sees them |
//! | [`Profile`] | a login profile is complete and consistent |
//!
//! A writer calls [`FileLock::acquire`] → [`FileLock::read`] → [`SealedFile::verify`] →
//! [`VerifiedFile::open_for_writing`] → [`Vault::set`] → [`Vault::sign`] → [`FileLock::write`]. A
//! reader stops after [`VerifiedFile::open`].
//!
//! # What this crate does not do
//! It uses no network, environment variable or terminal, and a clock only to limit how long it
//! waits; dates are arguments. It runs no program, except that the feature `plugin` runs age
//! plugins after the signature has been verified. It does not choose identities or pins; the CLI
//! and the loader do. `docs/format.md` describes the format, and `tests/vectors` contains test
//! vectors.

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
mod shown;

// The sealed file, from untrusted to opened.
pub use file::header::{Access, MAX_REAL, Role};
pub use file::known_vaults::list::{ReadVault, RememberedFile};
pub use file::known_vaults::{KnownFile, KnownVaults};
pub use file::normalise::MAX_FILE;
pub use file::sealed::{SealedFile, SignedFile};
pub use file::verified::{Trust, VerifiedFile};
pub use file::version::SignedVersion;
pub use vault::value::{OpenedValue, ValueKind};
pub use vault::{CanRead, CanWrite, Vault};

// Properties: names, and values as written in the file.
pub use text::document::Property;
pub use text::elements::names::{Element, elements};
pub use text::elements::path::ElementPath;
pub use text::host::AddressHost;
pub use text::parse::value_parts::{ValuePart, value_parts};
pub use text::path::{BasicString, PropertyPath};
pub use text::plain::{PlainContent, PlainDocument, PlainProperty};
pub use text::settings::seal::sealing_names;

// Keys, identities and recipients.
pub use access::identity::Identity;
pub use access::identity_file::IdentityFile;
pub use access::locked::LockedKey;
pub use access::passphrase::{
    Cost, Derivation, passphrase_length, read_passphrase, read_passphrase_from,
};
#[cfg(feature = "plugin")]
pub use access::plugin::find::Plugins;
#[cfg(feature = "plugin")]
pub use access::plugin::user::PluginUser;
pub use access::recipient::Recipient;
pub use access::wrap::open_age_file;
pub use bootseal_memory::Secret;
pub use keys::derive::CredentialKey;
pub use keys::pin::Pin;
pub use keys::vault_id::VaultId;

// Login profiles and routes.
pub use profile::extract::{Capture, Field, ResponsePlace, Test, Unit, When};
pub use profile::keys::{KeySpec, PROFILE_KEYS};
pub use profile::request::{Basic, Body, Call};
pub use profile::route::{Callers, Gateway, Listen, Route};
pub use profile::template::{JsonTemplate, Part, Template};
pub use profile::url_template::UrlTemplate;
pub use profile::{ClientCert, Expiry, Profile, Replay, Totp, TotpHash};

// Changes: review, merge, manual edits and proposals.
pub use proposal::Proposal;
pub use review::changes::{AccessChange, Change, Changes};
pub use review::clear_text::ClearText;
pub use review::hand_edit::HandEdit;
pub use review::lineage::{MergePlan, MergeSide, goes_on_from, is_older};
pub use review::merge::renames::NameClash;
pub use review::merge::side::Side;
pub use review::merge::{Clash, Merged, Taken};
pub use review::take_edit::Edited;

// Files on disk.
pub use disk::lock::FileLock;
pub use disk::private_file::PrivateFile;
pub use disk::source::{open_source, other_encoding};

// Errors and messages.
pub use error::{Error, Kind, Result};
pub use shown::{
    MOST_NAMES, Shown, ShownPath, Typed, and_more, is_hidden, shell_path, shell_word, some_names,
};
pub use text::nearest::near_names;

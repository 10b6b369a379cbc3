//! sops: values encrypted with one data key, which is wrapped with age, and a MAC over all values,
//! which must match.

use super::{Imported, KeySource, Leaf, wrong};
use crate::context::Context;
use crate::formats::{Node, Reading};
use crate::import::sops_file::SopsFile;
use crate::import::{cipher, key_source, shamir};
use crate::trust::plugins;
use crate::ui::failure::{Failure, Result};
use crate::ui::prompt::no_answer;
use aes_gcm::aead::consts::{U12, U32};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bootseal_core::{
    Error, Identity, IdentityFile, Kind, LockedKey, Plugins, Secret, Shown, open_age_file,
    some_names,
};
use sha2::{Digest, Sha256, Sha512};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The maximum number of recipients and of key groups: each costs work, and no real file has as
/// many.
const MAX_KEYS: usize = 256;

pub(crate) fn import(
    text: &str,
    path: &Path,
    reading: Reading,
    keys: &KeySource<'_>,
    context: &mut Context<'_>,
) -> Result<Imported> {
    let mut file = SopsFile::read(text, path, reading.format)?;
    let key = data_key(&file, path, keys, context)?;
    let only_encrypted = file.has("mac_only_encrypted") == Some("true");
    let mut mac = Sha512::new();
    if only_encrypted {
        mac.update(Sha256::digest(b"sops"));
    }
    let (json, suffix) = (file.json, file.has("unencrypted_suffix").unwrap_or("").to_owned());
    let entries = std::mem::take(&mut file.entries);
    let mut imported = Imported::of(entries, |names, node| {
        let text = match &node {
            Node::Text(text) => text,
            Node::Toml(text) => {
                if !only_encrypted {
                    mac.update(as_go_prints(text, json).as_bytes());
                }
                return Ok(Leaf::Readable(node));
            }
            _ => return Err(wrong(Kind::Malformed, "has a tag of ansible-vault", names)),
        };
        let Some(sealed) = Sealed::parse(text) else {
            if !only_encrypted {
                mac.update(text.as_bytes());
            }
            // sops never encrypts an empty text, but would encrypt a later value in its place.
            let readable = !text.is_empty()
                || !suffix.is_empty() && names.iter().any(|name| name.ends_with(&suffix));
            return Ok(if readable { Leaf::Readable(node) } else { Leaf::Opened(node) });
        };
        let plain = sealed.open(&key, &format!("{}:", names.join(":")));
        let plain = plain.ok_or_else(|| {
            wrong(
                Kind::Forged,
                "does not open with the data key of the file: it was changed, or belongs elsewhere",
                names,
            )
        })?;
        // A comment is encrypted like a value, and is not covered by the MAC.
        if sealed.kind == "comment" {
            return Ok(Leaf::Comment);
        }
        mac.update(&*plain);
        typed(plain, sealed.kind, json).ok_or_else(|| {
            let what = match TYPES.contains(&sealed.kind) {
                true => {
                    "opens to a value that its type does not allow; the type is not authenticated"
                        .into()
                }
                false => format!("has the type `{}`, which sops does not know", Shown(sealed.kind)),
            };
            wrong(Kind::Malformed, what, names)
        })
    })
    .map_err(|error| error.in_file(path))?;
    check(&format!("{:X}", Hex(&mac.finalize())), &file, &key, path)?;
    if only_encrypted {
        imported.remarks.push(
            "mac_only_encrypted: anyone who could write the file could change the readable values. Review the values that stay readable".into(),
        );
    }
    if file.binary
        && let Some(name) = path.file_name().and_then(|name| name.to_str())
    {
        imported.remarks.push(format!(
            "{} was encrypted as a binary file; it becomes one value, data",
            Shown(name)
        ));
    }
    Ok(imported)
}

struct Hex<'a>(&'a [u8]);

impl std::fmt::UpperHex for Hex<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02X}"))
    }
}

/// `ENC[AES256_GCM,data:…,iv:…,tag:…,type:…]`
struct Sealed<'a> {
    data: Vec<u8>,
    iv: Vec<u8>,
    tag: Vec<u8>,
    kind: &'a str,
}

impl Sealed<'_> {
    fn parse(text: &str) -> Option<Sealed<'_>> {
        let inner = text.strip_prefix("ENC[AES256_GCM,data:")?.trim_end().strip_suffix(']')?;
        let (inner, kind) = inner.rsplit_once(",type:")?;
        let (inner, tag) = inner.rsplit_once(",tag:")?;
        let (data, iv) = inner.rsplit_once(",iv:")?;
        let decode = |text: &str| BASE64_STANDARD.decode(text).ok();
        Some(Sealed { data: decode(data)?, iv: decode(iv)?, tag: decode(tag)?, kind })
    }

    fn open(&self, key: &[u8], aad: &str) -> Option<Zeroizing<Vec<u8>>> {
        match self.iv.len() {
            12 => cipher::gcm::<U12>(key, &self.iv, aad.as_bytes(), &self.data, &self.tag),
            _ => cipher::gcm::<U32>(key, &self.iv, aad.as_bytes(), &self.data, &self.tag),
        }
    }
}

/// Checks the MAC, which is encrypted in the file with the time of the last change as additional
/// data.
fn check(computed: &str, file: &SopsFile, key: &[u8], path: &Path) -> Result<()> {
    let stated = file.has("mac").and_then(Sealed::parse);
    let stated = stated.and_then(|mac| mac.open(key, file.has("lastmodified").unwrap_or_default()));
    if stated.is_some_and(|stated| *stated == computed.as_bytes()) {
        return Ok(());
    }
    Err(Error::new(
        Kind::Forged,
        "the MAC of sops does not match: something in the file was changed, added or removed",
    )
    .in_file(path)
    .with_help("If you made the change, let sops write a new MAC (sops edit --ignore-mac), then import the file.")
    .into())
}

/// The types of values that sops writes.
const TYPES: [&str; 7] = ["str", "int", "int64", "float", "bool", "bytes", "time"];

/// Converts a value by the type that sops recorded.
fn typed(plain: Zeroizing<Vec<u8>>, kind: &str, json: bool) -> Option<Leaf> {
    let toml = |text: String| Leaf::Opened(Node::Toml(Zeroizing::new(text)));
    let text = || std::str::from_utf8(&plain).ok();
    match kind {
        "int" | "int64" => match text()?.parse::<i64>() {
            Ok(number) => Some(toml(number.to_string())),
            // Beyond TOML's 64 bits; kept as text.
            Err(_) => text()?.parse::<u128>().ok().map(|_| Leaf::opened(plain.clone())),
        },
        "float" => {
            let written = text()?;
            let value = written.parse::<f64>().ok()?;
            match written.parse::<i64>() {
                Ok(number) if json => Some(toml(number.to_string())),
                _ => Some(toml(toml::Value::Float(value).to_string())),
            }
        }
        "bool" => match text()? {
            "True" | "true" => Some(toml("true".into())),
            "False" | "false" => Some(toml("false".into())),
            _ => None,
        },
        "str" | "bytes" | "time" => Some(Leaf::opened(plain)),
        _ => None,
    }
}

/// Formats a readable number or boolean as the MAC covers it.
fn as_go_prints(text: &str, json: bool) -> String {
    match text {
        "true" => "True".into(),
        "false" => "False".into(),
        "nan" => "NaN".into(),
        "inf" => "+Inf".into(),
        "-inf" => "-Inf".into(),
        number if !json && number.parse::<i64>().is_ok() => number.to_owned(),
        number => {
            number.parse::<f64>().map_or_else(|_| number.to_owned(), |value| value.to_string())
        }
    }
}

/// Opens the data key by one age recipient of the file, or by as many key groups as its threshold
/// requires.
fn data_key(
    file: &SopsFile,
    path: &Path,
    keys: &KeySource<'_>,
    context: &mut Context<'_>,
) -> Result<Zeroizing<Vec<u8>>> {
    let wrapped = |prefix: &str| -> Vec<(&str, &str)> {
        let field =
            |at: usize, name: &str| file.has(&format!("{prefix}age__list_{at}__map_{name}"));
        (0..MAX_KEYS)
            .map_while(|at| Some((field(at, "recipient").unwrap_or_default(), field(at, "enc")?)))
            .collect()
    };
    let single = wrapped("");
    let groups: Vec<_> = (0..MAX_KEYS)
        .map(|group| format!("key_groups__list_{group}__map_"))
        .take_while(|prefix| file.metadata.keys().any(|name| name.starts_with(prefix.as_str())))
        .map(|prefix| wrapped(&prefix))
        .collect();
    let recipients: Vec<&str> =
        single.iter().chain(groups.iter().flatten()).map(|(recipient, _)| *recipient).collect();
    if recipients.is_empty() {
        let help =
            "sops itself can open it: sops decrypt FILE | bootseal seal - --format yaml -o OUT";
        let what = "has no age recipient; PGP keys and keys of cloud services are not supported";
        return Err(Error::new(Kind::NoIdentity, what).in_file(path).with_help(help).into());
    }
    let (identities, tried) = identities(&recipients, keys, context)?;
    let in_file = |error: Error| Failure::from(error.in_file(path));
    let open = |wrapped: &[(&str, &str)], length: usize| -> Result<Option<Secret>> {
        for (_, block) in wrapped {
            if let Some(key) = open_age_file(block, length, &identities).map_err(in_file)? {
                return Ok(Some(key));
            }
        }
        Ok(None)
    };
    let refused = |what: String| {
        let quantum = match recipients.iter().any(|recipient| recipient.starts_with("age1pq1")) {
            true => " Post-quantum recipients (age1pq1…) are not supported yet.",
            false => "",
        };
        let help = format!(
            "It opens for: {}.{quantum} Name a key with --key-file FILE",
            some_names(recipients)
        );
        Failure::from(Error::new(Kind::NoIdentity, what).in_file(path).with_help(help))
    };
    let key = match groups.is_empty() {
        true => open(&single, 32)?.map(|key| key.expose(|key| Zeroizing::new(key.to_vec()))),
        false => {
            let threshold = file
                .has("shamir_threshold")
                .and_then(|number| number.parse().ok())
                .unwrap_or(groups.len());
            let mut shares = Vec::new();
            for group in &groups {
                shares.extend(
                    open(group, 33)?
                        .map(|share| share.expose(|share| Zeroizing::new(share.to_vec()))),
                );
            }
            if shares.len() < threshold.max(1) {
                return Err(refused(format!(
                    "the available keys open {} of {} key groups, and {threshold} are needed; tried {tried}",
                    shares.len(),
                    groups.len()
                )));
            }
            shares.truncate(threshold.max(1));
            shamir::combine(&shares)
        }
    };
    let key = key.ok_or_else(|| refused(format!("no available key opens it; tried {tried}")))?;
    match key.len() {
        32 => Ok(key),
        _ => Err(Error::new(Kind::Malformed, "its data key is not 32 bytes").in_file(path).into()),
    }
}

/// Returns the identities, the named ones or else those in the places where sops looks, and the
/// places that were tried.
fn identities(
    recipients: &[&str],
    keys: &KeySource<'_>,
    context: &mut Context<'_>,
) -> Result<(Vec<Identity>, String)> {
    let plugins = plugins::at_hand(context)?;
    let mut search = Search { plugins, found: IdentityFile::default(), tried: Vec::new() };
    let named = keys.named(context)?;
    for secret in &named {
        search.take(parse(secret)?);
        search.tried = vec!["the named keys".to_owned()];
    }
    if named.is_empty() {
        search.look_where_sops_does(context)?;
    }
    search.unlock(recipients, context)?;
    Ok((search.found.identities, search.tried.join(", ")))
}

fn parse(secret: &Secret) -> Result<IdentityFile, Error> {
    secret.expose(|mut bytes| IdentityFile::from_reader(&mut bytes))
}

/// A search for identities.
struct Search {
    plugins: Plugins,
    found: IdentityFile,
    /// The places that were searched, for error messages.
    tried: Vec<String>,
}

impl Search {
    fn take(&mut self, file: IdentityFile) {
        let identities = file.identities.into_iter();
        self.found
            .identities
            .extend(identities.map(|identity| identity.with_plugins(&self.plugins)));
        self.found.locked.extend(file.locked);
    }

    fn look_where_sops_does(&mut self, context: &Context<'_>) -> Result<()> {
        self.look_in_variables(context)?;
        self.look_in_usual_files(context);
        if self.found.identities.is_empty()
            && self.found.locked.is_empty()
            && context.options.identity.is_empty()
        {
            self.tried.push("SOPS_AGE_KEY_FILE (unset), sops/age/keys.txt (absent)".into());
        }
        Ok(())
    }

    fn look_in_variables(&mut self, context: &Context<'_>) -> Result<()> {
        if context.var("SOPS_AGE_KEY_CMD").is_some()
            || context.var("SOPS_AGE_SSH_PRIVATE_KEY_CMD").is_some()
        {
            self.tried.push(
                "SOPS_AGE_KEY_CMD (not run here: $SOPS_AGE_KEY_CMD | bootseal import … --key-fd 0)"
                    .into(),
            );
        }
        if let Some(text) = context.var("SOPS_AGE_KEY") {
            self.take(parse(&key_source::from_variable(&text)?)?);
            self.tried.push("SOPS_AGE_KEY".into());
        }
        for variable in ["SOPS_AGE_KEY_FILE", "SOPS_AGE_SSH_PRIVATE_KEY_FILE"] {
            if let Some(path) = context.var(variable).map(PathBuf::from) {
                let secret = key_source::from_file(&path)?;
                self.take(parse(&secret).map_err(|error| error.in_file(&path))?);
                self.tried.push(variable.into());
            }
        }
        Ok(())
    }

    fn look_in_usual_files(&mut self, context: &Context<'_>) {
        let home = context.var("HOME").or_else(|| context.var("USERPROFILE")).map(PathBuf::from);
        let mut usual: Vec<PathBuf> = context
            .user_folder("APPDATA", "XDG_CONFIG_HOME", ".config")
            .into_iter()
            .map(|folder| folder.join("sops/age/keys.txt"))
            .collect();
        usual.extend(home.iter().flat_map(|home| {
            ["Library/Application Support/sops/age/keys.txt", ".ssh/id_ed25519", ".ssh/id_rsa"]
                .map(|name| home.join(name))
        }));
        for path in usual {
            // These files may serve another purpose, so an unusable one is not an error.
            if let Ok(secret) = key_source::from_file(&path)
                && let Ok(file) = parse(&secret)
            {
                self.tried.push(Shown::path(&path).to_string());
                self.take(file);
            }
        }
    }

    /// Asks for the passphrases of the locked keys that are among the recipients, and of no others.
    fn unlock(&mut self, recipients: &[&str], context: &mut Context<'_>) -> Result<()> {
        let wanted = |key: &LockedKey| {
            let own = key.recipient().to_string();
            recipients.iter().any(|recipient| {
                recipient.split_whitespace().take(2).eq(own.split_whitespace().take(2))
            })
        };
        for key in self.found.locked.iter().filter(|key| wanted(key)) {
            if context.ui.can_ask_passphrase() {
                let passphrase = context
                    .ui
                    .terminal()?
                    .secret(&format!("Passphrase of the {} {}: ", key.what(), short(key)))
                    .map_err(no_answer)?;
                self.found.identities.push(key.unlock(&passphrase)?);
            } else {
                let what = key.what();
                self.tried.push(format!("an {what} whose passphrase could not be asked for"));
            }
        }
        Ok(())
    }
}

fn short(key: &LockedKey) -> String {
    key.recipient().to_string().chars().take(32).collect::<String>() + "…"
}

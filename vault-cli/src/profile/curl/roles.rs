//! The roles of the fields in a request: the user, the password, and other secrets.

use crate::profile::curl::body::Leaf;
use crate::profile::curl::names::{is_password, is_secret, squeezed};
use crate::profile::curl::refusal::refused;
use crate::ui::failure::Result;
use bootseal_core::{Shown, some_names};

/// The fields of user and password, if the options name them.
pub(crate) struct Wanted<'a> {
    pub(crate) username: Option<&'a str>,
    pub(crate) password: Option<&'a str>,
}

/// The field that the user is asked for if it is not clear.
#[derive(Clone, Copy)]
pub(crate) enum Field {
    Username,
    Password,
}

/// Asks which of several fields is meant; returns `None` if none of them is meant.
pub(crate) type Ask<'a> = dyn FnMut(Field, &[&str]) -> Result<Option<String>> + 'a;

/// Names of user fields, the most certain first.
const USERS: &[&[&str]] = &[
    &[
        "username",
        "user",
        "login",
        "loginname",
        "userid",
        "uid",
        "account",
        "accountname",
        "identifier",
        "principal",
        "jusername",
        "benutzer",
    ],
    &["email", "mail", "emailaddress", "useremail", "loginid"],
    &["name", "id"],
];

pub(super) fn give_roles(
    leaves: &mut [Leaf],
    basic: bool,
    oauth: bool,
    wanted: &Wanted<'_>,
    ask: &mut Ask<'_>,
) -> Result<()> {
    // If HTTP Basic already uses `username` and `password`, the values in the body have other
    // names.
    let (user_name, password_name) =
        if basic && !oauth { ("body_username", "body_password") } else { ("username", "password") };
    if let Some(name) = wanted.username {
        leaves[position(leaves, name)?].role = Some(user_name.into());
    }
    if let Some(name) = wanted.password {
        leaves[position(leaves, name)?].role = Some(password_name.into());
    }
    give_client_roles(leaves);
    // With HTTP Basic or a client secret, a login may need no user and password in its body.
    let proven = basic || leaves.iter().any(|leaf| leaf.role.as_deref() == Some("client_secret"));
    if wanted.password.is_none() {
        let named = passwords(leaves);
        if let Some(index) = one_of(leaves, &named, proven, Field::Password, ask)? {
            leaves[index].role = Some(password_name.into());
        }
    }
    if wanted.username.is_none() {
        let named = users(leaves);
        if let Some(index) = one_of(leaves, &named, proven, Field::Username, ask)? {
            leaves[index].role = Some(user_name.into());
        }
    }
    give_secret_roles(leaves);
    if !basic && leaves.iter().all(|leaf| leaf.role.is_none()) {
        return Err(refused("has no credentials: neither -u nor a field that contains them"));
    }
    Ok(())
}

/// Returns the index of the field that an option names.
fn position(leaves: &[Leaf], name: &str) -> Result<usize> {
    leaves.iter().position(|leaf| leaf.name == name).ok_or_else(|| {
        let names: Vec<String> = leaves.iter().map(|leaf| Shown(&leaf.name).to_string()).collect();
        refused(&format!("has no field `{}`", Shown(name)))
            .with_help(format!("Its fields are: {}", some_names(names)))
    })
}

/// The fields that have no role yet.
fn free(leaves: &[Leaf]) -> impl Iterator<Item = usize> {
    (0..leaves.len()).filter(|index| leaves[*index].role.is_none())
}

/// The fields without a role whose names indicate a password.
fn passwords(leaves: &[Leaf]) -> Vec<usize> {
    free(leaves).filter(|index| is_password(&squeezed(&leaves[*index].key))).collect()
}

/// The fields without a role whose names indicate a user, by the most certain names that occur.
fn users(leaves: &[Leaf]) -> Vec<usize> {
    let called = |keys: &&[&str]| -> Vec<usize> {
        free(leaves)
            .filter(|index| keys.contains(&squeezed(&leaves[*index].key).as_str()))
            .collect()
    };
    USERS.iter().map(called).find(|found| !found.is_empty()).unwrap_or_default()
}

/// Assigns the roles of the OAuth client, whose fields always have the same names.
fn give_client_roles(leaves: &mut [Leaf]) {
    for leaf in leaves.iter_mut().filter(|leaf| leaf.role.is_none()) {
        let key = squeezed(&leaf.key);
        if key == "clientid" || key == "clientsecret" {
            leaf.role = Some(if key == "clientid" { "client_id" } else { "client_secret" }.into());
        }
    }
}

/// Gives every other field that looks like a secret a role of the same name, so that the field is
/// sealed too.
fn give_secret_roles(leaves: &mut [Leaf]) {
    for index in 0..leaves.len() {
        let key = squeezed(&leaves[index].key);
        if leaves[index].role.is_none()
            && (is_secret(&key) || is_password(&key))
            && key != "granttype"
        {
            let own = leaves[index]
                .key
                .to_ascii_lowercase()
                .replace(|other: char| !other.is_ascii_alphanumeric(), "_");
            let taken = leaves.iter().any(|leaf| leaf.role.as_deref() == Some(&own))
                || own == "token"
                || own == "totp";
            leaves[index].role = Some(if taken { format!("{own}_{index}") } else { own });
        }
    }
}

/// Returns the only field in `named`. If there is none or more than one, asks the user, unless
/// `named` is empty and the login is `proven`.
fn one_of(
    leaves: &[Leaf],
    named: &[usize],
    proven: bool,
    field: Field,
    ask: &mut Ask<'_>,
) -> Result<Option<usize>> {
    match named {
        [only] => Ok(Some(*only)),
        [] if proven => Ok(None),
        _ => choose(leaves, named, field, ask),
    }
}

/// Asks which field in `named` is meant; if `named` is empty, asks about all fields.
fn choose(
    leaves: &[Leaf],
    named: &[usize],
    field: Field,
    ask: &mut Ask<'_>,
) -> Result<Option<usize>> {
    let open = if named.is_empty() { free(leaves).collect() } else { named.to_vec() };
    if open.is_empty() {
        return Ok(None);
    }
    let names: Vec<&str> = open.iter().map(|index| leaves[*index].name.as_str()).collect();
    let chosen = ask(field, &names)?;
    Ok(chosen.and_then(|name| open.into_iter().find(|index| leaves[*index].name == name)))
}

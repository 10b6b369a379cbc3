//! `bootseal profile --from-curl -`: creates a profile from the vendor's curl command. Nothing in
//! the command is run; one login is made after a confirmation.

use crate::cli;
use crate::commands::profile::draft::{Draft, ask_missing, begin, trust, write};
use crate::context::Context;
use crate::profile::answer_guess::{self, Guess};
use crate::profile::curl::{self, Field, Line, Login, Wanted};
use crate::profile::login_table::LoginTable;
use crate::trust::target::Target;
use crate::ui::failure::{Exit, Failure, Result};
use crate::ui::output::shown_value;
use crate::ui::prompt::no_answer;
use bootseal::{
    HttpTransport, LoginRequest, LoginResponse, Secrets, SystemClock, TokenSource, Transport,
    TransportError,
};
use bootseal_core::{
    Access, Identity, Kind, Pin, Property, PropertyPath, Role, SealedFile, Secret, Shown,
    ValueKind, Vault, VerifiedFile, other_encoding, some_names,
};
use bootseal_memory::SecretBuf;
use std::future::Future;
use std::pin::Pin as Pinned;
use std::sync::{Arc, Mutex, PoisonError};

const MAX_LINE: usize = 256 << 10;

pub(crate) fn run(
    options: &cli::Profile,
    table: &PropertyPath,
    context: &mut Context<'_>,
) -> Result<(), Exit> {
    if options.from_curl.as_deref() != Some("-") {
        let text = "a curl command contains a password, which must never be an argument: --from-curl - reads the command from stdin";
        return Err(Failure::new(Kind::Usage, text).into());
    }
    let (target, file) = begin(options, table, context)?;
    let line = read(context)?;
    if let Some(encoding) = line.expose(other_encoding) {
        let text = format!("the curl command is in {encoding}");
        return Err(Failure::new(Kind::Usage, text).with_help("Save it as UTF-8.").into());
    }
    let Login { url, table: login, sealed, missing, left_out } = line
        .expose_str(|text| {
            let wanted = Wanted {
                username: options.username_field.as_deref(),
                password: options.password_field.as_deref(),
            };
            curl::recognise(Line::read(curl::split(text)?)?, &wanted, &mut |field, names| {
                choose(field, names, context)
            })
        })
        .map_err(|_| Failure::new(Kind::Usage, "the curl command is not text"))??;
    drop(line);
    context.ui.warn(
        "the curl command, with its password, may be in your shell's history: remove it from there",
    );
    context.ui.note_each(left_out.iter().map(|what| format!("left out: {what}")));
    if !missing.is_empty() {
        let names: Vec<String> = missing.iter().map(|name| format!("{table}.{name}")).collect();
        let what = "the curl command has a placeholder or nothing instead of the value";
        context.ui.note(format_args!("{what}: {}", some_names(names)));
    }
    let mut login = LoginTable::new(login);
    trust(&mut login, options)?;
    let fresh: Vec<&str> = missing.iter().map(String::as_str).collect();
    let mut sealed = sealed;
    sealed.extend(ask_missing(fresh.into_iter(), table, &file, context)?);
    let names: Vec<String> = sealed.iter().map(|(name, _)| format!("{table}.{name}")).collect();
    let shown = login.text(&table.child("login")?)?;
    context.ui.note(format_args!(
        "the profile is:\n{}sealed: {}; the profile above is readable for anyone who has the file",
        shown_value(&shown),
        some_names(names)
    ));
    if !options.no_login {
        let (origin, path) = (url.origin().ascii_serialization(), Shown(url.path()));
        let question = format!("Make one real login now, at {origin}{path}, to see the response?");
        if agree(&question, "--yes, or --no-login to write the profile without a login", context)? {
            let mut values = sealed.clone();
            values.extend(there(&missing, table, file, &target)?);
            look(&Trial { table, values }, &mut login, context)?;
        } else {
            context.ui.note(
                "no login was made, so it is not known whether the response contains the token where the profile expects it",
            );
        }
    }
    write(&target, Draft { table: table.clone(), login, readable: Vec::new(), sealed }, context)
}

fn read(context: &mut Context<'_>) -> Result<Secret> {
    if context.ui.stdin_taken {
        return Err(Failure::new(Kind::Usage, "stdin cannot be both a key and the curl command"));
    }
    if context.ui.can_ask() {
        let prompt = "Paste the curl command (it is not shown), then enter an empty line:\n";
        return context.ui.terminal()?.text(prompt).map_err(no_answer);
    }
    let mut page = SecretBuf::with_capacity(4096)?;
    match page.read_to_end(&mut context.ui.stdin, MAX_LINE) {
        Ok(true) => Ok(page.freeze()),
        Ok(false) => Err(Failure::new(Kind::Usage, "the curl command is longer than 256 KiB")),
        Err(error) => {
            Err(Failure::new(Kind::Io, format!("the curl command cannot be read: {error}")))
        }
    }
}

/// Asks which field is the user or the password.
fn choose(field: Field, names: &[&str], context: &mut Context<'_>) -> Result<Option<String>> {
    let (what, option) = match field {
        Field::Username => ("user", "--username-field"),
        Field::Password => ("password", "--password-field"),
    };
    let names: Vec<String> = names.iter().map(|name| Shown(name).to_string()).collect();
    if !context.ui.can_ask_passphrase() {
        let text = format!("it is not clear which field of the curl command is the {what}");
        return Err(Failure::new(Kind::NoTerminal, text)
            .with_help(format!("Name it: {option} {}", names.join(" | "))));
    }
    let question = format!("Which field is the {what} ({}; empty if none)? ", some_names(&names));
    let typed = context.ui.terminal()?.line(&question).map_err(no_answer)?;
    match typed.as_str() {
        "" => Ok(None),
        typed if names.iter().any(|name| name == typed) => Ok(Some(typed.to_owned())),
        _ => Err(Failure::new(Kind::Usage, "there is no such field; nothing was changed")),
    }
}

/// Asks a yes-or-no question at the terminal, even if the curl command came from a pipe.
fn agree(question: &str, option: &str, context: &mut Context<'_>) -> Result<bool> {
    if context.options.yes {
        return Ok(true);
    }
    if !context.ui.can_ask_passphrase() {
        let text = format!("there is no terminal to ask: {question}");
        return Err(
            Failure::new(Kind::NoTerminal, text).with_help(format!("Decide in advance: {option}"))
        );
    }
    context.ui.ask(question)
}

/// A trial login, with a vault in memory.
struct Trial<'a> {
    table: &'a PropertyPath,
    values: Vec<(String, Secret)>,
}

/// Reads the values that are missing in the command and are already in the file.
fn there(
    missing: &[String],
    table: &PropertyPath,
    file: VerifiedFile,
    target: &Target,
) -> Result<Vec<(String, Secret)>> {
    let mut values = Vec::new();
    let mut sealed = Vec::new();
    for name in missing {
        let path = table.child(name)?;
        match file.property(&path) {
            Some(Property::Readable(toml::Value::String(text))) => {
                values.push((name.clone(), Secret::copy_of(text.as_bytes())?));
            }
            Some(Property::Sealed(_)) => sealed.push((name.clone(), path)),
            _ => {}
        }
    }
    if !sealed.is_empty() {
        let opened = file.open(&target.keys().identities)?;
        for (name, path) in sealed {
            values.push((name, opened.open(&path)?.secret));
        }
    }
    Ok(values)
}

impl Trial<'_> {
    fn source(&self, login: &LoginTable, transport: Arc<dyn Transport>) -> Result<TokenSource> {
        let me = Identity::generate()?;
        let mut vault = Vault::create(vec![Access::new("me", Role::Writer, me.recipient())?], "")?;
        for (name, secret) in &self.values {
            vault.set(&self.table.child(name)?, ValueKind::Text, secret, 0)?;
        }
        login.write_to(&mut vault, &self.table.child("login")?)?;
        let pin = Pin::from(vault.file().vault_id());
        let opened = SealedFile::parse(vault.sign()?.into_bytes())?.verify(&[pin])?.open(&[me])?;
        let secrets = Secrets::of(opened)?;
        Ok(secrets.token_source_with(&self.table.to_string(), Arc::new(SystemClock), transport)?)
    }
}

/// Makes one real login, and adjusts the profile to its response.
fn look(trial: &Trial<'_>, login: &mut LoginTable, context: &mut Context<'_>) -> Result<()> {
    let recorder = Arc::new(Recorder { send: true, answer: Mutex::default() });
    let first = trial.source(login, Arc::new(Kept(recorder.clone())))?.token_blocking();
    let recorded = recorder.answer.lock().unwrap_or_else(PoisonError::into_inner).take();
    let failed = match (&recorded, first) {
        (Some(answer), _) if (200..400).contains(&answer.status) => None,
        (_, Err(error)) => Some(Failure::from(error)),
        (_, Ok(_)) => None,
    };
    if let Some(failure) = failed {
        let message = failure.text().lines().next().unwrap_or_default().to_owned();
        if !context.options.yes && context.ui.can_ask_passphrase() {
            context.ui.note(format_args!("the login failed: {message}"));
            if context.ui.ask("Write the profile anyway?")? {
                return Ok(());
            }
        }
        return Err(Failure::new(failure.kind(), message)
            .with_help("Nothing was written. If the profile is correct anyway, add --no-login."));
    }
    let Some(answer) = recorded else { return Ok(()) };
    let status = answer.status;
    let Some(Guess { token, expiry, inject }) = answer_guess::look(&answer) else {
        context.ui.note(format_args!(
            "status {status}; no token was found in the response: set {}.login.token",
            trial.table
        ));
        return Ok(());
    };
    let mut offered = login.clone();
    let mut lines = vec![format!("token = {token}")];
    offered.insert("token", token);
    for (key, value) in [("expiry", expiry), ("inject", inject)] {
        if let Some(value) = value {
            lines.push(format!("{key} = {value}"));
            offered.insert(key, value);
        }
    }
    if status >= 300 {
        lines.push(format!("ok_status = [{status}]"));
        offered.insert("ok_status", vec![toml::Value::Integer(status.into())].into());
    }
    // Reads the same response again with the adjusted profile, without a second login.
    let replay = Arc::new(Recorder { send: false, answer: Mutex::new(Some(answer)) });
    let read = trial.source(&offered, Arc::new(Kept(replay)))?.token_blocking();
    let life = match &read {
        Ok(token) => {
            format!(
                "the token's lifetime is {} s (from: {})",
                token.lifetime().as_secs(),
                token.expiry_from().as_str()
            )
        }
        Err(error) => format!("but the profile cannot read it: {error}"),
    };
    context.ui.note(format_args!(
        "status {status}; the token seems to be here:\n  {}\n{life}",
        lines.join("\n  ")
    ));
    if read.is_ok() && agree("Use these settings?", "--yes", context)? {
        *login = offered;
    }
    Ok(())
}

/// Records the response of a login, or replays a recorded one.
struct Recorder {
    send: bool,
    answer: Mutex<Option<LoginResponse>>,
}

impl Recorder {
    fn keep(&self, answer: &LoginResponse) {
        let copy = LoginResponse {
            status: answer.status,
            headers: answer.headers.clone(),
            body: answer.body.clone(),
        };
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(copy);
    }
}

struct Kept(Arc<Recorder>);

impl Transport for Kept {
    fn send(
        &self,
        request: LoginRequest,
    ) -> Pinned<Box<dyn Future<Output = Result<LoginResponse, TransportError>> + Send>> {
        let Kept(recorder) = self;
        let recorder = recorder.clone();
        Box::pin(async move {
            if !recorder.send {
                let kept = recorder.answer.lock().unwrap_or_else(PoisonError::into_inner).take();
                return kept
                    .ok_or_else(|| TransportError::Broken("no response was recorded".into()));
            }
            let answer = HttpTransport.send(request).await?;
            recorder.keep(&answer);
            Ok(answer)
        })
    }
}

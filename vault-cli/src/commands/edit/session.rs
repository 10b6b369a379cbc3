//! One `edit` session: opens the editor, reads the text back, checks it and writes it into the
//! file; after a mistake, it asks whether to open the editor again.

use crate::commands::edit::banner::{Ask, CONFIRM, Mistake, on_top, own_lines};
use crate::commands::edit::draft::Drafts;
use crate::commands::edit::text::{Text, TextBuffer};
use crate::commands::exec::memory_folder::MemoryFolder;
use crate::context::Context;
use crate::trust::special_tables::SpecialTables;
use crate::trust::target::{Target, broken_profiles};
use crate::ui::editor::{Closed, Editor, Watch};
use crate::ui::failure::{Exit, Failure, Result};
use bootseal_core::{
    CanWrite, Changes, Clash, ClearText, Edited, Error, Kind, Pin, PropertyPath, SealedFile, Shown,
    Side, Taken, Vault, open_source, some_names,
};
use std::io::Write;
use std::path::{Path, PathBuf};

/// The maximum size of a sealed file in bytes.
const LARGEST: usize = 16 << 20;

pub(super) enum Outcome {
    Nothing,
    /// The changes, and the new generation.
    Written(Box<Changes>, u64),
}

/// The state of one `edit` session, in which the editor may open several times.
pub(super) struct Session<'a> {
    target: &'a Target,
    folder: MemoryFolder,
    name: PathBuf,
    /// The version whose text is in the editor.
    pub(super) base: Vault<CanWrite>,
    /// The edited text, until it is written into the file.
    pub(super) unwritten: Option<Text>,
    /// The prefix of bootseal's own lines; no line of the file begins with it.
    mark: String,
}

impl<'a> Session<'a> {
    pub(super) fn begin(
        target: &'a Target,
        base: Vault<CanWrite>,
        context: &mut Context<'_>,
    ) -> Result<Session<'a>> {
        let name = target.path().file_name().map(PathBuf::from).unwrap_or_default();
        // The editor should recognise TOML, but other tools should not take the name for a sealed
        // file.
        let stem =
            name.to_string_lossy().trim_end_matches(".toml").trim_end_matches(".sealed").to_owned();
        let mut mark = "#:".to_owned();
        while base.file().text().lines().any(|line| line.starts_with(&mark)) {
            mark.push(':');
        }
        let folder = MemoryFolder::create(context)?;
        Ok(Session {
            target,
            folder,
            name: format!("{stem}.toml").into(),
            base,
            unwritten: None,
            mark,
        })
    }

    pub(super) fn run(
        &mut self,
        typed: Option<Text>,
        editor: &Editor,
        drafts: Option<&Drafts>,
        context: &mut Context<'_>,
    ) -> Result<Outcome, Exit> {
        let mut watch = Watch::new()?;
        let resumed = typed.is_some();
        self.unwritten = typed.clone();
        let mut text = match typed {
            Some(typed) => typed,
            None => self.clear(&self.base)?,
        };
        if !text.is_guarded() {
            context.ui.warn("too little memory can be locked for the text (ulimit -l): it is in ordinary memory, and is wiped at the end");
        }
        let (mut top, mut last) = self.opening(resumed);
        loop {
            let (typed, confirmed) = self.open_editor(&text, &top, editor, &mut watch)?;
            let changed = !typed.same_as(&text);
            let agreed = |ask| {
                context.options.yes
                    || last.as_ref().is_some_and(|last: &Mistake| last.asks == Some(ask))
                        && confirmed
            };
            let (readable, unchanged) = (agreed(Ask::Readable), agreed(Ask::Unchanged));
            match last.take() {
                // Closing the editor without a change cancels the edit.
                Some(mistake) if !changed && !readable && !unchanged => {
                    return Err(self.given_up(mistake).into());
                }
                None if !changed => {
                    self.unwritten = None;
                    return Ok(Outcome::Nothing);
                }
                _ => {}
            }
            if typed.is_blank() && self.base.file().properties().next().is_some() {
                self.unwritten = None;
                return Err(
                    Failure::new(Kind::Usage, "the text is empty; nothing was changed").into()
                );
            }
            text = typed;
            let taken = text.expose(|text| self.take(text, readable, context));
            match taken {
                Ok(outcome) => {
                    self.unwritten = None;
                    return Ok(outcome);
                }
                Err(mut mistake) => {
                    if let Some(instead) = mistake.instead.take() {
                        self.unwritten = Some(instead.clone());
                        text = instead;
                    }
                    top = on_top(&mistake);
                    let kept = self.keep(drafts, context);
                    if !edits_again(&mistake, kept, &mut watch, context)? {
                        return Err(self.given_up(mistake).into());
                    }
                    last = Some(mistake);
                }
            }
        }
    }

    /// Keeps the edited text before a question, at which a signal may end the program. Returns
    /// whether it is kept; at the end, the draft is saved again or removed.
    fn keep(&self, drafts: Option<&Drafts>, context: &Context<'_>) -> bool {
        let (Some(drafts), Some(text)) = (drafts, &self.unwritten) else { return false };
        context.ui.can_ask()
            && text.expose(|text| drafts.save(&self.base, text, context.now())).is_ok()
    }

    /// The failure of an edit that ends with this mistake.
    fn given_up(&self, mistake: Mistake) -> Failure {
        let place = mistake.place_in_text().map(|place| format!(": {place}")).unwrap_or_default();
        let file = Shown::path(self.target.path());
        mistake.failure.within(&format!("{file}{place}"))
    }

    /// Returns the first lines above the text, and the mistake that they explain, if any: a text
    /// that was `kept` from an unfinished edit is written only after a confirmation.
    fn opening(&self, kept: bool) -> (Vec<String>, Option<Mistake>) {
        if kept {
            let what = "this is the text of the last, unfinished edit; it is not in the file yet";
            let mistake =
                Mistake { asks: Some(Ask::Unchanged), ..Failure::new(Kind::Conflict, what).into() };
            return (on_top(&mistake), Some(mistake));
        }
        let (path, generation) = (Shown::path(self.target.path()), self.base.file().generation());
        let what = "Sealed values are shown as \"secret:…\"; write new ones in the same way.";
        let top = vec![
            format!("{path}, generation {generation}. {what}"),
            "These lines at the top are not kept.".to_owned(),
        ];
        (top, None)
    }

    /// Opens the editor once; returns the edited text, and whether the confirmation line was
    /// deleted. The edited text is kept even if the editor fails.
    fn open_editor(
        &mut self,
        text: &Text,
        top: &[String],
        editor: &Editor,
        watch: &mut Watch,
    ) -> Result<(Text, bool), Exit> {
        let head = self.head(top);
        let path = self.folder.write(&self.name, |out| {
            Ok(out
                .write_all(head.as_bytes())
                .and_then(|()| text.expose(|text| out.write_all(text)))?)
        })?;
        let closed = watch.run(editor, &path, self.folder.path())?;
        let (typed, confirmed) = self.read(&path, &head)?;
        if !typed.same_as(text) {
            self.unwritten = Some(typed.clone());
        }
        match closed {
            Closed::Well => Ok((typed, confirmed)),
            Closed::Signal(number) => Err(Exit::Reported(128 + number)),
            Closed::Badly(how) => Err(Failure::new(
                Kind::Io,
                format!("the editor ended with {how}; nothing was changed"),
            )
            .into()),
        }
    }

    /// The text of a vault with its values in the clear.
    fn clear(&self, vault: &Vault<CanWrite>) -> Result<Text> {
        let mut text = TextBuffer::with_capacity(vault.file().text().len());
        vault.write_clear(&mut text)?;
        Ok(text.finish())
    }

    fn head(&self, top: &[String]) -> String {
        top.iter().map(|line| format!("{} {line}\n", self.mark)).collect()
    }

    /// Reads the edited text without bootseal's own lines, which were written as `head`, and
    /// whether the confirmation line was deleted.
    fn read(&self, path: &Path, head: &str) -> Result<(Text, bool)> {
        let failed = |error: std::io::Error| {
            Failure::from(
                Error::new(Kind::Io, format!("the edited text cannot be read: {error}"))
                    .in_file(path),
            )
        };
        let found = std::fs::symlink_metadata(path).map_err(failed)?;
        if !found.is_file() || found.len() > LARGEST as u64 {
            return Err(Error::new(Kind::Io, "is no longer a regular file of at most 16 MiB")
                .in_file(path)
                .into());
        }
        let length = usize::try_from(found.len()).unwrap_or_default();
        let mut file = open_source(path).map_err(failed)?;
        let mut text = TextBuffer::read(&mut file, length, LARGEST)?;
        let mark = self.mark.as_bytes();
        let (ours, confirmed) = text.expose(|text| {
            let ours = own_lines(text, mark, head.as_bytes());
            let mut lines = text[ours.clone()].split(|byte| *byte == b'\n');
            let confirmed = lines.all(|line| !String::from_utf8_lossy(line).contains(CONFIRM));
            (ours, confirmed)
        });
        text.cut(ours);
        Ok((text.finish(), confirmed))
    }

    /// Writes the edited text into the file, or returns the mistake in it.
    fn take(
        &mut self,
        text: &[u8],
        readable: bool,
        context: &mut Context<'_>,
    ) -> Result<Outcome, Mistake> {
        let text = std::str::from_utf8(text).map_err(|error| {
            let line =
                text[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
            Mistake { place: Some((line, 1)), ..Failure::new(Kind::Malformed, "not UTF-8").into() }
        })?;
        let edit = ClearText::parse(text.strip_prefix('\u{feff}').unwrap_or(text).to_owned())?;
        self.check_tables(&edit)?;
        let broken = broken_profiles(self.base.file());
        let mut edited = self.copy(&self.base)?;
        let now = context.now();
        let Edited { changes, made_readable, .. } = edited.take_edit(&edit, now)?;
        if let Some((_, error)) = broken_profiles(edited.file())
            .into_iter()
            .find(|(table, _)| !broken.iter().any(|(other, _)| other == table))
        {
            return Err(error.into());
        }
        if !made_readable.is_empty() && !readable {
            let names: Vec<String> = made_readable.iter().map(ToString::to_string).collect();
            let what = format!(
                "sealed values would become readable for anyone who has the file: {}",
                some_names(names)
            );
            return Err(Mistake {
                asks: Some(Ask::Readable),
                ..Failure::new(Kind::Conflict, what)
                    .with_help("To keep a value sealed, write it as \"secret:…\".")
                    .into()
            });
        }
        if edited.file().text() == self.base.file().text() {
            return Ok(Outcome::Nothing);
        }
        let mut clash = None;
        let written = self.target.change(context, |vault| {
            let left_out = if vault.file().text() == self.base.file().text() {
                vault.take_edit(&edit, now)?;
                Vec::new()
            } else {
                let (clashes, left_out) = self.merge(vault, &edited, now)?;
                if !clashes.is_empty() {
                    let what = format!("changed by you, and meanwhile by someone else: {}", some_names(clashes.iter().map(|clash| &clash.path)));
                    clash = Some((clashes, self.clear(vault)?));
                    return Err(Failure::new(Kind::Conflict, what)
                        .with_help("Your values are shown below, with the other changes. Edit them, or delete this line, and save."));
                }
                left_out
            };
            Ok((vault.file().generation() + 1, left_out, broken_profiles(vault.file())))
        });
        match (written, clash) {
            (Ok((generation, left_out, broken)), _) => {
                context.ui.warn_each(left_out.iter().map(|comment| {
                    let comment = Shown(comment);
                    format!("a comment that was changed meanwhile was left out: {comment}")
                }));
                // These profiles were broken before: an edit that breaks a profile is refused.
                context.ui.warn_each(broken.into_iter().map(|(_, error)| error));
                Ok(Outcome::Written(Box::new(changes), generation))
            }
            (Err(failure), Some((_, merged))) => {
                // The editor opens again for an edit of the current version.
                self.base = self.current()?;
                Err(Mistake { instead: Some(merged), asks: Some(Ask::Unchanged), ..failure.into() })
            }
            (Err(failure), None) => Err(failure.into()),
        }
    }

    /// Refuses to seal settings that determine where a secret is sent, as `seal` does.
    fn check_tables(&self, edit: &ClearText) -> Result<(), Mistake> {
        let special = SpecialTables::of_edit(edit);
        let was_sealed = |path: &PropertyPath| self.base.file().is_sealed(path) == Some(true);
        match edit.marked().find(|path| special.keep_readable(path) && !was_sealed(path)) {
            None => Ok(()),
            Some(path) => Err(Error::new(
                Kind::Conflict,
                "is marked secret:, and belongs to a login profile or another settings table, which stays readable",
            )
            .at(path)
            .with_help("Make it a value of the table above, and use it as ${name}.")
            .into()),
        }
    }

    /// Merges the edit with changes that others made in the meantime, property by property. If both
    /// changed a property, it takes the value of the edit and reports a clash.
    fn merge(
        &self,
        now_there: &mut Vault<CanWrite>,
        edited: &Vault<CanWrite>,
        now: u64,
    ) -> Result<(Vec<Clash>, Vec<String>)> {
        let (base, ours, theirs) = (Side::of(&self.base)?, Side::of(edited)?, Side::of(now_there)?);
        let mut clashes = Vec::new();
        let choose = |clash: &Clash| {
            clashes.push(clash.clone());
            Some(Taken::Ours)
        };
        let merged = now_there.merge(&base, &ours, &theirs, choose, now)?;
        Ok((clashes, merged.left_out))
    }

    fn copy(&self, vault: &Vault<CanWrite>) -> Result<Vault<CanWrite>, Error> {
        let file = SealedFile::parse(vault.file().text().into_bytes())?
            .verify(&[Pin::from(vault.file().vault_id())])?;
        file.with_plugins(&self.target.keys().plugins)
            .open_for_writing(&self.target.keys().identities)
    }

    /// Opens the file as it is now.
    fn current(&self) -> Result<Vault<CanWrite>> {
        let file =
            SealedFile::read(self.target.path())?.verify(&[Pin::from(self.target.vault_id())])?;
        Ok(file
            .with_plugins(&self.target.keys().plugins)
            .open_for_writing(&self.target.keys().identities)?)
    }
}

/// Asks whether to open the editor again, after showing the mistake; without a terminal, the answer
/// is no: an editor that is a script could make the same mistake for ever.
fn edits_again(
    mistake: &Mistake,
    kept: bool,
    watch: &mut Watch,
    context: &mut Context<'_>,
) -> Result<bool> {
    if !context.ui.can_ask() {
        return Ok(false);
    }
    let place = mistake.place_in_text().map(|place| format!("{place}: ")).unwrap_or_default();
    let question = format!("{place}{}\nEdit the text again?", mistake.failure.text());
    watch.during(|number| end(number, kept), || context.ui.ask_unless_no(&question))?
}

/// Ends the program by a signal while it waits for an answer. Its folder in memory is removed by
/// the process that watches it.
fn end(number: u8, kept: bool) {
    let text = match kept {
        true => "your text is kept, encrypted: `bootseal edit` resumes it",
        false => "your text could not be kept",
    };
    let _ = writeln!(std::io::stderr(), "\nbootseal: warning: {text}");
    std::process::exit(128 + i32::from(number))
}

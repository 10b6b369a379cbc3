//! Blobs of a repository, read one after the other from one git process.

use crate::git::budget::Budget;
use crate::git::command::Running;
use crate::git::repository::Repository;
use crate::ui::failure::{Failure, Result};
use bootseal_core::{Kind, MAX_FILE};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{ChildStdin, ChildStdout, Stdio};

/// `git cat-file --batch`, with both of its pipes.
pub(super) struct Blobs {
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    _child: Running,
}

/// The answer to the request for one blob.
pub(super) enum Answer {
    Blob(Vec<u8>),
    /// It is larger than any sealed file.
    TooLarge,
    /// Git does not have it in this clone.
    Missing,
    /// The budget is spent, and nothing more can be read.
    Spent,
}

impl Blobs {
    pub(super) fn of(repository: &Repository) -> Result<Blobs> {
        let mut command = repository.command(&["cat-file", "--batch"])?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = Running(command.spawn().map_err(failed)?);
        let (Some(to), Some(from)) = (child.0.stdin.take(), child.0.stdout.take()) else {
            return Err(failed(std::io::ErrorKind::BrokenPipe.into()));
        };
        Ok(Blobs { to, from: BufReader::with_capacity(1 << 16, from), _child: child })
    }

    /// Reads a blob.
    pub(super) fn read(&mut self, id: &str, budget: &mut Budget) -> Result<Answer> {
        self.try_read(id, budget).map_err(failed)
    }

    fn try_read(&mut self, id: &str, budget: &mut Budget) -> std::io::Result<Answer> {
        // The answer is read after each request, so that neither pipe fills up.
        writeln!(self.to, "{id}")?;
        self.to.flush()?;
        let mut header = String::new();
        if self.from.read_line(&mut header)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let size = header.split_ascii_whitespace().nth(2);
        let Some(size) = size.and_then(|size| size.parse::<u64>().ok()) else {
            // "ID missing"
            return Ok(Answer::Missing);
        };
        if !budget.spend(size) {
            return Ok(Answer::Spent);
        }
        let mut content = (&mut self.from).take(size);
        let answer = if size <= MAX_FILE as u64 {
            let mut blob = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
            content.read_to_end(&mut blob)?;
            Answer::Blob(blob)
        } else {
            std::io::copy(&mut content, &mut std::io::sink())?;
            Answer::TooLarge
        };
        self.from.read_exact(&mut [0])?;
        Ok(answer)
    }
}

fn failed(error: std::io::Error) -> Failure {
    Failure::new(Kind::Io, format!("git cat-file: {error}"))
}

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

    /// Reads a blob; an empty one if it is missing, or larger than any sealed file. `None` if the
    /// budget is spent, after which nothing more can be read.
    pub(super) fn read(&mut self, id: &str, budget: &mut Budget) -> Result<Option<Vec<u8>>> {
        self.try_read(id, budget).map_err(failed)
    }

    fn try_read(&mut self, id: &str, budget: &mut Budget) -> std::io::Result<Option<Vec<u8>>> {
        // The answer is read after each request, so that neither pipe fills up.
        writeln!(self.to, "{id}")?;
        self.to.flush()?;
        let mut header = String::new();
        self.from.read_line(&mut header)?;
        let size = header.split_ascii_whitespace().nth(2);
        let Some(size) = size.and_then(|size| size.parse::<u64>().ok()) else {
            return Ok(Some(Vec::new()));
        };
        if !budget.spend(size) {
            return Ok(None);
        }
        let mut blob = Vec::new();
        if size <= MAX_FILE as u64 {
            blob.reserve_exact(usize::try_from(size).unwrap_or_default());
            (&mut self.from).take(size).read_to_end(&mut blob)?;
        } else {
            std::io::copy(&mut (&mut self.from).take(size), &mut std::io::sink())?;
        }
        self.from.read_exact(&mut [0])?;
        Ok(Some(blob))
    }
}

fn failed(error: std::io::Error) -> Failure {
    Failure::new(Kind::Io, format!("git cat-file: {error}"))
}

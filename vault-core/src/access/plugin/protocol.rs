//! The protocol of age plugins (C2SP age-plugin) over their pipes, with limits on message size,
//! message count and waiting time.

use crate::access::plugin::user::PluginUser;
use crate::error::{Error, Kind, Result};
use crate::shown::{Brief, Shown};
use base64::Engine;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

const MAX_LINE: usize = 16 * 1024;
const MAX_BODY: usize = 64 * 1024;
const MAX_MESSAGES: usize = 1000;
/// The line length of base64 bodies; a shorter line ends the body.
const COLUMNS: usize = 64;
/// The time limit for a plugin to exit after its stdin is closed.
const TO_END: Duration = Duration::from_secs(2);

/// One stanza of the protocol.
pub(crate) struct Message {
    words: Vec<String>,
    pub(crate) body: Zeroizing<Vec<u8>>,
}

impl Message {
    pub(crate) fn tag(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }

    pub(crate) fn args(&self) -> &[String] {
        self.words.get(1..).unwrap_or_default()
    }

    fn text(&self) -> String {
        Shown(&String::from_utf8_lossy(&self.body)).to_string()
    }
}

/// The reply to a message.
pub(crate) enum Reply {
    Ok,
    Fail,
    Unsupported,
}

/// A running plugin. Two threads serve its pipes, so that a plugin that neither reads nor writes
/// cannot block us.
pub(crate) struct Conversation {
    child: Child,
    input: Option<Sender<Zeroizing<Vec<u8>>>>,
    output: Receiver<std::io::Result<Message>>,
    patience: Duration,
    /// The errors that the plugin reported, and its unanswered questions.
    pub(crate) complaints: Vec<String>,
    /// Whether a question of the plugin was not answered.
    unanswered: bool,
}

impl Conversation {
    pub(crate) fn start(
        program: &Path,
        machine: &str,
        patience: Duration,
    ) -> std::io::Result<Conversation> {
        let mut command = Command::new(program);
        command.arg(format!("--age-plugin={machine}"));
        // The plugin runs in the root folder, because in the current folder it could load files
        // that others have placed there.
        command.current_dir(program.ancestors().last().unwrap_or(program));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().to_ascii_uppercase().starts_with("BOOTSEAL_") {
                command.env_remove(name);
            }
        }
        let mut child = command.spawn()?;
        let (input, to_write) = channel::<Zeroizing<Vec<u8>>>();
        let (heard, output) = sync_channel(1);
        if let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) {
            std::thread::spawn(move || write_all(stdin, &to_write));
            std::thread::spawn(move || read_all(stdout, &heard));
        }
        Ok(Conversation {
            child,
            input: Some(input),
            output,
            patience,
            complaints: Vec::new(),
            unanswered: false,
        })
    }

    /// Queues one message. If the plugin has exited, the next read reports it.
    pub(crate) fn say(&self, tag: &str, args: &[&str], body: &[u8]) {
        if let Some(input) = &self.input {
            let _ = input.send(written(tag, args, body));
        }
    }

    fn hear(&self) -> std::result::Result<Message, String> {
        use std::sync::mpsc::RecvTimeoutError;
        match self.output.recv_timeout(self.patience) {
            Ok(message) => message.map_err(|error| error.to_string()),
            Err(RecvTimeoutError::Timeout) => {
                Err(format!("it did not respond for {} s", self.patience.as_secs_f32()))
            }
            Err(RecvTimeoutError::Disconnected) => Err("it exited before it was done".into()),
        }
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        self.input = None; // closes its stdin
        let started = Instant::now();
        while started.elapsed() < TO_END && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn write_all(mut stdin: ChildStdin, to_write: &Receiver<Zeroizing<Vec<u8>>>) {
    while let Ok(bytes) = to_write.recv() {
        if stdin.write_all(&bytes).and_then(|()| stdin.flush()).is_err() {
            return;
        }
    }
}

fn read_all(stdout: ChildStdout, heard: &SyncSender<std::io::Result<Message>>) {
    let mut stdout = BufReader::new(stdout);
    for _ in 0..MAX_MESSAGES {
        match read(&mut stdout) {
            Ok(None) => return,
            Ok(Some(message)) => {
                if heard.send(Ok(message)).is_err() {
                    return;
                }
            }
            Err(error) => {
                let _ = heard.send(Err(error));
                return;
            }
        }
    }
}

fn written(tag: &str, args: &[&str], body: &[u8]) -> Zeroizing<Vec<u8>> {
    let base64 = Zeroizing::new(BASE64_STANDARD_NO_PAD.encode(body));
    // Reserves the full capacity at once, because growing would leave copies of a secret behind.
    let words: usize = args.iter().map(|word| word.len() + 1).sum();
    let mut text =
        Vec::with_capacity(tag.len() + words + base64.len() + base64.len() / COLUMNS + 8);
    text.extend_from_slice(b"-> ");
    text.extend_from_slice(tag.as_bytes());
    for word in args {
        text.push(b' ');
        text.extend_from_slice(word.as_bytes());
    }
    text.push(b'\n');
    for line in base64.as_bytes().chunks(COLUMNS) {
        text.extend_from_slice(line);
        text.push(b'\n');
    }
    if base64.len().is_multiple_of(COLUMNS) {
        text.push(b'\n');
    }
    Zeroizing::new(text)
}

fn read(source: &mut impl BufRead) -> std::io::Result<Option<Message>> {
    let broken = || {
        std::io::Error::new(
            std::io::ErrorKind::InvalidData,
            "its output is not the protocol of age plugins",
        )
    };
    let Some(first) = line(source)? else { return Ok(None) };
    let words = std::str::from_utf8(&first)
        .ok()
        .and_then(|text| text.strip_prefix("-> "))
        .ok_or_else(broken)?;
    let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
    if !words
        .iter()
        .all(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_graphic()))
    {
        return Err(broken());
    }
    let mut base64 = Zeroizing::new(Vec::with_capacity(4096));
    loop {
        let line = line(source)?.ok_or_else(broken)?;
        if line.len() > COLUMNS || base64.len() + line.len() > MAX_BODY {
            return Err(broken());
        }
        base64.extend_from_slice(&line);
        if line.len() < COLUMNS {
            break;
        }
    }
    let body = BASE64_STANDARD_NO_PAD.decode(&*base64).map_err(|_| broken())?;
    Ok(Some(Message { words, body: Zeroizing::new(body) }))
}

/// One line without its newline; `None` at the end.
fn line(source: &mut impl BufRead) -> std::io::Result<Option<Zeroizing<Vec<u8>>>> {
    let mut line = Zeroizing::new(Vec::with_capacity(128));
    let read = source.take(MAX_LINE as u64).read_until(b'\n', &mut line)?;
    match line.pop() {
        Some(b'\n') => Ok(Some(line)),
        None if read == 0 => Ok(None),
        _ => Err(std::io::Error::new(
            std::io::ErrorKind::InvalidData,
            "its output is truncated, or has a line that is too long",
        )),
    }
}

/// A conversation in which the plugin may ask the user questions.
pub(crate) struct Session {
    pub(crate) talk: Conversation,
    pub(crate) plugin: String,
    pub(crate) user: Option<Arc<dyn PluginUser>>,
}

impl Session {
    /// Serves the plugin until it is done. This function handles errors and questions to the user,
    /// and `take` replies to all other messages.
    pub(crate) fn answer(&mut self, mut take: impl FnMut(&Message) -> Reply) -> Result<()> {
        loop {
            let message = self.talk.hear().map_err(|what| self.failed(&what))?;
            let reply = match message.tag() {
                "done" => return Ok(()),
                "msg" => {
                    if let Some(user) = &self.user {
                        user.show(&self.plugin, &message.text());
                    }
                    Reply::Ok
                }
                "confirm" => match self.confirm(&message) {
                    Some(yes) => {
                        self.talk.say("ok", &[if yes { "yes" } else { "no" }], &[]);
                        continue;
                    }
                    None => Reply::Fail,
                },
                tag @ ("request-public" | "request-secret") => {
                    let asked = self.user.as_ref().and_then(|user| match tag {
                        "request-secret" => user.ask_secret(&self.plugin, &message.text()),
                        _ => user.ask(&self.plugin, &message.text()),
                    });
                    match asked {
                        Some(answer) => {
                            answer.expose(|answer| self.talk.say("ok", &[], answer));
                            continue;
                        }
                        None => self.unanswered(&message),
                    }
                }
                "error" => {
                    self.talk
                        .complaints
                        .push(Brief(&String::from_utf8_lossy(&message.body)).to_string());
                    Reply::Ok
                }
                _ => take(&message),
            };
            let word = match reply {
                Reply::Ok => "ok",
                Reply::Fail => "fail",
                Reply::Unsupported => "unsupported",
            };
            self.talk.say(word, &[], &[]);
        }
    }

    fn confirm(&mut self, message: &Message) -> Option<bool> {
        let label = |index: usize| {
            let bytes = BASE64_STANDARD_NO_PAD.decode(message.args().get(index)?).ok()?;
            Some(Shown(&String::from_utf8_lossy(&bytes)).to_string())
        };
        let (yes, no) = (label(0)?, label(1));
        let user = self.user.as_ref();
        let answer =
            user.and_then(|user| user.confirm(&self.plugin, &message.text(), &yes, no.as_deref()));
        if answer.is_none() {
            self.unanswered(message);
        }
        answer
    }

    fn unanswered(&mut self, message: &Message) -> Reply {
        let asked = message.text();
        self.talk.unanswered = true;
        self.talk.complaints.push(format!("its question was not answered: {}", Brief(&asked)));
        Reply::Fail
    }

    /// The error of a session that failed.
    pub(crate) fn failed(&self, what: &str) -> Error {
        let message = match self.talk.complaints.as_slice() {
            [] => what.to_owned(),
            message => message.join("; "),
        };
        let kind = if self.talk.unanswered { Kind::NoTerminal } else { Kind::NoIdentity };
        Error::new(kind, format!("the plugin {} failed: {message}", self.plugin))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &[u8]) -> std::io::Result<Option<Message>> {
        read(&mut BufReader::new(text))
    }

    #[test]
    fn a_written_message_is_read_back() {
        for length in [0, 1, 47, 48, 49, 96, 500] {
            let body = vec![7; length];
            let text = written("file-key", &["0", "x"], &body);
            let message = read_text(&text).unwrap().unwrap();
            assert_eq!(
                (message.tag(), message.args().len(), message.body.to_vec()),
                ("file-key", 2, body)
            );
        }
    }

    #[test]
    fn oversized_truncated_and_malformed_messages_are_refused() {
        let long = [b"-> x\n".as_slice(), &[b'A'; 70]].concat();
        let endless =
            [b"-> x\n".to_vec(), [vec![b'A'; 64], b"\n".to_vec()].concat().repeat(2000)].concat();
        let line = vec![b'-'; MAX_LINE + 1];
        for bad in [
            b"hello\n\n".as_slice(),
            b"-> \n\n",
            b"-> a  b\n\n",
            b"-> a\n",
            b"-> a\n!!\n",
            b"-> a\n\xff\n",
            &long,
            &endless,
            &line,
        ] {
            assert!(
                read_text(bad).is_err(),
                "{:?}",
                String::from_utf8_lossy(&bad[..bad.len().min(20)])
            );
        }
        assert!(read_text(b"").unwrap().is_none());
    }

    #[cfg(unix)]
    #[test]
    fn a_silent_plugin_times_out() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("age-plugin-silent");
        // A shell writes the program. If this process had it open for writing, a fork in another
        // test could inherit the descriptor, and running the program would fail as busy.
        let write = "printf '#!/bin/sh\\nexec sleep 60\\n' > \"$0\" && chmod 755 \"$0\"";
        let written = Command::new("sh").arg("-c").arg(write).arg(&program).status().unwrap();
        assert!(written.success());
        let started = Instant::now();
        let mut talk =
            Conversation::start(&program, "identity-v1", Duration::from_millis(20)).unwrap();
        let error = talk.hear().err().unwrap();
        assert!(error.starts_with("it did not respond for 0.02"), "{error}");
        // `sleep` ignores that its stdin is closed: without this, dropping would wait for `TO_END`.
        talk.child.kill().unwrap();
        drop(talk);
        assert!(started.elapsed() < Duration::from_secs(30));
    }
}

//! The options of a curl command. An option that a profile cannot express is refused with a reason;
//! an option that only affects output is ignored.

use crate::profile::curl::refusal::refused;
use crate::profile::curl::words::Word;
use crate::ui::failure::{Failure, Result};
use zeroize::Zeroizing;

/// The options of a curl command.
#[derive(Default)]
pub(crate) struct Line {
    pub(super) url: Option<Word>,
    pub(super) method: Option<String>,
    /// Name and value.
    pub(super) headers: Vec<(String, Word)>,
    pub(super) data: Vec<Data>,
    /// Whether `--json` was given.
    pub(super) json: bool,
    /// The argument of `-u`.
    pub(super) user: Option<Word>,
    pub(super) proxy: Option<String>,
    /// Remarks on the options that were left out.
    pub(crate) left_out: Vec<&'static str>,
}

pub(crate) enum Data {
    /// Sent as it is.
    Raw(Word),
    /// Name and value of a form field, not yet encoded.
    Pair(Word, Word),
}

/// Long options with an argument that are relevant for a profile.
const CARRIED_OVER: &[&str] = &[
    "--request",
    "--header",
    "--data",
    "--data-ascii",
    "--data-raw",
    "--data-binary",
    "--data-urlencode",
    "--json",
    "--user",
    "--url",
    "--cookie",
    "--proxy",
    "--cacert",
];
/// Long options with an argument that are irrelevant for a profile.
const PASSED_OVER: &[&str] = &[
    "--user-agent",
    "--referer",
    "--output",
    "--write-out",
    "--max-time",
    "--connect-timeout",
    "--retry",
    "--retry-delay",
    "--cookie-jar",
    "--dump-header",
    "--trace",
    "--trace-ascii",
    "--max-redirs",
    "--limit-rate",
    "--interface",
    "--resolve",
];
/// Long options without an argument that are irrelevant for a profile.
const FLAGS: &[&str] = &[
    "--silent",
    "--show-error",
    "--verbose",
    "--include",
    "--location",
    "--location-trusted",
    "--compressed",
    "--fail",
    "--fail-with-body",
    "--http1.1",
    "--http2",
    "--http1.0",
    "--ipv4",
    "--ipv6",
    "--no-buffer",
    "--globoff",
    "--basic",
    "--progress-bar",
    "--no-progress-meter",
    "--tlsv1.2",
    "--tlsv1.3",
    "--path-as-is",
    "--remote-name",
    "--no-keepalive",
];

impl Line {
    pub(crate) fn read(words: Vec<Word>) -> Result<Line> {
        let mut words = words.into_iter();
        let program = words.next().ok_or_else(|| refused("is empty"))?;
        let name = program.rsplit(['/', '\\']).next().unwrap_or_default();
        if !["curl", "curl.exe"].contains(&name) {
            return Err(refused("does not begin with `curl`"));
        }
        let mut line = Line::default();
        while let Some(word) = words.next() {
            if let Some(long) = word.strip_prefix("--") {
                let (name, glued) = match long.split_once('=') {
                    Some((name, value)) => (name, Some(Zeroizing::new(value.to_owned()))),
                    None => (long, None),
                };
                line.option(&format!("--{name}"), glued, &mut words)?;
            } else if word.len() > 1 && word.starts_with('-') {
                line.short(&word[1..], &mut words)?;
            } else {
                line.address(word)?;
            }
        }
        Ok(line)
    }

    fn address(&mut self, word: Word) -> Result<()> {
        match self.url.replace(word) {
            None => Ok(()),
            Some(_) => Err(refused("has two addresses, or a word that is not an option")
                .with_help("Check for a missing quote.")),
        }
    }

    /// Reads short options such as `-sSLX POST`: flags can be combined, and an argument may follow
    /// the last one directly.
    fn short(&mut self, mut cluster: &str, words: &mut impl Iterator<Item = Word>) -> Result<()> {
        while let Some(letter) = cluster.chars().next() {
            cluster = &cluster[letter.len_utf8()..];
            let long = match letter {
                'X' => "--request",
                'H' => "--header",
                'd' => "--data",
                'F' => "--form",
                'u' => "--user",
                'G' => "--get",
                'b' => "--cookie",
                'k' => "--insecure",
                'E' => "--cert",
                'x' => "--proxy",
                'T' => "--upload-file",
                'K' => "--config",
                'n' => "--netrc",
                'A' => "--user-agent",
                'e' => "--referer",
                'o' => "--output",
                'w' => "--write-out",
                'm' => "--max-time",
                'c' => "--cookie-jar",
                'D' => "--dump-header",
                'I' => "--head",
                's' | 'S' | 'v' | 'i' | 'L' | 'f' | '4' | '6' | 'N' | 'g' | '#' | 'O' | '0' => {
                    continue;
                }
                _ => return Err(unknown()),
            };
            if ["--get", "--insecure", "--netrc", "--head"].contains(&long) {
                self.option(long, None, words)?;
                continue;
            }
            let glued = (!cluster.is_empty()).then(|| Zeroizing::new(cluster.to_owned()));
            return self.option(long, glued, words);
        }
        Ok(())
    }

    fn option(
        &mut self,
        name: &str,
        glued: Option<Word>,
        words: &mut impl Iterator<Item = Word>,
    ) -> Result<()> {
        if FLAGS.contains(&name) {
            return Ok(());
        }
        if let Some(why) = inexpressible(name) {
            return Err(refused(why));
        }
        if name == "--insecure" {
            self.left_out.push(
                "-k: a profile always verifies the vendor's certificate; for a private CA, set `ca` in the profile",
            );
            return Ok(());
        }
        if !CARRIED_OVER.contains(&name) && !PASSED_OVER.contains(&name) {
            return Err(unknown());
        }
        let value = glued
            .or_else(|| words.next())
            .ok_or_else(|| refused("ends with an option whose argument is missing"))?;
        match name {
            "--request" => self.method = Some(value.to_ascii_uppercase()),
            "--header" => self.header(&value)?,
            "--data" | "--data-ascii" | "--data-binary" => self.data.push(Data::Raw(no_file(value)?)),
            "--data-raw" => self.data.push(Data::Raw(value)),
            "--json" => {
                self.json = true;
                self.data.push(Data::Raw(no_file(value)?));
            }
            "--data-urlencode" => self.data.push(form_field(&value)?),
            "--user" => self.user = Some(value),
            "--url" => self.address(value)?,
            "--cookie" => {
                self.left_out.push("cookies (-b): they belong to one browser; use `before` to fetch those that the login needs")
            }
            "--proxy" => self.proxy = Some(value.to_string()),
            "--cacert" => self.left_out.push("--cacert: name the file with --ca instead"),
            _ => {}
        }
        Ok(())
    }

    fn header(&mut self, text: &str) -> Result<()> {
        if text.starts_with('@') {
            return Err(file());
        }
        // `Name:` removes a header and `Name;` sends it empty: neither matters here.
        if let Some((name, value)) =
            text.split_once(':').filter(|(_, value)| !value.trim().is_empty())
        {
            self.headers.push((name.trim().to_owned(), Zeroizing::new(value.trim().to_owned())));
        }
        Ok(())
    }
}

/// Returns the reason why an option cannot be part of a login profile; `None` if it can.
fn inexpressible(name: &str) -> Option<&'static str> {
    Some(match name {
        "--form" | "--form-string" => "sends multipart/form-data (-F), which a profile cannot do",
        "--get" => {
            "puts its data into the address (-G), which is written to logs; a profile sends secrets in the body or a header"
        }
        "--upload-file" => "sends a file (-T)",
        "--config" => "takes its options from a file (-K), and files are not read",
        "--netrc" | "--netrc-file" | "--netrc-optional" => {
            "takes the password from a .netrc file, and files are not read"
        }
        "--digest" | "--ntlm" | "--negotiate" | "--anyauth" => {
            "logs in by a scheme other than Basic, which a profile cannot do"
        }
        "--oauth2-bearer" => "contains a token already, so it is a call and not a login",
        "--cert" | "--key" => {
            "uses a client certificate: seal it, and add client_cert and client_key to the profile"
        }
        "--head" => "requests only headers (-I), which is not a login",
        _ => return None,
    })
}

/// The argument of `--data-urlencode`: `name=content`, or the content alone.
fn form_field(text: &str) -> Result<Data> {
    let (name, content) = match text.find(['=', '@']) {
        Some(at) if text[at..].starts_with('=') => (&text[..at], &text[at + 1..]),
        Some(_) => return Err(file()),
        None => ("", text),
    };
    Ok(Data::Pair(Zeroizing::new(name.to_owned()), Zeroizing::new(content.to_owned())))
}

/// The error does not show the option, which may be a secret if a quote is missing.
fn unknown() -> Failure {
    refused("has an unknown option").with_help(
        "Check for a missing quote. If the login works without the option, leave it out.",
    )
}

fn no_file(value: Word) -> Result<Word> {
    if value.starts_with('@') { Err(file()) } else { Ok(value) }
}

fn file() -> Failure {
    refused("reads data from a file (@…), and files are not read")
        .with_help("Replace it with the content of the file.")
}

//! What can be typed? Verbs and options, with the texts of `--help`.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Seals credentials into a file that can lie in git: names readable, values encrypted one by one, the whole signed.
#[derive(Debug, Parser)]
#[command(
    name = "bootseal",
    version,
    max_term_width = 100,
    arg_required_else_help = true,
    disable_help_subcommand = true
)]
#[command(
    after_help = "Begin with: bootseal init, bootseal set acme.password, bootseal access add web1 --new-key web1.key\nA login at a vendor: bootseal profile --help; without credentials: bootseal vendor --help"
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalOptions,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// Options that every verb takes.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Everywhere")]
pub(crate) struct GlobalOptions {
    /// The sealed file [default: BOOTSEAL_FILE, else the one *.sealed.toml in this folder]; some verbs take several, also as a pattern
    #[arg(short, long, global = true, value_name = "FILE")]
    pub(crate) file: Vec<PathBuf>,
    /// A file with an age identity, a plugin's, or an SSH key; `-` for stdin; repeatable [default: BOOTSEAL_IDENTITY, else your own, then ~/.ssh]
    #[arg(short, long, global = true, value_name = "FILE")]
    pub(crate) identity: Vec<PathBuf>,
    /// Read a passphrase from this descriptor instead of the terminal, to its end; 0 is stdin
    #[arg(long, global = true, value_name = "N")]
    pub(crate) passphrase_fd: Option<u32>,
    /// Fail unless the file is this vault's (at generation N or later); repeatable
    #[arg(long, global = true, value_name = "VAULT[@N]")]
    pub(crate) pin: Vec<String>,
    /// Answer yes to what would be asked
    #[arg(long, global = true)]
    pub(crate) yes: bool,
    /// One JSON document on stdout; errors too, on stderr
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Only warnings and errors on stderr
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Say more
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
    /// Colours on stderr
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: When,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    #[default]
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Make an age identity, and print its recipient
    #[command(
        after_help = "Examples:\n  bootseal keygen\n  bootseal keygen -o web1.key\n  bootseal keygen -y web1.key"
    )]
    Keygen(Keygen),
    /// Make an empty vault, and print its id
    #[command(
        after_help = "Examples:\n  bootseal init\n  bootseal init -f app.sealed.toml --writer alice=age1… --reader web1=age1…"
    )]
    Init(Init),
    /// Turn a settings file in clear into a sealed one
    #[command(
        after_help = "Examples:\n  bootseal seal app.properties --plain '*.url'\n  bootseal seal app.toml                    (seals what is written \"secret:…\", or all)\n  bootseal seal more.properties -f app.sealed.toml   (adds to a file that is there)\n  bootseal seal .env                        (makes env.sealed.toml)\n  bootseal seal - --format json -o app.sealed.toml < settings\n\n\
                      Nothing in an input is expanded or run: ${…} and $(…) are taken as they are.\n\
                      .env: names are taken whole, A.B is one name; of two the last one counts.\n\
                      JSON and YAML: objects become tables, an array is one value; null, a name that stands\n\
                      twice and a number beyond 64 bits are errors. YAML is read as 1.2 says: true and false\n\
                      are booleans; yes, no, on, off, 0123, 1_000 and 12:30 without quotes are text (with a\n\
                      warning); aliases, merge keys and tags are errors."
    )]
    Seal(Seal),
    /// Seal one value
    #[command(
        after_help = "Examples:\n  bootseal set acme.password                (asks, without echo)\n  pass show acme | bootseal set acme.password\n  bootseal set tls.key --from-file server.key\n  bootseal set acme.timeout --plain 10s"
    )]
    Set(Set),
    /// Take a property out
    #[command(
        after_help = "Examples:\n  bootseal unset acme.password_next\n  bootseal unset acme.password -f 'deploy/*.sealed.toml'"
    )]
    Unset(Unset),
    /// Give a property another name; a sealed value keeps its date
    #[command(
        after_help = "Examples:\n  bootseal rename acme.pasword acme.password\n  bootseal rename acme.password_next acme.password --force"
    )]
    Rename(Rename),
    /// Propose a value for a vault that you need not be able to open; one of its writers accepts it
    #[command(
        after_help = "Examples:\n  bootseal propose acme.password --to app.sealed.toml -o acme.proposal      (asks, without echo)\n  pass show acme | bootseal propose acme.password --to app.sealed.toml --note 'the new one'"
    )]
    Propose(Propose),
    /// Look at a proposed value's name and note, and seal it
    #[command(after_help = "Examples:\n  bootseal accept acme.proposal\n  bootseal accept - --yes < acme.proposal")]
    Accept(Accept),
    /// Print one value
    #[command(
        after_help = "Examples:\n  bootseal get acme.password | psql …\n  bootseal get tls.key --out server.key\n  bootseal get acme.password --clip"
    )]
    Get(Get),
    /// Show names, and when each value was given; never a value
    #[command(
        after_help = "Examples:\n  bootseal list\n  bootseal list acme --json\n  bootseal list -f 'deploy/*.sealed.toml'"
    )]
    List(List),
    /// Change the whole file in your editor, where sealed values stand as "secret:…"
    #[command(
        after_help = "Examples:\n  bootseal edit\n  EDITOR='code --wait' bootseal edit -f deploy/prod.sealed.toml\n\n\
                      The editor is $VISUAL, else $EDITOR, else vi. The text lies in a memory file system only, and goes when\n\
                      the editor or bootseal ends. vi, vim, nvim, nano and emacs start without swap, undo, backup and\n\
                      history files. What is new and is to be sealed is written \"secret:…\" too; what you do not touch keeps\n\
                      its sealed text, and what goes on under another name its date. A number that is sealed stands as\n\
                      \"secret:443\" and stays one; bytes stand as \"secret:base64:…\". After a mistake the editor opens again with\n\
                      the error on top. What was typed and could not be written is kept sealed, and `bootseal edit` goes on with it."
    )]
    Edit,
    /// Check signature, pin and shape; with an identity also every value
    #[command(after_help = "Examples:\n  bootseal verify\n  bootseal verify --pin vault1…@41 deploy/*.sealed.toml")]
    Verify(Verify),
    /// Who may: show and change it
    #[command(subcommand, arg_required_else_help = true)]
    Access(Access),
    /// New keys: every value is sealed anew, and old key blocks open nothing new
    #[command(
        after_help = "Examples:\n  bootseal rotate\n  bootseal rotate -f 'deploy/*.sealed.toml'\n  bootseal rotate --signing-key   (a new vault id too: pins are to be renewed)"
    )]
    Rotate(Rotate),
    /// What changed between two versions, by name
    #[command(
        after_help = "Examples:\n  bootseal diff                              (HEAD against what lies here)\n  bootseal diff main app.sealed.toml\n  bootseal diff HEAD~2:app.sealed.toml app.sealed.toml --reveal\n  bootseal diff --names dev.sealed.toml prod.sealed.toml"
    )]
    Diff(Diff),
    /// Accept what was edited by hand: shows exactly what changes, asks, signs
    #[command(
        after_help = "Examples:\n  bootseal sign                 (against the newest version that verifies in git)\n  bootseal sign --against backup.sealed.toml\n  git revert HEAD; bootseal sign --older   (makes the old content new)"
    )]
    Sign(Sign),
    /// Make a valid file of a merge that git could not do; the sides come from git
    #[command(
        after_help = "Examples:\n  bootseal resolve app.sealed.toml\n  bootseal resolve app.sealed.toml --take theirs --yes"
    )]
    Resolve(Resolve),
    /// Teach a git repository to show, merge and check sealed files
    #[command(subcommand, arg_required_else_help = true)]
    Git(Git),
    /// Write how to log in at a vendor: from a preset, another vault, or the vendor's own curl line
    #[command(
        after_help = "Examples:\n  bootseal profile --list\n  bootseal profile acme --preset simplejwt --url https://api.acme.example\n  bootseal profile acme --preset keycloak --url https://sso.acme.example/realms/main\n  bootseal profile acme --from-curl -              (paste the line, then an empty line)\n  bootseal profile acme --from app.sealed.toml --url http://127.0.0.1:8600 -f dev.sealed.toml\n\n\
                      What the profile needs and the file does not have yet (user, password) is asked for without\n\
                      echo, and sealed. --url is the vendor's address, to which the preset adds its path, or the\n\
                      whole address of the login.\n\
                      --from-curl runs nothing and expands nothing: user and password are taken out of the line\n\
                      and sealed, and after a yes one real login is made, to see where the token is.\n\n\
                      Then: bootseal login NAME; without credentials of a vendor: bootseal vendor NAME"
    )]
    Profile(Profile),
    /// Log in for real, and say what came back
    #[command(
        after_help = "Examples:\n  bootseal login acme\n  bootseal login acme --call https://api.acme.example/v1/orders"
    )]
    Login(Login),
    /// Print every value in clear, into a pipe: to a terminal or a file only with --force
    #[command(
        after_help = "Examples:\n  eval \"$(bootseal export --format sh)\"\n  bootseal export --format properties | java -jar app.jar --config /dev/stdin\n  bootseal export --format json | jq -r .acme.user\n\n\
                      Names: toml, json and yaml keep tables; properties joins names with dots; env and sh write them in\n\
                      capitals, everything but letters and digits as `_`. Two that meet are an error. Login, route and fleet\n\
                      tables are left out, and values that the format cannot hold (bytes) are, with a warning."
    )]
    Export(Export),
    /// Open another tool's file, and seal what it holds
    #[command(
        after_help = "Examples:\n  bootseal import --from sops secrets.yaml -o app.sealed.toml\n  bootseal import --from ansible-vault group_vars/all/vault.yml -o app.sealed.toml\n  bootseal import --from jasypt application.properties -o app.sealed.toml --key-file password.txt\n  bootseal import --from dotenvx .env.production -f app.sealed.toml --as shop   (adds to a file that is there)\n  bootseal import --from spring application.yml -o app.sealed.toml --key-fd 3 3< encrypt.key\n\n\
                      What was sealed there is sealed here, what was readable there stays readable. Nothing in the file is\n\
                      run or expanded. The key: --key-file or --key-fd, else where the tool itself looks (SOPS_AGE_KEY_FILE\n\
                      and sops/age/keys.txt; ANSIBLE_VAULT_PASSWORD_FILE; JASYPT_ENCRYPTOR_PASSWORD; .env.keys beside the\n\
                      file, DOTENV_PRIVATE_KEY; ENCRYPT_KEY), else it is asked for without echo. A password file that is a\n\
                      program is not run. The old file stays: it goes on holding the values."
    )]
    Import(Import),
    /// Be the vendor of a profile, on this machine: to develop against it without credentials
    #[command(
        after_help = "Examples:\n  bootseal vendor acme\n  bootseal vendor acme --revoke-every 30s\n  bootseal vendor acme --refuse --slow=2s\n\n\
                      It answers as the profile says: the same paths and shapes, a token where the profile looks\n\
                      for it, with a life that is told as the profile reads it. Every user and password is let in.\n\
                      Where the profile's own address is on this machine (http://127.0.0.1:8600) it answers there.\n\
                      It prints its address, says each request without secrets, and ends on Ctrl-C."
    )]
    Vendor(Vendor),
    /// Look for what is easily overlooked; each finding with the command that mends it
    #[command(
        after_help = "Examples:\n  bootseal doctor\n  bootseal doctor -f 'deploy/*.sealed.toml'\n  bootseal doctor --json -i /etc/payments/bootseal.key\n\n\
                      Looks at: modes of the file and of key files; who vouches for the file; writers; passphrases;\n\
                      profiles; with an identity, also values that are older than a year or known to someone who\n\
                      was removed; and on Linux at swap, core dumps, tracing and locked memory.\n\
                      Exit code: 0 nothing found, 1 something found; an error keeps its own (3: not authentic)."
    )]
    Doctor,
    /// Print the script that completes verbs, options, files, and names out of the sealed file
    #[command(
        after_help = "Examples:\n  bash:        bootseal completions bash > ~/.local/share/bash-completion/completions/bootseal\n  zsh:         bootseal completions zsh > \"${fpath[1]}/_bootseal\"\n  fish:        bootseal completions fish > ~/.config/fish/completions/bootseal.fish\n  PowerShell:  bootseal completions powershell >> $PROFILE"
    )]
    Completions(Completions),
    /// Print the manual page, or write the pages of all verbs
    #[command(after_help = "Examples:\n  bootseal man | man -l -\n  bootseal man --out ~/.local/share/man/man1")]
    Man(Man),
    /// What `get --clip` leaves behind
    #[command(hide = true)]
    ClearClipboard(ClearClipboard),
    /// Run a program with values in its environment, or as files in memory
    #[command(
        after_help = "Examples:\n  bootseal exec -- ./server                      (acme.password is ACME_PASSWORD)\n  bootseal exec --only db -- pg_dump orders\n  bootseal exec --env PGPASSWORD=db.password -- psql\n  bootseal exec --env-file .env -- npm start     (DB_PASSWORD=bootseal:db.password)\n  bootseal exec --files -- sh -c 'java -jar app.jar --spring.config.import=configtree:$BOOTSEAL_FILES/'\n  bootseal exec --files=/dev/shm/app --flat -- python app.py    (pydantic: secrets_dir='/dev/shm/app')\n  bootseal exec --on-change restart -- ./server\n\n\
                      Without --only, --env and --env-file all properties are passed, but those of login, route, gateway\n\
                      and fleet tables; with any of them, what they name. With --files what --only names, or all, becomes\n\
                      files, and the environment holds only what --env and --env-file name. The program takes the place of\n\
                      bootseal, so signals, exit code and terminal are its own. BOOTSEAL_IDENTITY and its like do not reach it.\n\
                      The files go when the program ends, however it ends. With --on-change bootseal stays, to look after the\n\
                      sealed file. Exit codes: 125 own failure, 126 not executable, 127 not found, else the program's."
    )]
    Exec(Exec),
    /// What empties a folder in memory when its process has ended
    #[command(hide = true)]
    Sweep,
}

#[derive(Debug, Args)]
pub(crate) struct Keygen {
    /// Where the identity goes [default: your own, bootseal/identity.txt in the configuration folder]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Lock it by a passphrase, which is asked for wherever it is to open something
    #[arg(long, conflicts_with = "of")]
    pub(crate) passphrase: bool,
    /// Put a new identity in the place of one that is there, which is set aside
    #[arg(long, conflicts_with = "of")]
    pub(crate) force: bool,
    /// Print the recipient of an identity that is there
    #[arg(short = 'y', long = "recipient", value_name = "FILE", conflicts_with = "output")]
    pub(crate) of: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// Someone who may change the file; repeatable [default: you]
    #[arg(long, value_name = "NAME=RECIPIENT")]
    pub(crate) writer: Vec<String>,
    /// Someone who may open the values; repeatable
    #[arg(long, value_name = "NAME=RECIPIENT")]
    pub(crate) reader: Vec<String>,
    /// Take over the access list of this sealed file, which a pin or this machine must know
    #[arg(long, value_name = "FILE")]
    pub(crate) like: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Seal {
    /// A .toml, .properties, .env, .json or .yaml file, or `-` for stdin with --format
    #[arg(value_name = "INPUT")]
    pub(crate) input: PathBuf,
    /// The new sealed file [default: INPUT's name with .sealed.toml]; -f names one that is there, to add to it
    #[arg(short, long, value_name = "FILE", conflicts_with = "file")]
    pub(crate) output: Option<PathBuf>,
    /// Seal only what matches; repeatable
    #[arg(long, value_name = "GLOB")]
    pub(crate) only: Vec<String>,
    /// Keep readable what matches; repeatable
    #[arg(long, value_name = "GLOB")]
    pub(crate) plain: Vec<String>,
    /// What the input is, where its name does not tell
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<Format>,
    /// Someone who may change the new file; repeatable [default: you]
    #[arg(long, value_name = "NAME=RECIPIENT")]
    pub(crate) writer: Vec<String>,
    /// Someone who may open the values of the new file; repeatable
    #[arg(long, value_name = "NAME=RECIPIENT")]
    pub(crate) reader: Vec<String>,
    /// Overwrite and remove INPUT when all is sealed
    #[arg(long)]
    pub(crate) shred: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Toml,
    Properties,
    Env,
    Json,
    Yaml,
}

#[derive(Debug, Args)]
pub(crate) struct Set {
    /// The property, a TOML dotted key: acme.password
    pub(crate) path: String,
    /// `-`: the value comes from stdin, as it does when stdin is no terminal
    #[arg(value_name = "-", hide_possible_values = true)]
    pub(crate) stdin: Option<String>,
    /// The value is what this file holds, every byte
    #[arg(long, value_name = "FILE", conflicts_with = "stdin")]
    pub(crate) from_file: Option<PathBuf>,
    /// Set a readable value: everyone who has the file can read it
    #[arg(long, value_name = "VALUE", allow_hyphen_values = true, conflicts_with_all = ["stdin", "from_file"])]
    pub(crate) plain: Option<String>,
    /// Make up a value of letters and digits, 32 unless LENGTH says otherwise
    #[arg(long, value_name = "LENGTH", num_args = 0..=1, require_equals = true, default_missing_value = "32", conflicts_with_all = ["from_file", "plain"])]
    pub(crate) generate: Option<usize>,
    /// Take an empty value
    #[arg(long)]
    pub(crate) empty: bool,
    /// Put a readable value where a sealed one is
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Unset {
    /// The property, a TOML dotted key: acme.password
    pub(crate) path: String,
}

#[derive(Debug, Args)]
pub(crate) struct Rename {
    /// The property as it is called now
    pub(crate) old: String,
    /// What it will be called
    pub(crate) new: String,
    /// Replace a property that has the new name already
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Rotate {
    /// A new signing key too, and so a new vault id, to which the old one hands over
    #[arg(long)]
    pub(crate) signing_key: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Propose {
    /// The property, a TOML dotted key: acme.password
    pub(crate) path: String,
    /// `-`: the value comes from stdin, as it does when stdin is no terminal
    #[arg(value_name = "-", hide_possible_values = true)]
    pub(crate) stdin: Option<String>,
    /// The sealed file that it is for
    #[arg(long, value_name = "FILE", conflicts_with = "file")]
    pub(crate) to: PathBuf,
    /// What whoever accepts it should know; it is no secret, and nobody can tell who wrote it
    #[arg(long, value_name = "TEXT")]
    pub(crate) note: Option<String>,
    /// Where the proposal goes, a new file that only you can read [default: stdout]
    #[arg(short, long, value_name = "OUT")]
    pub(crate) output: Option<PathBuf>,
    /// The value is what this file holds, every byte
    #[arg(long, value_name = "FILE", conflicts_with = "stdin")]
    pub(crate) from_file: Option<PathBuf>,
    /// Make up a value of letters and digits, 32 unless LENGTH says otherwise
    #[arg(long, value_name = "LENGTH", num_args = 0..=1, require_equals = true, default_missing_value = "32", conflicts_with = "from_file")]
    pub(crate) generate: Option<usize>,
    /// Take an empty value
    #[arg(long)]
    pub(crate) empty: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Accept {
    /// What `bootseal propose` made, `-` for stdin
    pub(crate) proposal: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Get {
    /// The property, a TOML dotted key: acme.password
    pub(crate) path: String,
    /// Write the value to a new file that only you can read
    #[arg(long, value_name = "FILE", conflicts_with = "clip")]
    pub(crate) out: Option<PathBuf>,
    /// Put the value into the clipboard; cleared after 30 seconds where it still holds it
    #[arg(long)]
    pub(crate) clip: bool,
    /// Another time than the 30 seconds, for tests
    #[arg(long, value_name = "SECONDS", hide = true, default_value_t = 30, requires = "clip")]
    pub(crate) clear_after: u64,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only what lies below this name
    pub(crate) prefix: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// Sealed files [default: as with -f]
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Fail unless the file is of generation N or later
    #[arg(long, value_name = "N")]
    pub(crate) min_generation: Option<u64>,
    /// Hold each file against what it was at this revision: the same vault, or one that it was handed over to, and newer; no key is needed
    #[arg(long, value_name = "REV", conflicts_with = "as_loader")]
    pub(crate) since: Option<String>,
    /// How --since says what changed
    #[arg(long, value_name = "FORMAT", requires = "since")]
    pub(crate) format: Option<SinceFormat>,
    /// Look for file, key, pin and state as the loader does at a start, and say what came from where; no login
    #[arg(long)]
    pub(crate) as_loader: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SinceFormat {
    Text,
    Markdown,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Access {
    /// Who may
    #[command(
        after_help = "Examples:\n  bootseal access list\n  bootseal access list -f 'deploy/*.sealed.toml'   (who may what)"
    )]
    List,
    /// Let someone in: shows the resulting list, and asks
    #[command(
        after_help = "Examples:\n  bootseal access add bob age1… --writer\n  bootseal access add web1 --new-key web1.key\n  bootseal access add break-glass --passphrase --writer\n  bootseal access add web1 --new-key - | ssh web1 'install -m 600 /dev/stdin /etc/payments/bootseal.key'"
    )]
    Add(AccessAdd),
    /// Let someone go: new keys for all others, and a list of what the removed one knew
    #[command(after_help = "Example:\n  bootseal access remove bob")]
    Remove(AccessRemove),
    /// Write this vault's id into key files, so that they open nothing else; old lines go
    #[command(after_help = "Example:\n  bootseal access pin /etc/payments/bootseal.key")]
    Pin(AccessPin),
}

#[derive(Debug, Args)]
pub(crate) struct AccessRemove {
    /// What the access list calls them
    pub(crate) name: String,
}

#[derive(Debug, Args)]
pub(crate) struct AccessPin {
    /// Key files (age identities)
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct AccessAdd {
    /// What the access list calls them
    pub(crate) name: String,
    /// To whom the keys are wrapped: age1…
    #[arg(required_unless_present_any = ["new_key", "passphrase"], conflicts_with_all = ["new_key", "passphrase"])]
    pub(crate) recipient: Option<String>,
    /// Make their identity too, with this vault's pin in it; `-` for stdout
    #[arg(long, value_name = "FILE")]
    pub(crate) new_key: Option<PathBuf>,
    /// They open by passphrase: asked for twice, or read from --passphrase-fd
    #[arg(long, conflicts_with = "new_key")]
    pub(crate) passphrase: bool,
    /// With --passphrase: opening takes 64 MiB of memory instead of 256, for a service in a small container
    #[arg(long, requires = "passphrase", conflicts_with_all = ["recipient", "new_key"])]
    pub(crate) small: bool,
    /// They may also change the file
    #[arg(long)]
    pub(crate) writer: bool,
    /// Give someone who is there another role or recipient: a removal and an addition in one
    #[arg(long)]
    pub(crate) replace: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// OLD: a file, REV:FILE or REV; NEW: a file [default: HEAD, and the file as with -f]
    #[arg(value_name = "OLD] [NEW", num_args = 0..=2)]
    pub(crate) versions: Vec<String>,
    /// Compare names only; 1 where they differ, 2 for an error
    #[arg(long)]
    pub(crate) names: bool,
    /// Print the sealed values that changed
    #[arg(long, conflicts_with = "names")]
    pub(crate) reveal: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Sign {
    /// The edited file [default: as with -f]
    #[arg(value_name = "FILE")]
    pub(crate) edited: Option<PathBuf>,
    /// The version to begin from, a file or REV:FILE [default: the newest that verifies, in git]
    #[arg(long, value_name = "FILE")]
    pub(crate) against: Option<PathBuf>,
    /// Number the file above this generation as well
    #[arg(long, value_name = "N")]
    pub(crate) above: Option<u64>,
    /// Take sealed values that are older than what they replace
    #[arg(long)]
    pub(crate) older: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Resolve {
    /// The file with the markers
    pub(crate) file: PathBuf,
    /// Where both sides changed a property, take this side's
    #[arg(long, value_name = "SIDE")]
    pub(crate) take: Option<Which>,
    /// The revision that is our side [default: what git has of the merge]
    #[arg(long, value_name = "REV", requires = "theirs")]
    pub(crate) ours: Option<String>,
    /// The revision that is their side
    #[arg(long, value_name = "REV", requires = "ours")]
    pub(crate) theirs: Option<String>,
    /// Take sealed values that are older than what they replace, from a side that does not verify
    #[arg(long)]
    pub(crate) older: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Which {
    Ours,
    Theirs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Git {
    /// Set up the diff and merge drivers, the check at commit, and .gitattributes
    #[command(after_help = "Example:\n  bootseal git setup   (once in each clone)")]
    Setup,
    /// No plain secrets and no vault that does not verify: for the hook and for CI
    #[command(
        after_help = "Examples:\n  bootseal git check            (the whole tree, as CI does)\n  bootseal git check --staged   (what the hook does)"
    )]
    Check(GitCheck),
    /// What git's diff driver calls
    #[command(hide = true)]
    Textconv(GitTextconv),
    /// What git's merge driver calls
    #[command(hide = true)]
    Merge(GitMerge),
}

#[derive(Debug, Args)]
pub(crate) struct GitCheck {
    /// What is about to be committed, instead of the working tree
    #[arg(long)]
    pub(crate) staged: bool,
}

#[derive(Debug, Args)]
pub(crate) struct GitTextconv {
    pub(crate) file: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct GitMerge {
    pub(crate) base: PathBuf,
    pub(crate) ours: PathBuf,
    pub(crate) theirs: PathBuf,
    /// What the file is called in the tree
    pub(crate) path: PathBuf,
    #[arg(long, value_name = "N")]
    pub(crate) marker_size: Option<u32>,
}

#[derive(Debug, Args)]
pub(crate) struct Login {
    /// The profile: `acme` for [acme.login]
    pub(crate) profile: String,
    /// Make one call with the token
    #[arg(long, value_name = "URL")]
    pub(crate) call: Option<String>,
    /// Print the token itself
    #[arg(long)]
    pub(crate) reveal: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Export {
    /// How values are written [default: toml; json with --json]
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<ExportFormat>,
    /// Only what lies below this name; repeatable
    #[arg(long, value_name = "PREFIX")]
    pub(crate) only: Vec<String>,
    /// Also to a terminal, or into a file on a disk
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    Toml,
    Properties,
    Env,
    Sh,
    Json,
    Yaml,
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The tool that sealed FILE
    #[arg(long, value_name = "TOOL")]
    pub(crate) from: Tool,
    /// The other tool's file
    #[arg(value_name = "FILE")]
    pub(crate) input: PathBuf,
    /// The new sealed file [default: FILE's name with .sealed.toml]; -f names one that is there, to add to it
    #[arg(short, long, value_name = "OUT", conflicts_with = "file")]
    pub(crate) output: Option<PathBuf>,
    /// Put all of it below this name
    #[arg(long = "as", value_name = "PREFIX")]
    pub(crate) below: Option<String>,
    /// A file with the other tool's key or password; repeatable
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Vec<PathBuf>,
    /// Read the other tool's key or password from this descriptor, to its end; 0 is stdin
    #[arg(long, value_name = "N")]
    pub(crate) key_fd: Option<u32>,
    /// Jasypt's algorithm [default: the usual one that opens every value]
    #[arg(long, value_name = "NAME")]
    pub(crate) algorithm: Option<String>,
    /// Jasypt's key-obtention-iterations [default: 1000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub(crate) iterations: Option<u32>,
    /// Spring's encrypt.salt, in hexadecimal, or jasypt-spring-boot's gcm-secret-key-salt; no secret
    #[arg(long, value_name = "SALT")]
    pub(crate) salt: Option<String>,
    /// Someone who may change the new file; repeatable [default: you]
    #[arg(long, value_name = "NAME=RECIPIENT")]
    pub(crate) writer: Vec<String>,
    /// Someone who may open the values of the new file; repeatable
    #[arg(long, value_name = "NAME=RECIPIENT")]
    pub(crate) reader: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Tool {
    Sops,
    AnsibleVault,
    Jasypt,
    Dotenvx,
    Spring,
}

#[derive(Debug, Args)]
pub(crate) struct Profile {
    /// What the profile is called: `acme` for [acme.login]
    #[arg(required_unless_present = "list")]
    pub(crate) name: Option<String>,
    /// What kind of vendor it is; --list shows them
    #[arg(long, value_name = "KIND", conflicts_with_all = ["from", "from_curl"])]
    pub(crate) preset: Option<String>,
    /// Where the vendor is; asked for where it is not said
    #[arg(long, value_name = "URL", conflicts_with = "from_curl")]
    pub(crate) url: Option<String>,
    /// Take over the profile of that name from another sealed file; its secrets stay there
    #[arg(long, value_name = "FILE", conflicts_with = "from_curl")]
    pub(crate) from: Option<PathBuf>,
    /// Make it of a curl line, which is read from stdin
    #[arg(long, value_name = "-")]
    pub(crate) from_curl: Option<String>,
    /// Certificates (PEM) to trust there instead of the system's; they are written into the profile
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// Of a curl line: the field that holds the user
    #[arg(long, value_name = "FIELD", requires = "from_curl")]
    pub(crate) username_field: Option<String>,
    /// Of a curl line: the field that holds the password
    #[arg(long, value_name = "FIELD", requires = "from_curl")]
    pub(crate) password_field: Option<String>,
    /// Of a curl line: write the profile without a login, so without a look at what comes back
    #[arg(long, requires = "from_curl")]
    pub(crate) no_login: bool,
    /// Put it in the place of a profile that is there
    #[arg(long)]
    pub(crate) force: bool,
    /// Show the presets
    #[arg(long, conflicts_with_all = ["name", "preset", "url", "from", "from_curl", "force"])]
    pub(crate) list: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Vendor {
    /// The profile: `acme` for [acme.login]
    pub(crate) profile: String,
    /// The port on 127.0.0.1 [default: the profile's own where it is on this machine, else a free one]
    #[arg(long, value_name = "PORT")]
    pub(crate) port: Option<u16>,
    /// How long its tokens live [default: what the profile says, else 15m]
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) life: Option<std::time::Duration>,
    /// Let all tokens be worthless each time so much has passed: 30s, 5m
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) revoke_every: Option<std::time::Duration>,
    /// Refuse every login, as if the password were wrong
    #[arg(long)]
    pub(crate) refuse: bool,
    /// Answer 503 to everything
    #[arg(long)]
    pub(crate) down: bool,
    /// Let every answer wait: 3 s, or --slow=TIME
    #[arg(long, value_name = "TIME", value_parser = time, num_args = 0..=1, require_equals = true, default_missing_value = "3s")]
    pub(crate) slow: Option<std::time::Duration>,
}

/// `500ms`, `30s`, `5m`.
fn time(text: &str) -> Result<std::time::Duration, String> {
    let span: Option<jiff::SignedDuration> = text.parse().ok();
    span.filter(jiff::SignedDuration::is_positive)
        .map(|span| span.unsigned_abs())
        .ok_or_else(|| "a time with a unit: 500ms, 30s, 5m".into())
}

#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell
    pub(crate) shell: Shell,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Zsh,
    Fish,
    Powershell,
}

#[derive(Debug, Args)]
pub(crate) struct Man {
    /// Write a page for every verb into this folder [default: the main page goes to stdout]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ClearClipboard {
    pub(crate) seconds: u64,
}

#[derive(Debug, Args)]
pub(crate) struct Exec {
    /// Pass what lies below this name; repeatable
    #[arg(long, value_name = "PREFIX")]
    pub(crate) only: Vec<String>,
    /// Pass this property as the variable NAME; repeatable
    #[arg(long, value_name = "NAME=PATH")]
    pub(crate) env: Vec<String>,
    /// Pass the variables of a .env file, in which NAME=bootseal:PATH stands for a property; nothing is expanded
    #[arg(long, value_name = "FILE")]
    pub(crate) env_file: Option<PathBuf>,
    /// One file a value, in a memory file system; BOOTSEAL_FILES names the folder [default: a new one in $XDG_RUNTIME_DIR, else /dev/shm]
    #[arg(long, value_name = "DIR", num_args = 0..=1, require_equals = true)]
    pub(crate) files: Option<Option<PathBuf>>,
    /// Files side by side, as acme_password, instead of folders as tables
    #[arg(long, requires = "files")]
    pub(crate) flat: bool,
    /// When values change in the sealed file: start the program anew, or write the files anew and send it SIGHUP
    #[arg(long, value_name = "WHAT")]
    pub(crate) on_change: Option<OnChange>,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(crate) command: Vec<std::ffi::OsString>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnChange {
    Restart,
    Signal,
}

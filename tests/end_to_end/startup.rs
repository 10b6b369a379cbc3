//! An application at start finds its file, key and vault; its errors name the fault and the remedy.

use crate::support::{Home, team};
use bootseal::{Kind, Loader};
use std::collections::HashMap;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;

const SETTINGS: &str = "name = \"payments\"\n\n[acme]\nusername = \"secret:bob\"\npassword = \"secret:hunter2\"\nport = 8443\n";

/// A home with a vault, a reader `app` with the key file `app.key` (with a pin), and a loader with
/// explicit variables only.
struct Host {
    home: Home,
}

impl Host {
    fn new() -> Host {
        Host::with(SETTINGS)
    }

    fn with(settings: &str) -> Host {
        let home = Home::with_vault(settings);
        home.ok(&["access", "add", "app", "--new-key", "app.key", "--yes"]);
        Host { home }
    }

    fn loader(&self, variables: &[(&str, OsString)]) -> Loader {
        let variables: HashMap<String, OsString> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        Loader::new(self.home.at("app.sealed.toml")).environment(variables)
    }

    fn path(&self, name: &str) -> OsString {
        self.home.at(name).into_os_string()
    }

    /// A credential folder as systemd passes it to a unit, with a key without a pin.
    fn credentials(&self) -> OsString {
        std::fs::create_dir(self.home.at("credentials")).unwrap();
        self.put_key("credentials/bootseal.key", &without_pin(&self.home.read("app.key")));
        self.path("credentials")
    }

    fn put_key(&self, name: &str, text: &str) {
        self.home.write(name, text);
        std::fs::set_permissions(self.home.at(name), PermissionsExt::from_mode(0o600)).unwrap();
    }
}

fn without_pin(key: &str) -> String {
    key.lines()
        .filter(|line| !line.starts_with("# vault:"))
        .map(|line| format!("{line}\n"))
        .collect()
}

#[test]
fn values_are_opened_once_and_read_by_name() {
    let host = Host::new();
    let vault = host.loader(&[("BOOTSEAL_IDENTITY", host.path("app.key"))]).load().unwrap();
    let password = vault.secret("acme.password").unwrap();
    assert!(password.expose(|bytes| bytes == b"hunter2"));
    assert_eq!(vault.text("name").unwrap(), "payments");
    let kinds = [
        (vault.secret("acme.port").unwrap_err(), Kind::Conflict, "readable, not sealed"),
        (vault.secret("name").unwrap_err(), Kind::Conflict, "readable, not sealed"),
        (
            vault.text("acme.password").unwrap_err(),
            Kind::Conflict,
            "sealed; readable text was asked for",
        ),
        (vault.secret("acme.passwort").unwrap_err(), Kind::NotFound, "Did you mean acme.password"),
        (vault.secret("acme").unwrap_err(), Kind::NotFound, "It is a table"),
        (vault.token_source("acme").unwrap_err(), Kind::NotFound, "[acme.login]"),
    ];
    for (error, kind, words) in kinds {
        assert_eq!(error.kind(), kind);
        assert!(error.to_string().contains(words), "{error}");
    }
    // A handle outlives its vault.
    drop(vault);
    assert!(password.expose(|bytes| bytes == b"hunter2"));
}

#[test]
fn no_runtime_is_needed_and_threads_share_the_vault() {
    let host = Host::new();
    let vault = host.loader(&[("BOOTSEAL_IDENTITY", host.path("app.key"))]).load().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                assert!(vault.secret("acme.username").unwrap().expose(|bytes| bytes == b"bob"))
            });
        }
    });
}

#[test]
fn the_file_variable_overrides_the_path_in_code_unless_code_insists() {
    let host = Host::new();
    let other = Host::new();
    let variables = [
        ("BOOTSEAL_FILE", other.path("app.sealed.toml")),
        ("BOOTSEAL_IDENTITY", other.path("app.key")),
    ];
    assert_eq!(
        host.loader(&variables).load().unwrap().vault_id().to_string(),
        other.home.vault_id()
    );
    let error = Loader::exactly(host.home.at("app.sealed.toml"))
        .identity_file(other.home.at("app.key"))
        .load()
        .unwrap_err();
    assert_eq!(error.kind(), Kind::WrongVault, "{error}");
}

#[test]
fn keys_are_searched_in_the_documented_order() {
    let host = Host::new();
    let pin = ("BOOTSEAL_PIN", OsString::from(host.home.vault_id()));
    // From the credential folder of systemd.
    let credentials = host.credentials();
    let vault =
        host.loader(&[("CREDENTIALS_DIRECTORY", credentials.clone()), pin.clone()]).load().unwrap();
    assert_eq!(vault.generation(), 2);
    // From the user's own identity file, last.
    std::fs::create_dir_all(host.home.at("config/bootseal")).unwrap();
    host.put_key("config/bootseal/identity.txt", &host.home.read("app.key"));
    host.loader(&[("XDG_CONFIG_HOME", host.path("config"))]).load().unwrap();
    // A named identity that does not open the file ends the search.
    host.home.ok(&["keygen", "-o", "stranger.key"]);
    let error = host
        .loader(&[
            ("BOOTSEAL_IDENTITY", host.path("stranger.key")),
            ("CREDENTIALS_DIRECTORY", credentials),
            pin,
        ])
        .load()
        .unwrap_err();
    assert_eq!(error.kind(), Kind::NoIdentity, "{error}");
}

#[test]
fn an_error_without_a_usable_key_lists_what_was_tried_and_who_has_access() {
    let host = Host::new();
    let credentials = host.credentials();
    host.home.ok(&["keygen", "-o", "stranger.key"]);
    host.put_key("credentials/bootseal.key", &host.home.read("stranger.key"));
    let stranger = host.home.ok(&["keygen", "-y", "stranger.key"]);
    let error = host
        .loader(&[("CREDENTIALS_DIRECTORY", credentials), ("HOME", host.path("nowhere"))])
        .load()
        .unwrap_err();
    assert_eq!((error.kind(), error.exit_code()), (Kind::NoIdentity, 4));
    let expected = format!(
        "no key opens {} ({}, generation 2). Tried: BOOTSEAL_IDENTITY (unset), $CREDENTIALS_DIRECTORY/bootseal.passphrase (absent), /run/secrets/bootseal.key (absent), \
         /run/secrets/bootseal/bootseal.key (absent), {} (absent), $CREDENTIALS_DIRECTORY/bootseal.key ({}: not in access).\n  \
         It can be opened by: alice (writers), app. To add a member, on a writer's machine: bootseal access add NAME RECIPIENT",
        host.home.at("app.sealed.toml").display(),
        host.home.vault_id(),
        host.home.at("nowhere/.config/bootseal/identity.txt").display(),
        stranger.trim(),
    );
    assert_eq!(error.to_string(), expected);
    assert_eq!(format!("{error:?}"), expected, "what `?` in main prints");
}

#[test]
fn a_pin_is_needed_and_the_first_source_that_has_one_decides() {
    let host = Host::new();
    let credentials = host.credentials();
    let with = |more: &[(&str, OsString)]| {
        host.loader(&[&[("CREDENTIALS_DIRECTORY", credentials.clone())], more].concat())
    };
    let error = with(&[]).load().unwrap_err();
    assert_eq!(error.kind(), Kind::WrongVault);
    assert!(
        error.to_string().contains("this vault is not pinned")
            && error.help().unwrap().contains(&host.home.vault_id()),
        "{error}"
    );
    with(&[]).allow_unpinned().load().unwrap();
    with(&[("BOOTSEAL_PIN", host.home.vault_id().into())]).load().unwrap();
    with(&[]).pin(&host.home.vault_id()).unwrap().load().unwrap();
    let foreign = Host::new().home.vault_id();
    // Code has priority over the environment, and the environment over the folder.
    with(&[("BOOTSEAL_PIN", foreign.clone().into())])
        .pin(&host.home.vault_id())
        .unwrap()
        .load()
        .unwrap();
    assert_eq!(
        with(&[("BOOTSEAL_PIN", foreign.clone().into())]).load().unwrap_err().kind(),
        Kind::WrongVault
    );
    host.home.write(
        "credentials/bootseal.pin",
        format!("# payments\n{foreign}\n{}@2\n", host.home.vault_id()),
    );
    with(&[]).load().unwrap();
    host.home.write("credentials/bootseal.pin", format!("{}@3\n", host.home.vault_id()));
    let error = with(&[]).load().unwrap_err();
    assert_eq!(error.kind(), Kind::OldGeneration, "{error}");
    host.home.write("credentials/bootseal.pin", "vault1typo\n");
    assert_eq!(with(&[]).load().unwrap_err().kind(), Kind::Usage);
    host.home.write("credentials/bootseal.pin", "\n");
    assert_eq!(
        with(&[]).load().unwrap_err().kind(),
        Kind::Usage,
        "an empty pin does not allow every vault"
    );
}

#[test]
fn an_unpinned_vault_never_logs_in() {
    let host = Host::new();
    for (path, value) in
        [("acme.login.url", "https://127.0.0.1:9/login"), ("acme.login.json.p", "${password}")]
    {
        host.home.ok(&["set", path, "--plain", value]);
    }
    let credentials = host.credentials();
    let vault =
        host.loader(&[("CREDENTIALS_DIRECTORY", credentials)]).allow_unpinned().load().unwrap();
    assert_eq!(vault.token_source("acme").unwrap_err().kind(), Kind::WrongVault);
}

#[test]
fn a_key_file_open_to_others_is_refused_with_the_chmod_command() {
    let host = Host::new();
    for (mode, word) in [(0o644, "read"), (0o620, "write"), (0o640, "read")] {
        std::fs::set_permissions(host.home.at("app.key"), PermissionsExt::from_mode(mode)).unwrap();
        let error = host.loader(&[("BOOTSEAL_IDENTITY", host.path("app.key"))]).load().unwrap_err();
        assert_eq!(error.kind(), Kind::UnsafeFile);
        assert!(
            error.to_string().contains(word) && error.help().unwrap().contains("chmod 600"),
            "{error}"
        );
    }
}

#[test]
fn a_broken_profile_is_an_error_at_start() {
    for (line, words) in [
        ("url = \"http://api.acme.example/login\"\njson = { p = \"${password}\" }", "is not https"),
        ("url = \"https://api.acme.example/login\"\njson = { p = \"${passwort}\" }", "${passwort}"),
        (
            "url = \"https://api.acme.example/login\"\njson = { p = \"${password}\" }\nexpire = { jwt = true }",
            "Did you mean `expiry`",
        ),
        (
            "url = \"https://api.acme.example/login\"\njson = { p = \"${password}\" }\nmax_age = \"10\"",
            "a duration with a unit",
        ),
        (
            "url = \"https://api.acme.example/login\"\njson = { p = \"${password}\" }\ntoken = { json = \"token\" }",
            "JSON pointer",
        ),
        (
            "url = \"https://api.acme.example/login\"\njson = { p = \"${password}\" }\nhosts = [\"*.acme.example\"]",
            "without wildcards",
        ),
        (
            "url = \"https://api.acme.example/${password}\"\njson = { p = \"${password}\" }",
            "${password} in its `url`",
        ),
        (
            "url = \"https://${host}/\"\njson = { p = \"${password}\" }",
            "scheme, host and port must not contain ${…}",
        ),
        ("url = \"https://api.acme.example/login\"", "sends the credentials"),
        (
            "url = \"https://api.acme.example/login\"\njson = { p = \"${password}\" }\ninject = { value = \"Bearer\" }",
            "${token}",
        ),
    ] {
        let home = Home::with_vault(&format!(
            "[acme]\npassword = \"secret:hunter2\"\n\n[acme.login]\n{line}\n"
        ));
        let error = Loader::exactly(home.at("app.sealed.toml"))
            .identity_file(home.at(".config/bootseal/identity.txt"))
            .pin(&home.vault_id())
            .unwrap()
            .load()
            .unwrap_err();
        assert_eq!(error.kind(), Kind::Malformed, "{error}");
        assert!(error.to_string().contains(words), "{words}: {error}");
    }
}

// ---- A file that changes

#[test]
fn a_reload_accepts_a_newer_generation_and_handles_keep_their_value() {
    let host = Host::new();
    let vault = host.loader(&[("BOOTSEAL_IDENTITY", host.path("app.key"))]).load().unwrap();
    let before = vault.secret("acme.password").unwrap();
    let (heard, says) = std::sync::mpsc::channel();
    vault.on_change(move |names| heard.send(names.to_vec()).unwrap());
    assert_eq!(vault.reload().unwrap(), Vec::<String>::new(), "the same file");
    let first = host.home.read("app.sealed.toml");
    host.home.ok_with(&["set", "acme.password"], b"correct horse");
    assert_eq!(vault.reload().unwrap(), ["acme.password"]);
    assert_eq!(says.try_iter().collect::<Vec<_>>(), [["acme.password"]]);
    assert!(before.expose(|bytes| bytes == b"hunter2"));
    assert!(vault.secret("acme.password").unwrap().expose(|bytes| bytes == b"correct horse"));
    // An older, foreign or broken file is refused, and the loaded values stay in use.
    let generation = vault.generation();
    let second = host.home.read("app.sealed.toml");
    let foreign = Home::with_vault(SETTINGS).read("app.sealed.toml");
    for (text, kind) in [
        (first, Kind::OldGeneration),
        (foreign, Kind::WrongVault),
        (second.replace("payments", "payment5"), Kind::Forged),
        ("broken".to_owned(), Kind::Malformed),
    ] {
        host.home.write("app.sealed.toml", &text);
        assert_eq!(vault.reload().unwrap_err().kind(), kind);
        assert_eq!(vault.generation(), generation);
        assert!(vault.secret("acme.password").unwrap().expose(|bytes| bytes == b"correct horse"));
    }
    std::fs::remove_file(host.home.at("app.sealed.toml")).unwrap();
    assert_eq!(vault.reload().unwrap_err().kind(), Kind::NotFound);
    assert_eq!(says.try_iter().count(), 0);
}

#[test]
fn a_reload_follows_a_swapped_link() {
    let host = Host::new();
    // As Kubernetes mounts a Secret: the name is a link into a folder that is swapped as a whole.
    let (name, link) = (host.home.at("app.sealed.toml"), host.home.at("data"));
    let place = |folder: &str, text: &str| {
        std::fs::create_dir(host.home.at(folder)).unwrap();
        host.home.write(&format!("{folder}/app.sealed.toml"), text);
    };
    place("one", &host.home.read("app.sealed.toml"));
    host.home.ok_with(&["set", "acme.password"], b"correct horse");
    place("two", &host.home.read("app.sealed.toml"));
    std::fs::remove_file(&name).unwrap();
    std::os::unix::fs::symlink("one", &link).unwrap();
    std::os::unix::fs::symlink("data/app.sealed.toml", &name).unwrap();
    let vault = host.loader(&[("BOOTSEAL_IDENTITY", host.path("app.key"))]).load().unwrap();
    let (heard, says) = std::sync::mpsc::channel();
    vault.on_change(move |names| heard.send(names.to_vec()).unwrap());
    vault.watch(std::time::Duration::from_millis(5)).unwrap();
    std::os::unix::fs::symlink("two", host.home.at("data.new")).unwrap();
    std::fs::rename(host.home.at("data.new"), &link).unwrap();
    assert_eq!(says.recv_timeout(std::time::Duration::from_secs(60)).unwrap(), ["acme.password"]);
    assert!(vault.secret("acme.password").unwrap().expose(|bytes| bytes == b"correct horse"));
}

#[test]
fn a_table_is_deserialized_into_the_applications_struct() {
    #[derive(serde::Deserialize)]
    struct Acme {
        password: bootseal::Secret,
        #[serde(with = "bootseal::exposed")]
        username: String,
        port: u16,
    }
    let host = Host::new();
    let vault = host.loader(&[("BOOTSEAL_IDENTITY", host.path("app.key"))]).load().unwrap();
    let acme: Acme = vault.deserialize("acme").unwrap();
    assert!(acme.password.expose(|bytes| bytes == b"hunter2"));
    assert_eq!((acme.username.as_str(), acme.port), ("bob", 8443));
}

#[test]
fn a_refused_password_causes_one_login_across_restarts() {
    let vendor = bootseal_vendor_sim::Vendor::start_plain().unwrap();
    vendor.refuse(true);
    let host = Host::with(&format!(
        "{SETTINGS}\n[acme.login]\nurl = \"{}\"\nbasic = true\n",
        vendor.url("/login")
    ));
    let start = || {
        let vault = host
            .loader(&[("BOOTSEAL_IDENTITY", host.path("app.key"))])
            .state(host.home.at("state"))
            .load()
            .unwrap();
        vault.token_source("acme").unwrap()
    };
    for _ in 0..5 {
        let error = start().token_blocking().unwrap_err();
        assert_eq!(error.kind(), Kind::LoginRefused);
    }
    assert_eq!(vendor.refused_logins(), 1);
    // A change outside this account has no effect; another password has.
    host.home.ok(&["set", "--plain", "other", "name"]);
    start().token_blocking().unwrap_err();
    assert_eq!(vendor.refused_logins(), 1);
    host.home.ok_with(&["set", "acme.password"], b"hunter3");
    start().token_blocking().unwrap_err();
    assert_eq!(vendor.refused_logins(), 2);
    start().reset_backoff();
    start().token_blocking().unwrap_err();
    assert_eq!(vendor.refused_logins(), 3);
    let files: Vec<_> = std::fs::read_dir(host.home.at("state/logins")).unwrap().collect();
    let kept: Vec<String> = files
        .iter()
        .map(|file| std::fs::read_to_string(file.as_ref().unwrap().path()).unwrap())
        .collect();
    assert!(
        kept.iter().any(|kept| kept.contains(":acme")) && !kept.concat().contains("hunter"),
        "{kept:?}"
    );
}

#[test]
fn logins_use_the_loaders_proxy_if_the_profile_names_none() {
    let vendor = bootseal_vendor_sim::Vendor::start_plain().unwrap();
    let host = Host::with(&format!(
        "{SETTINGS}\n[acme.login]\nurl = \"{}\"\nbasic = true\n",
        vendor.url("/login")
    ));
    let loader = || host.loader(&[("BOOTSEAL_IDENTITY", host.path("app.key"))]);
    // Nothing listens on this port.
    let source =
        loader().proxy("http://127.0.0.1:1").unwrap().load().unwrap().token_source("acme").unwrap();
    assert_eq!(source.token_blocking().unwrap_err().kind(), Kind::LoginDown);
    assert_eq!(vendor.logins() + vendor.refused_logins(), 0);
    for wrong in ["proxy:3128", "http://app:hunter2@proxy:3128", "http:"] {
        let error = loader().proxy(wrong).err().unwrap();
        assert!(error.kind() == Kind::Usage && !error.to_string().contains("hunter2"), "{error}");
    }
}

#[test]
fn an_outage_before_a_start_is_not_reported_as_a_refusal() {
    let vendor = bootseal_vendor_sim::Vendor::start_plain().unwrap();
    vendor.down(true);
    let host = Host::with(&format!(
        "{SETTINGS}\n[acme.login]\nurl = \"{}\"\nbasic = true\n",
        vendor.url("/login")
    ));
    for _ in 0..5 {
        let loader = host
            .loader(&[("BOOTSEAL_IDENTITY", host.path("app.key"))])
            .state(host.home.at("state"));
        let source = loader.load().unwrap().token_source("acme").unwrap();
        assert_eq!(source.token_blocking().unwrap_err().kind(), Kind::LoginDown);
    }
}

#[test]
fn a_client_uses_the_proxy_of_a_newer_file() {
    let vendor = bootseal_vendor_sim::Vendor::start_plain().unwrap();
    let host = Host::with(&format!(
        "[acme]\nusername = \"secret:quickstart\"\npassword = \"secret:open sesame\"\n[acme.login]\nurl = \"{}\"\nbasic = true\n",
        vendor.url("/login")
    ));
    let vault = host.loader(&[("BOOTSEAL_IDENTITY", host.path("app.key"))]).load().unwrap();
    let client = vault.token_source("acme").unwrap().client();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let call = || runtime.block_on(client.get(vendor.url("/orders")).send());
    assert_eq!(call().unwrap().status(), 200);
    // Nothing listens on this port.
    let before = host.home.read("app.sealed.toml");
    host.home.write("before.backup", &before);
    let text = before.replace("basic = true\n", "basic = true\nproxy = \"http://127.0.0.1:1\"\n");
    host.home.write("app.sealed.toml", text);
    host.home.ok(&["sign", "--yes", "--against", "before.backup"]);
    assert_eq!(vault.reload().unwrap(), ["acme.login.proxy"]);
    assert!(call().is_err(), "the call uses the proxy now");
    assert_eq!((vendor.logins(), vendor.calls()), (1, 1), "the call keeps its token");
}

/// A host with a state folder whose vendor is `url`.
fn stateful(url: &str, more: &str) -> Host {
    Host::with(&format!(
        "{SETTINGS}seed = \"secret:JBSWY3DPEHPK3PXP\"\n[acme.login]\nurl = \"{url}\"\nbasic = true\n{more}"
    ))
}

fn open(folder: &std::path::Path) -> bootseal::Secrets {
    let loader = Loader::new(folder.join("app.sealed.toml")).state(folder.join("state"));
    let key = ("BOOTSEAL_IDENTITY".to_owned(), folder.join("app.key").into_os_string());
    loader.environment([key].into_iter().collect::<HashMap<_, _>>()).load().unwrap()
}

fn start(folder: &std::path::Path) -> bootseal::TokenSource {
    open(folder).token_source("acme").unwrap()
}

#[test]
fn starts_that_are_killed_during_a_login_do_not_log_in_each_time() {
    const FOLDER: &str = "TEST_SERVICE_FOLDER";
    if let Some(folder) = std::env::var_os(FOLDER) {
        // The service process, which is killed at this point.
        start(folder.as_ref()).token_blocking().unwrap();
        return;
    }
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let host = stateful(&format!("http://{}/login", listener.local_addr().unwrap()), "");
    let name = "startup::starts_that_are_killed_during_a_login_do_not_log_in_each_time";
    for _ in 0..2 {
        let mut service = std::process::Command::new(std::env::current_exe().unwrap());
        let mut service =
            service.args([name, "--exact"]).env(FOLDER, host.home.at(".")).spawn().unwrap();
        // The service has sent its login and gets no response.
        let (mut connection, _) = listener.accept().unwrap();
        assert!(std::io::Read::read(&mut connection, &mut [0; 16]).unwrap() > 0);
        service.kill().unwrap();
        service.wait().unwrap();
    }
    let error = start(&host.home.at(".")).token_blocking().unwrap_err();
    assert_eq!(error.kind(), Kind::LoginDown);
    assert!(
        error.to_string().contains("ended during this login") && error.retry_after().is_some(),
        "{error}"
    );
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err(), "nothing was sent");
}

#[test]
fn a_one_time_code_is_not_sent_again_after_a_restart() {
    let vendor = bootseal_vendor_sim::Vendor::start_plain().unwrap();
    let vendor = vendor.with_user("bob", "hunter2");
    let totp = "headers = { X-Code = \"${totp}\" }\ntotp = { seed = \"seed\" }\n";
    let host = stateful(&vendor.url("/login"), totp);
    let clock = bootseal::testing::Clock::new();
    let start = || {
        let vault = open(&host.home.at("."));
        let transport = std::sync::Arc::new(bootseal::HttpTransport);
        vault
            .token_source_with("acme", std::sync::Arc::new(clock.clone()), transport)
            .unwrap()
            .token_blocking()
    };
    start().unwrap();
    assert_eq!(start().unwrap_err().kind(), Kind::LoginThrottled);
    assert_eq!((vendor.logins(), vendor.refused_logins()), (1, 0));
    clock.advance(std::time::Duration::from_secs(35)); // the next code, plus a tenth
    start().unwrap();
}

/// A vendor that sends these statuses, then tokens, and records the requests.
#[derive(Clone, Default)]
struct Script {
    answers: std::sync::Arc<std::sync::Mutex<std::collections::VecDeque<u16>>>,
    sent: std::sync::Arc<std::sync::Mutex<Vec<bootseal::LoginRequest>>>,
}

impl Script {
    fn new(answers: impl IntoIterator<Item = u16>) -> Script {
        let script = Script::default();
        script.answers.lock().unwrap().extend(answers);
        script
    }

    /// For each login, whether it was sent with the password of `next`.
    fn used_next(&self) -> Vec<bool> {
        let sent = self.sent.lock().unwrap();
        let body = |request: &bootseal::LoginRequest| {
            request.body.as_ref().unwrap().expose_str(str::to_owned).unwrap()
        };
        sent.iter().map(|request| body(request).contains("correct horse")).collect()
    }
}

impl bootseal::Transport for Script {
    fn send(
        &self,
        request: bootseal::LoginRequest,
    ) -> std::pin::Pin<
        Box<dyn Future<Output = Result<bootseal::LoginResponse, bootseal::TransportError>> + Send>,
    > {
        self.sent.lock().unwrap().push(request);
        let status = self.answers.lock().unwrap().pop_front();
        let body =
            if status.is_none() { &br#"{"access_token":"t","expires_in":600}"#[..] } else { b"{}" };
        let body = bootseal::Secret::copy_of(body).unwrap();
        let answer = bootseal::LoginResponse {
            status: status.unwrap_or(200),
            headers: Default::default(),
            body,
        };
        Box::pin(async { Ok(answer) })
    }
}

#[test]
fn each_start_respects_the_outcome_of_earlier_starts() {
    let minute = std::time::Duration::from_secs(60);
    for (answers, expected) in [
        // A vendor that reports a wrong password with a 400: the second in a row is a refusal and
        // ends the attempts.
        (vec![400, 400], vec![false, false, true]),
        // With a 200 and no token, the third is.
        (vec![200, 200, 200], vec![false, false, false, true]),
        // The first password is refused, and the result of the second is unknown: the second is
        // tried next.
        (vec![401, 500, 500], vec![false, true, true, true]),
        // Both are refused: one login with each, until the next attempt after a quarter of an hour.
        (vec![401, 401], vec![false, true]),
        (vec![400, 400, 400], vec![false, false, true]),
    ] {
        let both_wrong = answers.len() == expected.len();
        let host = Host::with(&format!(
            "{SETTINGS}password_next = \"secret:correct horse\"\n[acme.login]\nurl = \"https://api.acme.example/login\"\njson = {{ password = \"${{password}}\" }}\nnext = {{ password = \"password_next\" }}\n"
        ));
        let (clock, vendor) = (bootseal::testing::Clock::new(), Script::new(answers.clone()));
        let start = || {
            let vault = open(&host.home.at("."));
            let transport = std::sync::Arc::new(vendor.clone());
            vault
                .token_source_with("acme", std::sync::Arc::new(clock.clone()), transport)
                .unwrap()
                .token_blocking()
        };
        for _ in 0..12 {
            let ended = start();
            clock.advance(minute);
            if ended.is_ok() {
                break;
            }
        }
        assert_eq!(vendor.used_next(), expected, "{answers:?}");
        if !both_wrong {
            start().unwrap();
            assert_eq!(
                vendor.used_next().last(),
                Some(&true),
                "{answers:?}: the next start also tries it first"
            );
        }
    }
}

#[test]
fn a_watched_file_loads_once_its_key_arrives_and_a_listener_may_panic_or_reload() {
    team::listen();
    let host = Host::new();
    let vault = host.loader(&[("BOOTSEAL_IDENTITY", host.path("app.key"))]).load().unwrap();
    let (heard, says) = std::sync::mpsc::channel();
    vault.on_change(|_| panic!("a listener of a test"));
    let ours = vault.clone();
    vault.on_change(move |names| {
        assert_eq!(ours.reload().unwrap(), Vec::<String>::new(), "nothing is locked");
        heard.send(names.to_vec()).unwrap();
    });
    vault.watch(std::time::Duration::ZERO).unwrap();
    let next = || says.recv_timeout(std::time::Duration::from_secs(60)).unwrap();
    for (round, password) in [&b"correct horse"[..], b"battery staple"].into_iter().enumerate() {
        std::fs::rename(host.home.at("app.key"), host.home.at("away.key")).unwrap();
        host.home.ok_with(&["set", "acme.password"], password);
        // The watcher has read the file without a key.
        let mine = host.home.path().display().to_string();
        let failures = |log: &str| {
            log.lines()
                .filter(|line| {
                    line.contains("the changed file was refused") && line.contains(&mine)
                })
                .count()
        };
        drop(
            team::PROCESS_LOG
                .1
                .wait_while(team::PROCESS_LOG.0.lock().unwrap(), |log| failures(log) <= round)
                .unwrap(),
        );
        std::fs::rename(host.home.at("away.key"), host.home.at("app.key")).unwrap();
        assert_eq!(next(), ["acme.password"]);
        assert!(vault.secret("acme.password").unwrap().expose(|bytes| bytes == password));
        assert_eq!(
            failures(&team::PROCESS_LOG.0.lock().unwrap()),
            round + 1,
            "logged once for each content"
        );
    }
}

#[test]
fn a_running_service_logs_in_again_only_for_a_new_password() {
    let host = Host::with(&format!(
        "{SETTINGS}[acme.login]\nurl = \"https://api.acme.example/login\"\njson = {{ user = \"${{username}}\", password = \"${{password}}\" }}\n[acme.login.logout]\nurl = \"https://api.acme.example/logout\"\njson = {{ user = \"${{username}}\" }}\n"
    ));
    let vault = host.loader(&[("BOOTSEAL_IDENTITY", host.path("app.key"))]).load().unwrap();
    let vendor = Script::new([401]);
    let clock = std::sync::Arc::new(bootseal::testing::Clock::new());
    let source = vault
        .token_source_with("acme", clock.clone(), std::sync::Arc::new(vendor.clone()))
        .unwrap();
    let sent = || {
        let sent = vendor.sent.lock().unwrap();
        sent.iter().map(|request| request.url.path().to_owned()).collect::<Vec<_>>()
    };
    source.token_blocking().unwrap_err();
    host.home.ok(&["set", "--plain", "other", "name"]);
    vault.reload().unwrap();
    source.token_blocking().unwrap_err();
    assert_eq!(sent(), ["/login"], "another edit does not end the backoff");
    host.home.ok_with(&["set", "acme.password"], b"correct horse");
    vault.reload().unwrap();
    source.token_blocking().unwrap();
    assert_eq!(sent(), ["/login", "/login"]);
    // A change of the user also replaces the token.
    host.home.ok_with(&["set", "acme.password"], b"battery staple");
    vault.reload().unwrap();
    source.token_blocking().unwrap();
    assert_eq!(sent().len(), 2);
    host.home.ok_with(&["set", "acme.username"], b"eve");
    vault.reload().unwrap();
    source.token_blocking().unwrap();
    // A call may still use the old token for a moment.
    while sent().len() < 4 {
        clock.advance(std::time::Duration::from_secs(1));
        std::thread::yield_now();
    }
    let logout = sent().iter().position(|path| path == "/logout").unwrap();
    let body = vendor.sent.lock().unwrap()[logout]
        .body
        .as_ref()
        .unwrap()
        .expose_str(str::to_owned)
        .unwrap();
    assert_eq!(body, r#"{"user":"bob"}"#, "the old session is logged out as its own user");
}

/// A clock that reloads the vault when it is first read, which happens while a source is made.
struct Reloads(bootseal::testing::Clock, std::sync::Mutex<Option<bootseal::Secrets>>);

impl bootseal::Clock for Reloads {
    fn monotonic(&self) -> std::time::Duration {
        let vault = self.1.lock().unwrap().take();
        if let Some(vault) = vault {
            assert_eq!(vault.reload().unwrap(), ["acme.password"]);
        }
        self.0.monotonic()
    }

    fn unix_time(&self) -> std::time::Duration {
        self.0.unix_time()
    }

    fn sleep(
        &self,
        time: std::time::Duration,
    ) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
        self.0.sleep(time)
    }

    fn jitter(&self) -> f64 {
        self.0.jitter()
    }
}

#[test]
fn a_source_made_during_a_reload_logs_in_with_the_new_values() {
    let host = Host::with(&format!(
        "{SETTINGS}[acme.login]\nurl = \"https://api.acme.example/login\"\njson = {{ password = \"${{password}}\" }}\n"
    ));
    let vault = host.loader(&[("BOOTSEAL_IDENTITY", host.path("app.key"))]).load().unwrap();
    host.home.ok_with(&["set", "acme.password"], b"correct horse");
    let clock =
        Reloads(bootseal::testing::Clock::new(), std::sync::Mutex::new(Some(vault.clone())));
    let vendor = Script::default();
    let made = vault.token_source_with(
        "acme",
        std::sync::Arc::new(clock),
        std::sync::Arc::new(vendor.clone()),
    );
    made.unwrap().token_blocking().unwrap();
    assert_eq!(vendor.used_next(), [true], "with the new password");
}

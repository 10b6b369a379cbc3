//! The sidecar of examples/kubernetes: checks of its manifest, and a gateway that runs as it says.

use crate::support;
use crate::support::{Gateway, Usual, ca, call, get};
use crate::under_load::five_times;
use bootseal_vendor_sim::Vendor;
use serde_json::{Value, json};
use std::fs::{Permissions, read_to_string, set_permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(path)
}

fn manifest() -> Value {
    let ours = here("target/python/bin/python");
    let python = if ours.exists() { ours } else { "python3".into() };
    let read = "import json, sys, yaml; json.dump(yaml.safe_load(open(sys.argv[1])), sys.stdout)";
    let output = Command::new(python)
        .args(["-c", read])
        .arg(here("examples/kubernetes/sidecar.yaml"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn the_manifest_grants_the_gateway_only_what_it_needs() {
    let manifest = manifest();
    let pod = &manifest["spec"]["template"]["spec"];
    assert_eq!(pod["automountServiceAccountToken"], json!(false));
    let whole = &pod["securityContext"];
    assert_eq!(
        (&whole["runAsNonRoot"], &whole["seccompProfile"]["type"]),
        (&json!(true), &json!("RuntimeDefault"))
    );
    assert!(whole["runAsUser"].as_u64().unwrap() > 0);
    assert_eq!(whole["fsGroup"], whole["runAsGroup"]);
    let gateway = &pod["initContainers"][0];
    assert_eq!(gateway["restartPolicy"], "Always");
    assert_eq!(
        gateway["securityContext"],
        json!({ "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": { "drop": ["ALL"] } })
    );
    let mounts = gateway["volumeMounts"].as_array().unwrap();
    assert!(
        mounts
            .iter()
            .all(|mount| mount["readOnly"] == json!(true) && mount.get("subPath").is_none())
    );
    let file = &gateway["args"][0];
    assert!(file.as_str().unwrap().starts_with(mounts[0]["mountPath"].as_str().unwrap()));
    for probe in ["startupProbe", "readinessProbe"] {
        let asks = json!(["bootseal-gateway", "healthy", "--admin", "127.0.0.1:9300"]);
        assert_eq!(gateway[probe]["exec"]["command"], asks, "{probe}");
    }
    // Only the gateway has the key, not the application.
    let key = json!("key");
    assert_eq!(pod["containers"].as_array().unwrap().len(), 1);
    assert!(pod["containers"][0].get("volumeMounts").is_none());
    let volume =
        pod["volumes"].as_array().unwrap().iter().find(|volume| volume["name"] == key).unwrap();
    assert_eq!(volume["secret"]["defaultMode"], json!(0o440));
}

/// Runs `program` with all file systems read-only. If the test may choose, it runs as the user and
/// group of the manifest, otherwise as root in its own user namespace.
fn confined(user: u32, group: u32, program: &Command) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private"]);
    let root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
    if !root {
        command.args(["--user", "--map-root-user"]);
    }
    // Each mount is remounted separately, because a remount does not affect the mounts below it.
    let fix = "for at in $(awk '{print $2}' /proc/mounts | tac); do case $at in /proc*|/sys*|/dev*) ;; \
               *) mount -o remount,bind,ro $at ;; esac; done 2>/dev/null; exec \"$@\"";
    command.args(["sh", "-c", fix, "sh"]);
    command.args(["setpriv", "--no-new-privs", "--bounding-set=-all"]);
    if root {
        command.args([&format!("--reuid={user}"), &format!("--regid={group}"), "--clear-groups"]);
    }
    command.arg(program.get_program()).args(program.get_args()).env_clear().stdin(Stdio::null());
    command.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("PATH", std::env::var_os("PATH").unwrap());
    command
}

/// The user and the group of the manifest.
fn ids() -> [u32; 2] {
    let manifest = manifest();
    let whole = &manifest["spec"]["template"]["spec"]["securityContext"];
    ["runAsUser", "runAsGroup"].map(|name| u32::try_from(whole[name].as_u64().unwrap()).unwrap())
}

/// The gateway with its file and its key, which this group can read. Returns the command and the
/// program.
fn mounted(usual: &Usual, group: u32) -> (Command, PathBuf) {
    // Like the volume of a Secret: owned by root, readable for the pod's group, on a read-only
    // mount.
    let key = usual.sealed.at("app.key");
    set_permissions(usual.sealed.folder.path(), Permissions::from_mode(0o755)).unwrap();
    set_permissions(usual.sealed.path(), Permissions::from_mode(0o644)).unwrap();
    set_permissions(&key, Permissions::from_mode(0o440)).unwrap();
    if std::os::unix::fs::chown(&key, None, Some(group)).is_err() {
        assert_ne!(std::fs::metadata("/proc/self").unwrap().uid(), 0);
    }
    // Another user may not have access to the folder of the test's binary.
    let binary = usual.sealed.at("bootseal-gateway");
    std::fs::copy(support::program(), &binary).unwrap();
    let mut program = Command::new(&binary);
    program
        .arg(usual.sealed.path())
        .env("BOOTSEAL_IDENTITY", &key)
        .env("BOOTSEAL_PIN", &usual.sealed.vault);
    (program, binary)
}

#[test]
fn five_starts_and_stops_under_load_leave_nothing_behind_on_a_read_only_file_system() {
    let [user, group] = ids();
    let vendor = Vendor::start().unwrap();
    let usual = Usual::new(vendor.url("").trim_end_matches('/'), &ca(vendor.ca_pem()), "");
    let (program, _) = mounted(&usual, group);
    five_times(&usual, &vendor, || Gateway::run(confined(user, group, &program)));
}

#[test]
fn the_gateway_runs_as_the_manifest_says_on_a_read_only_file_system() {
    let [user, group] = ids();
    let vendor = Vendor::start().unwrap();
    let usual = Usual::new(vendor.url("").trim_end_matches('/'), &ca(vendor.ca_pem()), "");
    let (program, binary) = mounted(&usual, group);
    let mut told = Command::new("sh");
    told.args([
        "-c",
        &format!("! touch {}/x 2>/dev/null && id -u", usual.sealed.folder.path().display()),
    ]);
    let output = confined(user, group, &told).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let gateway = Gateway::run(confined(user, group, &program));
    assert_eq!(call(usual.port, &get("/orders")).status, 200);
    vendor.revoke_all();
    assert_eq!(call(usual.port, &get("/orders")).status, 200);
    let mut healthy = Command::new(&binary);
    healthy.arg("healthy").arg(usual.sealed.path());
    let output = confined(user, group, &healthy).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // `unshare` and `setpriv` have replaced themselves by exec, so this is the gateway's process.
    let status = read_to_string(format!("/proc/{}/status", gateway.pid())).unwrap();
    let line = |name: &str| {
        status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned()
    };
    assert_eq!((line("NoNewPrivs:"), line("CapEff:")), ("1".into(), "0000000000000000".into()));
    let mounts = read_to_string(format!("/proc/{}/mounts", gateway.pid())).unwrap();
    let root = mounts.lines().rfind(|line| line.split(' ').nth(1) == Some("/")).unwrap();
    assert!(root.split(' ').nth(3).unwrap().starts_with("ro"), "{root}");
}

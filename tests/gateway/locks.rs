//! A state folder that another process has locked: the gateway starts without memory, unless
//! nothing else vouches for the vault.

use crate::support::{Gateway, Upstream, Usual, call, get, reply};
use std::fs::File;
use std::process::Stdio;

#[test]
fn a_locked_state_folder_delays_a_start_and_does_not_prevent_it() {
    let upstream = Upstream::start(|_, stream| {
        reply(stream, "200 OK", "ok")?;
        Ok(true)
    });
    let usual = Usual::new(&upstream.origin(), "", "");
    let other = Usual::new(&upstream.origin(), "", "");
    // Anyone who can read the folder can lock it.
    let state = tempfile::tempdir().unwrap();
    let held = File::open(state.path()).unwrap();
    rustix::fs::flock(&held, rustix::fs::FlockOperation::LockShared).unwrap();
    // Without a pin, a start that cannot be remembered would trust any vault at every start.
    let mut unpinned = other.sealed.command();
    unpinned.env("BOOTSEAL_STATE", state.path()).env_remove("BOOTSEAL_PIN");
    let unpinned = unpinned.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut pinned = usual.sealed.command();
    pinned.env("BOOTSEAL_STATE", state.path());
    let gateway = Gateway::run(pinned);
    let holder = format!("locked by {} (", std::process::id());
    let line = gateway.log().wait("could not be remembered");
    assert!(line.contains("WARN") && line.contains(&holder), "{line}");
    assert_eq!(call(usual.port, &get("/orders")).status, 200);
    let output = unpinned.wait_with_output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains(&holder), "{error}");
    drop(held);
    assert!(!state.path().join("known_vaults").exists());
}

//! A state folder that another process has locked: the gateway starts, but this start is not
//! remembered. If nothing else vouches for the vault, it does not start.

use crate::support::{Gateway, Upstream, Usual, call, get, reply};
use std::fs::File;
use std::process::Stdio;

#[test]
fn a_locked_state_folder_delays_a_start_with_a_pin_and_prevents_one_without() {
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
    // If a start without a pin could not be remembered, each such start would trust any vault.
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

//! A gateway whose name lookups never end: it still ends in time, and starts no thread per call.

use crate::support::{Client, Gateway, Sealed, Upstream, VALUES, call, free_port, get, reply};
use std::process::Command;
use std::time::Duration;

const CALLS: usize = 200;

/// A gateway that reads a pipe without a writer as `/etc/hosts`, so that each lookup blocks.
fn start(sealed: &Sealed) -> Gateway {
    let pipe = sealed.at("hosts");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let served = sealed.command();
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c"]);
    command.args(["mount --bind \"$1\" /etc/hosts && shift && exec \"$@\"", "sh"]).arg(&pipe);
    command.arg(served.get_program()).args(served.get_args()).env_clear();
    command.env("PATH", std::env::var_os("PATH").unwrap());
    for (name, value) in served.get_envs() {
        command.env(name, value.unwrap());
    }
    Gateway::run(command)
}

fn threads(gateway: &Gateway) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", gateway.pid())).unwrap();
    let threads = status.lines().find_map(|line| line.strip_prefix("Threads:")).unwrap();
    threads.trim().parse().unwrap()
}

/// Makes many calls to a route whose upstream, or whose login too, has a name that is never found.
fn calls_wait_for_dns(login: Option<&str>) {
    let vendor = Upstream::start(|_, stream| {
        reply(stream, "200 OK", "ok")?;
        Ok(true)
    });
    let login = login.map_or_else(|| vendor.origin(), str::to_owned);
    let (port, admin) = (free_port(), free_port());
    let readable = format!(
        "[acme.login]\nurl = \"{login}/login\"\nbasic = true\nhosts = [\"api.acme.example\"]\n[acme.login.logout]\nurl = \"{login}/logout\"\n[acme.route]\nlisten = \"127.0.0.1:{port}\"\nupstream = \"https://api.acme.example\"\nconnect_timeout = \"60s\"\n[gateway]\nadmin = \"127.0.0.1:{admin}\"\ndrain = \"1s\"\n"
    );
    let sealed = Sealed::new(&VALUES, &readable);
    let mut gateway = start(&sealed);
    let before = threads(&gateway);
    let callers: Vec<Client> = (0..CALLS)
        .map(|_| {
            let mut client = Client::connect(port);
            client.send(get("/orders"));
            client
        })
        .collect();
    let in_flight = format!("bootseal_gateway_calls_in_flight{{route=\"acme\"}} {CALLS}");
    while !call(admin, &get("/metrics")).text().contains(&in_flight) {
        std::thread::yield_now();
    }
    let during = threads(&gateway);
    assert!(during <= before + 8, "{before} threads before the calls, {during} during them");
    gateway.signal("TERM");
    assert_eq!(gateway.ended_within(Duration::from_secs(60)), Some(0));
    drop(callers);
}

#[test]
fn calls_without_dns_start_few_threads_and_do_not_delay_the_end() {
    calls_wait_for_dns(None);
}

#[test]
fn a_login_without_dns_does_not_delay_the_end() {
    calls_wait_for_dns(Some("https://login.acme.example"));
}

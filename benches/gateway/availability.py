"""What a peer does under callers that do not read, with an upstream that ends connections, and with large bodies that it refuses.

1. Slow readers: 1000 callers ask for 1 MiB each, and do not read it.
2. Lost calls: 32 callers call over an upstream with nginx's defaults, which ends each connection after 1000 calls; it is reloaded every second.
3. Refusals: callers send 10 MiB to an address that the peer refuses, and expect its answer.
"""

import collections
import contextlib
import http.client
import json
import pathlib
import re
import resource
import signal
import socket
import subprocess
import tempfile
import threading
import time

from programs import *

READERS, LARGE = 1000, 1 << 20
REFUSALS, BODY_SIZE = 20, 10 << 20
FOLDER = "availability_peers"


def start_all(stack, home, peer):
    """Starts the upstream and one peer. Returns both, and the path that the peer refuses."""
    ports = {"upstream": Port(), "h2": Port()}
    (home / "large").write_bytes(b"x" * LARGE)
    authority = certificate(home)
    ports["h2"].hand_over()
    upstream = start_nginx(stack, home, "upstream", f"{FOLDER}/upstream.conf", ports["upstream"], body=BODY, **ports)
    if peer == BOOTSEAL:
        tables = f"{FOLDER}/tables.toml"
        program = start_bootseal(stack, home, untrained(), Port(), tables, names=("acme", "h2"), ca=authority, **ports)
        return upstream, program, "/acme/%2e%2e/things"
    if peer == NGINX:
        return upstream, start_nginx(stack, home, NGINX, f"{FOLDER}/nginx.conf", Port(), **ports), "/refused/things"
    config, port = home / "envoy.yaml", Port()
    generic = "type.googleapis.com/envoy.extensions.http.injected_credentials.generic.v3.Generic"
    credential = {"name": "generic", "typed_config": {"@type": generic, "credential": {"name": "token"}}}
    values = {"port": port, "secret": f"Bearer {TOKEN}", "credential": json.dumps(credential)}
    config.write_text(filled(f"{FOLDER}/envoy.yaml", **values, **ports), "utf-8")
    options = ["--concurrency", "1", "--disable-hot-restart", "--log-level", "error"]
    return upstream, Program(stack, home, ENVOY, port, [envoy(), "-c", str(config), *options]), "/refused/things"


def slow_readers(peer):
    """The resident memory before, at most, and 30 s after the callers have gone, in MiB."""
    before = peer.memory()[1]
    callers = []
    for _ in range(READERS):
        caller = socket.create_connection(("127.0.0.1", peer.port), timeout=10)
        caller.sendall(b"GET /acme/large HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        callers.append(caller)
    most = before
    for _ in range(100):
        most = max(most, peer.memory()[1])
        time.sleep(0.1)
    for caller in callers:
        # Each caller has an answer: none was refused.
        if not caller.recv(12).endswith(b" 200"):
            raise Failed(f"{peer.name}: a slow reader was refused")
        caller.close()
    time.sleep(30)
    peer.must_answer_itself()
    return before, most, peer.memory()[1]


def lost_calls(peer, upstream, home, seconds):
    """The calls, the lost ones, and those that were carried out twice."""
    log = home / "calls.log"
    log.write_text("")
    done = threading.Event()

    def reload():
        while not done.wait(1):
            upstream.process.send_signal(signal.SIGHUP)

    reloading = threading.Thread(target=reload)
    reloading.start()
    try:
        command = [wrk(), "-t1", "-c32", f"-d{seconds}s", "-s", str(HERE / FOLDER / "calls.lua"), f"http://127.0.0.1:{peer.port}"]
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    finally:
        done.set()
        reloading.join()
    found = re.search(r"^REPORT (.*)$", printed, re.MULTILINE)
    if not found:
        raise Failed(f"{peer.name}: wrk printed {printed}")
    report = json.loads(found[1])
    peer.must_answer_itself()
    time.sleep(1)
    carried_out = collections.Counter(line for line in log.read_text().splitlines() if line.startswith("200 "))
    twice = sum(times - 1 for times in carried_out.values())
    return report["requests"], report["status"] + report["broken"], twice


def refusals(peer, path):
    """How many of the callers get the peer's answer, which comes while they still send their body."""
    arrived, body = 0, b"x" * BODY_SIZE
    for _ in range(REFUSALS):
        connection = http.client.HTTPConnection("127.0.0.1", peer.port, timeout=10)
        with contextlib.closing(connection):
            try:
                connection.request("POST", path, body)
                arrived += 400 <= connection.getresponse().status < 500
            except (OSError, http.client.HTTPException):
                pass
    peer.must_answer_itself()
    return arrived


def availability(options):
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    print(f"{READERS} callers that do not read 1 MiB each (resident memory in MiB); 32 callers for {options.lost_seconds} s over an upstream that ends each connection")
    print(f"after 1000 calls, and is reloaded every second; {REFUSALS} refused calls with bodies of 10 MiB.\n")
    print("| | before | under slow readers | 30 s after | calls | lost | carried out twice | refusals that arrived |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|")
    for name in (BOOTSEAL, NGINX, ENVOY):
        if name not in options.peers:
            continue
        with tempfile.TemporaryDirectory(prefix="bench-gateway-") as folder, contextlib.ExitStack() as stack:
            home = pathlib.Path(folder)
            upstream, peer, refused = start_all(stack, home, name)
            upstream.answers_status(401)
            peer.answers(path="/acme/things")
            peer.answers(path="/h2/things")
            before, most, after = slow_readers(peer)
            calls, lost, twice = lost_calls(peer, upstream, home, options.lost_seconds)
            print(f"| {name} | {before:.1f} | {most:.1f} | {after:.1f} | {calls} | {lost} | {twice} | {refusals(peer, refused)} of {REFUSALS} |", flush=True)

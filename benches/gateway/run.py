"""Measures the cost of a call through the gateway, nginx, Envoy and a bare hyper proxy, and counts the calls that fail when the vendor revokes tokens.

    scripts/bench-gateway                 installs the tools, builds the programs, and runs both parts
    python3 benches/gateway/run.py        prints the cost as Markdown tables
    python3 benches/gateway/run.py --revocations   prints the failed calls


Everything runs on loopback, and each peer has one worker. The peers are measured in turn (A B C A B C …), so that a drift in the machine's speed affects all
of them equally.
"""

import argparse
import contextlib
import http.client
import http.server
import json
import os
import platform
import pathlib
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
TICK = os.sysconf("SC_CLK_TCK")
TOKEN = "Zm9yIHRoZSBiZW5jaG1hcmsgb25seSwgbm90IGEgc2VjcmV0"  # has a typical length and is the same for all peers
BODY = "0123456789abcdef" * 64
BOOTSEAL, UNTRAINED, NGINX, ENVOY, BARE = "bootseal-gateway", "untrained gateway", "nginx", "Envoy", "bare hyper"
PEERS = [BOOTSEAL, UNTRAINED, NGINX, ENVOY, BARE]


class Failed(Exception):
    pass


# The programs.


def program(name, *places):
    found = next((str(place) for place in places if os.access(place, os.X_OK)), None) or shutil.which(name)
    if not found:
        raise Failed(f"{name} was not found: scripts/bench-gateway installs or builds it")
    return found


def cli():
    return program("bootseal", TARGET / "dist/bootseal")


def gateway():
    return program("bootseal-gateway", TARGET / "trained/bootseal-gateway")


def untrained():
    return program("bootseal-gateway", TARGET / "dist/bootseal-gateway")


def nginx():
    return program("nginx", "/usr/sbin/nginx")


def envoy():
    # The program itself, not its Python wrapper: the wrapper's CPU time would be counted until it executes Envoy.
    return program("envoy", *(TARGET / "python-bench").glob("lib/python*/site-packages/envoy/_bin/envoy"))


def bare():
    return program("bare", TARGET / "bare/dist/bare")


def wrk():
    return program("wrk")


def output(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    return (done.stdout + done.stderr).strip()


def versions():
    commit = output("git", "-C", str(ROOT), "rev-parse", "--short=10", "HEAD")
    build = output(envoy(), "--version")
    return {
        BOOTSEAL: f"{output(gateway(), '--version').split()[-1]} ({commit})",
        UNTRAINED: output(untrained(), "--version").split()[-1],
        NGINX: output(nginx(), "-v").rpartition("/")[2],
        ENVOY: re.search(r"/(\d+\.\d+\.\d+)/", build)[1],
        BARE: re.search(r'name = "hyper"\nversion = "(.*)"', (HERE / "bare/Cargo.lock").read_text("utf-8"))[1],
        "wrk": re.search(r"\d+\.\d+\.\d+", output(wrk(), "-v"))[0],
    }


# Starting and stopping programs.


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def filled(name, **values):
    text = (HERE / name).read_text("utf-8")
    for key, value in values.items():
        text = text.replace(f"@{key.upper()}@", str(value))
    return text


class Program:
    """A process. Its measurements include its children."""

    def __init__(self, stack, home, name, port, command, environment=None):
        self.name, self.port = name, port
        with socket.socket() as probe:
            # Two programs that listen with SO_REUSEPORT would silently share the load.
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                raise Failed(f"{name}: port {port} is already in use")
        log = stack.enter_context(open(home / f"{name}.log", "w+", encoding="utf-8"))
        self.process = subprocess.Popen(command, cwd=home, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        stack.callback(self.end)
        self.log = home / f"{name}.log"

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def answers(self, seconds=15, path="/"):
        """Waits until a call gets 200 and a body, which shows that the peer adds the token, and returns the body."""
        until = time.monotonic() + seconds
        last = "nothing"
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise Failed(f"{self.name} ended with {self.process.returncode}:\n{self.log.read_text()[-2000:]}")
            try:
                last, body = call(self.port, path=path)
                if last == 200 and body:
                    return body
            except OSError as error:
                last = error
            time.sleep(0.1)
        raise Failed(f"{self.name} does not answer: {last}\n{self.log.read_text()[-2000:]}")

    def pids(self):
        found, look = [], [self.process.pid]
        while look:
            pid = look.pop()
            found.append(pid)
            for children in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
                look += [int(child) for child in children.read_text().split()]
        return found

    def cpu(self):
        """Seconds of CPU time so far: user time and kernel time."""
        user = kernel = 0
        for pid in self.pids():
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            user, kernel = user + int(fields[11]), kernel + int(fields[12])
        return user / TICK, kernel / TICK

    def memory(self):
        """The peak, resident and proportional size in MiB. In the proportional size, shared pages are divided among the processes that share them."""
        peak = resident = proportional = 0
        for pid in self.pids():
            status = pathlib.Path(f"/proc/{pid}/status").read_text()
            peak += int(re.search(r"VmHWM:\s+(\d+)", status)[1])
            resident += int(re.search(r"VmRSS:\s+(\d+)", status)[1])
            rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
            proportional += int(re.search(r"^Pss:\s+(\d+)", rollup, re.MULTILINE)[1])
        return peak / 1024, resident / 1024, proportional / 1024


def call(port, headers=None, path="/"):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    with contextlib.closing(connection):
        connection.request("GET", path, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read()


def user():
    return "user root;" if os.geteuid() == 0 else ""  # as root, nginx would otherwise change its worker to a user that cannot write to our folder


def start_nginx(stack, home, name, template, port, **values):
    config = home / f"{name}.conf"
    config.write_text(filled(template, dir=home, user=user(), port=port, token=TOKEN, **values), "utf-8")
    return Program(stack, home, name, port, [nginx(), "-e", "stderr", "-p", str(home), "-c", str(config)])


def start_envoy(stack, home, name, port, upstream, secret, credential, retry=""):
    config = home / f"{name.split()[0]}-{port}.yaml"
    values = {"port": port, "upstream": upstream, "secret": secret, "credential": json.dumps(credential), "retry": retry}
    config.write_text(filled("envoy.yaml", **values), "utf-8")
    options = ["--concurrency", "1", "--disable-hot-restart", "--log-level", "warn"]
    return Program(stack, home, name, port, [envoy(), "-c", str(config), *options])


def start_bootseal(stack, home, binary, port, tables="bootseal.toml", names=("acme",), options=(), name=BOOTSEAL, **values):
    """Starts the gateway with the profiles and routes in `tables`, and a user and a password for each of `names`."""
    place = home / f"bootseal-{port}"
    place.mkdir()
    environment = {key: value for key, value in os.environ.items() if not key.startswith("BOOTSEAL_")}
    environment |= {"HOME": str(place), "USER": "bench", "XDG_CONFIG_HOME": str(place / "config"), "XDG_STATE_HOME": str(place / "state")}

    def run(*command, **more):
        done = subprocess.run([cli(), *command], cwd=place, env=environment | more.pop("env", {}), capture_output=True, text=True, **more)
        if done.returncode:
            raise Failed(f"bootseal {' '.join(command)}: {done.stderr}")

    run("init")
    for table in names:
        run("set", f"{table}.username", input="svc")
        run("set", f"{table}.password", input="correct horse")
    more, editor = place / "tables.toml", place / "editor"
    more.write_text(filled(tables, port=port, **values), "utf-8")
    editor.write_text(f'#!/bin/sh\ncat "{more}" >> "$1"\n', "utf-8")
    editor.chmod(0o700)
    run("edit", "--yes", env={"EDITOR": str(editor)})
    file = place / "app.sealed.toml"
    environment["BOOTSEAL_PIN"] = re.search(r'^vault = "(\w+)"', file.read_text("utf-8"), re.MULTILINE)[1]
    return Program(stack, home, name, port, [binary, str(file), "--log", "warn", *options], environment)


# The cost of a call.


def start_bare(stack, home, port, upstream):
    return Program(stack, home, BARE, port, [bare(), str(port), str(upstream), TOKEN])


def generic():
    kind = "type.googleapis.com/envoy.extensions.http.injected_credentials.generic.v3.Generic"
    return {"name": "generic", "typed_config": {"@type": kind, "credential": {"name": "token"}}}


def load(peer, connections, seconds):
    before = peer.cpu()
    url = f"http://127.0.0.1:{peer.port}/things/1"
    command = [wrk(), "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", str(HERE / "report.lua"), url]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    user, kernel = (after - earlier for after, earlier in zip(peer.cpu(), before))
    found = re.search(r"^REPORT (.*)$", done.stdout, re.MULTILINE)
    if not found:
        raise Failed(f"{peer.name}: wrk printed {done.stdout}")
    report = json.loads(found[1])
    if report["status"] or report["broken"] or not report["requests"]:
        raise Failed(f"{peer.name}: calls failed: {report}")
    return {
        "cpu": (user + kernel) * 1e6 / report["requests"],
        "kernel": kernel * 1e6 / report["requests"],
        "p50": report["p50"],
        "p99": report["p99"],
        "rate": report["requests"] * 1e6 / report["microseconds"],
    }


def start_peers(stack, home, names):
    upstream = free_port()
    vendor = start_nginx(stack, home, "upstream", "upstream.conf", upstream, upstream=upstream, body=BODY)
    while True:
        with contextlib.suppress(OSError):
            status, _ = call(upstream)
            break
        if vendor.process.poll() is not None:
            raise Failed(vendor.log.read_text())
        time.sleep(0.05)
    if status != 401 or call(upstream, {"Authorization": f"Bearer {TOKEN}"}) != (200, BODY.encode()):
        raise Failed("the upstream does not check the token")
    starts = {
        BOOTSEAL: lambda: start_bootseal(stack, home, gateway(), free_port(), upstream=upstream),
        UNTRAINED: lambda: start_bootseal(stack, home, untrained(), free_port(), upstream=upstream, name=UNTRAINED),
        NGINX: lambda: start_nginx(stack, home, NGINX, "nginx.conf", free_port(), upstream=upstream),
        ENVOY: lambda: start_envoy(stack, home, ENVOY, free_port(), upstream, f"Bearer {TOKEN}", generic()),
        BARE: lambda: start_bare(stack, home, free_port(), upstream),
    }
    peers = [starts[name]() for name in names]
    for peer in peers:
        if peer.answers() != BODY.encode():
            raise Failed(f"{peer.name}: unexpected body")
    return peers


def cost(options):
    with tempfile.TemporaryDirectory(prefix="bench-gateway-") as home, contextlib.ExitStack() as stack:
        peers = start_peers(stack, pathlib.Path(home), options.peers)
        if options.pids:
            print(*(f"{peer.name}={peer.pids()}" for peer in peers), file=sys.stderr, flush=True)
        idle, before = {peer.name: peer.memory() for peer in peers}, machine()
        measured = {(peer.name, count): [] for peer in peers for count in options.connections}
        for turn in range(options.rounds + 1):
            for count in options.connections:
                # Each round begins with a different peer, so that the after-effects of a measurement affect each
                # peer in turn.
                at = turn % len(peers)
                for peer in peers[at:] + peers[:at]:
                    values = load(peer, count, options.seconds if turn else options.warm_up)
                    if turn:
                        measured[peer.name, count].append(values)
                    print(".", end="", file=sys.stderr, flush=True)
        print(file=sys.stderr)
        show(options, peers, measured, idle, before)


def show(options, peers, measured, idle, before):
    names = [peer.name for peer in peers]
    which = versions()
    print(f"{before}.\n")
    print(", ".join(f"{name} {which[name]}" for name in [*names, "wrk"]) + f". {options.rounds} rounds of {options.seconds} s; medians, with the lowest and highest CPU time.\n")
    print("| connections | | CPU µs per call | (range) | kernel µs | p50 µs | p99 µs | calls/s |")
    print("|--:|---|--:|--:|--:|--:|--:|--:|")
    medians = {}
    for count in options.connections:
        for name in names:
            rounds = measured[name, count]
            medians[name, count] = {key: statistics.median(values[key] for values in rounds) for key in rounds[0]}
            of, costs = medians[name, count], [values["cpu"] for values in rounds]
            print(f"| {count} | {name} | {of['cpu']:.1f} | {min(costs):.1f}–{max(costs):.1f} | {of['kernel']:.1f} | {of['p50']:.0f} | {of['p99']:.0f} | {of['rate']:.0f} |")
    print("\n| MiB | peak (VmHWM) | resident | proportional (PSS) | resident before the load |")
    print("|---|--:|--:|--:|--:|")
    for peer in peers:
        peak, resident, proportional = peer.memory()
        print(f"| {peer.name} | {peak:.1f} | {resident:.1f} | {proportional:.1f} | {idle[peer.name][1]:.1f} |")
    others = [name for name in names if name != BOOTSEAL]
    if BOOTSEAL not in names or not others:
        return
    print("\n| connections | ratio to | CPU per call | (range of rounds) | p50 | p99 |")
    print("|--:|---|--:|--:|--:|--:|")
    for count in options.connections:
        for name in others:
            # The ratio within each round, where only the peer differs, and then the median of these ratios.
            both = list(zip(measured[BOOTSEAL, count], measured[name, count]))
            ratio = {key: [a[key] / b[key] for a, b in both] for key in ("cpu", "p50", "p99")}
            middle = {key: statistics.median(values) for key, values in ratio.items()}
            print(f"| {count} | {name} | {middle['cpu']:.2f} | {min(ratio['cpu']):.2f}–{max(ratio['cpu']):.2f} | {middle['p50']:.2f} | {middle['p99']:.2f} |")


def machine():
    model = re.search(r"model name\s*:\s*(.*)", pathlib.Path("/proc/cpuinfo").read_text())
    total = int(re.search(r"MemTotal:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text())[1]) / 2**20
    busy = os.getloadavg()[0]
    return f"{os.cpu_count()} cores ({model[1] if model else platform.machine()}), {total:.0f} GiB, Linux {platform.release()}, load average {busy:.1f} before the measurement"


# Tokens that are revoked before they expire.


class Vendor(http.server.ThreadingHTTPServer):
    """Issues tokens with a stated lifetime of one hour. `revoke` revokes all of them."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self):
        self.lock = threading.Lock()
        self.epoch, self.logins, self.refused = 0, 0, 0
        super().__init__(("127.0.0.1", 0), Answers)
        self.port = self.server_address[1]

    def token(self):
        with self.lock:
            self.logins += 1
            return f"{TOKEN}-{self.epoch}-{self.logins}"

    def accepts(self, header):
        with self.lock:
            good = (header or "").startswith(f"Bearer {TOKEN}-{self.epoch}-")
            self.refused += not good
            return good

    def revoke(self):
        with self.lock:
            self.epoch += 1


class Answers(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body in one piece

    def log_message(self, *_):
        pass

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        good = self.server.accepts(self.headers["Authorization"])
        self.answer(200 if good else 401, BODY.encode() if good else b'{"error":"invalid_token"}')

    def do_POST(self):
        # /token expects client_credentials, and /login the body of our profile. Both issue the same kind
        # of token.
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/login":
            good = json.loads(body) == {"user": "svc", "password": "correct horse"}
        else:
            good = b"grant_type=client_credentials" in body
        if not good:
            return self.answer(401, b'{"error":"invalid_client"}')
        answer = {"access_token": self.server.token(), "token_type": "Bearer", "expires_in": 3600}
        self.answer(200, json.dumps(answer).encode())


def oauth2(upstream):
    kind = "type.googleapis.com/envoy.extensions.http.injected_credentials.oauth2.v3.OAuth2"
    endpoint = {"uri": f"http://127.0.0.1:{upstream}/token", "cluster": "vendor", "timeout": "3s"}
    client = {"client_id": "svc", "client_secret": {"name": "token"}}
    return {"name": "oauth2", "typed_config": {"@type": kind, "token_endpoint": endpoint, "token_fetch_retry_interval": "1s", "client_credentials": client}}


RETRY = ', retry_policy: { retry_on: "retriable-status-codes", retriable_status_codes: [401], num_retries: 1 }'


def client(port, every, until, statuses, lock):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    due = time.monotonic()
    while due < until:
        time.sleep(max(0.0, due - time.monotonic()))
        due += every
        try:
            connection.request("GET", "/things/1")
            answer = connection.getresponse()
            answer.read()
            status = answer.status
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            status = type(error).__name__
        with lock:
            statuses[status] = statuses.get(status, 0) + 1


def calls(port, options, vendor):
    statuses, lock = {}, threading.Lock()
    begin = time.monotonic()
    every = options.clients / options.calls
    arguments = (port, every, begin + options.for_seconds, statuses, lock)
    threads = [threading.Thread(target=client, args=arguments, daemon=True) for _ in range(options.clients)]
    for thread in threads:
        thread.start()
        time.sleep(every / options.clients)
    revocations = 0
    # No revocation at the end, because no calls would follow it.
    while (revocations + 1) * options.revoke_every < options.for_seconds:
        revocations += 1
        time.sleep(max(0.0, begin + revocations * options.revoke_every - time.monotonic()))
        vendor.revoke()
    for thread in threads:
        thread.join()
    return statuses, revocations


def revocations(options):
    print(f"{options.clients} clients make {options.calls} calls/s together for {options.for_seconds} s. All tokens are revoked every {options.revoke_every} s.\n")
    print("| | calls | revocations | failed (status ≠ 200) | failed per revocation | logins | statuses |")
    print("|---|--:|--:|--:|--:|--:|---|")
    starts = {
        BOOTSEAL: lambda stack, home, vendor: start_bootseal(stack, home, gateway(), free_port(), upstream=vendor.port),
        f"{ENVOY}, oauth2": lambda stack, home, vendor: start_envoy(stack, home, ENVOY, free_port(), vendor.port, "correct horse", oauth2(vendor.port)),
        f"{ENVOY}, oauth2, 401 retried": lambda stack, home, vendor: start_envoy(
            stack, home, ENVOY, free_port(), vendor.port, "correct horse", oauth2(vendor.port), RETRY
        ),
    }
    for name, start in starts.items():
        with tempfile.TemporaryDirectory(prefix="bench-gateway-") as home, contextlib.ExitStack() as stack:
            vendor = Vendor()
            stack.callback(vendor.server_close)
            threading.Thread(target=vendor.serve_forever, daemon=True).start()
            stack.callback(vendor.shutdown)
            peer = start(stack, pathlib.Path(home), vendor)
            peer.answers()
            statuses, count = calls(peer.port, options, vendor)
            failed = sum(number for status, number in statuses.items() if status != 200)
            seen = ", ".join(f"{status}: {number}" for status, number in sorted(statuses.items(), key=str))
            print(f"| {name} | {sum(statuses.values())} | {count} | {failed} | {failed / count:.1f} | {vendor.logins} | {seen} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description="Measures the cost of a call through the gateway, nginx, Envoy and a bare hyper proxy.")
    parser.add_argument("--revocations", action="store_true", help="run the second part: count the calls that fail when tokens are revoked")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4, help="duration of each measurement")
    parser.add_argument("--warm-up", type=int, default=2, metavar="SECONDS")
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 32])
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=PEERS)
    parser.add_argument("--pids", action="store_true", help="print the ids of the measured processes, to inspect them")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--calls", type=int, default=200, help="calls per second of all clients together")
    parser.add_argument("--for-seconds", type=int, default=12)
    parser.add_argument("--revoke-every", type=int, default=3, metavar="SECONDS")
    options = parser.parse_args()
    try:
        revocations(options) if options.revocations else cost(options)
    except Failed as failure:
        sys.exit(f"run.py: {failure}")


if __name__ == "__main__":
    main()

"""Starts and stops the measured programs, and makes sure that each measurement is of the program that it names.

A port is held from the moment it is chosen until the program that listens at it starts, and after each round the program must be alive, and be the only one
that listens at its port. In an earlier version another program once answered in place of one that had ended.
"""

import contextlib
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
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


class Port(int):
    """A port that no other program can get until it is handed over."""

    def __new__(cls):
        held = socket.socket()
        held.bind(("127.0.0.1", 0))
        port = super().__new__(cls, held.getsockname()[1])
        port.held = held
        return port

    def hand_over(self):
        self.held.close()


def listening(port):
    """The sockets that listen at a port, by their inodes."""
    inodes = set()
    for table in ("tcp", "tcp6"):
        for line in pathlib.Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                inodes.add(fields[9])
    return inodes


def filled(name, **values):
    text = (HERE / name).read_text("utf-8")
    for key, value in values.items():
        text = text.replace(f"@{key.upper()}@", str(value))
    return text


def certificate(home):
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    extensions = ["-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:false"]
    subprocess.run([*command, *extensions, "-keyout", home / "tls.key", "-out", home / "tls.crt"], check=True, capture_output=True)
    return (home / "tls.crt").read_text("utf-8")


class Program:
    """A process. Its measurements include its children."""

    def __init__(self, stack, home, name, port, command, environment=None):
        self.name, self.port = name, int(port)
        port.hand_over()
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
            self.must_be_alive()
            try:
                last, body = call(self.port, path=path)
                if last == 200 and body:
                    self.must_answer_itself()
                    return body
            except OSError as error:
                last = error
            time.sleep(0.1)
        raise Failed(f"{self.name} does not answer: {last}\n{self.log.read_text()[-2000:]}")

    def answers_status(self, expected, seconds=15):
        """Waits until a call gets this status."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.must_be_alive()
            with contextlib.suppress(OSError):
                if call(self.port)[0] == expected:
                    return self.must_answer_itself()
            time.sleep(0.05)
        raise Failed(f"{self.name} does not answer {expected}")

    def must_be_alive(self):
        if self.process.poll() is not None:
            raise Failed(f"{self.name} ended with {self.process.returncode}:\n{self.log.read_text()[-2000:]}")

    def must_answer_itself(self):
        """Fails unless the program is alive, and nothing else listens at its port."""
        self.must_be_alive()
        own = set()
        for pid in self.pids():
            for descriptor in pathlib.Path(f"/proc/{pid}/fd").iterdir():
                with contextlib.suppress(OSError):
                    found = re.fullmatch(r"socket:\[(\d+)\]", os.readlink(descriptor))
                    own |= {found[1]} if found else set()
        there = listening(self.port)
        if not there or there - own:
            raise Failed(f"{self.name}: another program listens at port {self.port}, or none does")

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
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=10)
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

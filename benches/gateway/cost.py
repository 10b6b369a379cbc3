"""The cost of a call: CPU time, latency and memory of each peer, in turn."""

import contextlib
import json
import os
import pathlib
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time

from programs import *

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
    peer.must_answer_itself()
    found = re.search(r"^REPORT (.*)$", done.stdout, re.MULTILINE)
    if not found:
        raise Failed(f"{peer.name}: wrk printed {done.stdout}")
    report = json.loads(found[1])
    if report["status"] or report["broken"] or not report["requests"]:
        raise Failed(f"{peer.name}: calls failed: {report}")
    if not user + kernel:
        raise Failed(f"{peer.name} used no CPU time: it did not answer these calls")
    return {
        "cpu": (user + kernel) * 1e6 / report["requests"],
        "kernel": kernel * 1e6 / report["requests"],
        "p50": report["p50"],
        "p99": report["p99"],
        "rate": report["requests"] * 1e6 / report["microseconds"],
    }


def start_peers(stack, home, names):
    upstream = Port()
    vendor = start_nginx(stack, home, "upstream", "upstream.conf", upstream, upstream=upstream, body=BODY)
    vendor.answers_status(401)
    if call(upstream, {"Authorization": f"Bearer {TOKEN}"}) != (200, BODY.encode()):
        raise Failed("the upstream does not check the token")
    starts = {
        BOOTSEAL: lambda: start_bootseal(stack, home, gateway(), Port(), upstream=upstream),
        UNTRAINED: lambda: start_bootseal(stack, home, untrained(), Port(), upstream=upstream, name=UNTRAINED),
        NGINX: lambda: start_nginx(stack, home, NGINX, "nginx.conf", Port(), upstream=upstream),
        ENVOY: lambda: start_envoy(stack, home, ENVOY, Port(), upstream, f"Bearer {TOKEN}", generic()),
        BARE: lambda: start_bare(stack, home, Port(), upstream),
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

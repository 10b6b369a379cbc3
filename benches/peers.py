"""Measures how long bootseal, age and sops take to read one value from a file. The times are those of whole processes, which run in turn.

    cargo build --profile dist -p bootseal-cli && python3 benches/peers.py target/dist/bootseal

Prints the median wall times, and the ratio to each of the other tools that is on PATH.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

RUNS = 41


def timed(command, environment):
    start = time.perf_counter()
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def compare(title, commands, environment):
    """Runs the commands in turn, A B C A B C …, so that a drift in the machine's speed affects all equally."""
    times = {name: [] for name in commands}
    for turn in range(RUNS + 1):
        for name, command in commands.items():
            seconds = timed(command, environment)
            if turn:
                times[name].append(seconds)
    ours = statistics.median(times["bootseal"])
    print(title)
    for name, seconds in times.items():
        median = statistics.median(seconds)
        ratio = "" if name == "bootseal" else f"   bootseal takes {ours / median:.2f} times as long"
        print(f"  {name:10} {median * 1e3:8.2f} ms{ratio}")


def main():
    binary = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "target/dist/bootseal")
    with tempfile.TemporaryDirectory() as home:
        environment = dict(os.environ, HOME=home, USER="bench")
        for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "BOOTSEAL_FILE", "BOOTSEAL_IDENTITY", "BOOTSEAL_PIN"):
            environment.pop(name, None)

        def run(*command):
            return subprocess.run(command, cwd=home, env=environment, check=True, capture_output=True, text=True).stdout

        recipient = run(binary, "keygen").strip()
        key = os.path.join(home, ".config/bootseal/identity.txt")
        environment["SOPS_AGE_KEY_FILE"] = key
        for count in (2, 100, 10_000):
            values = {f"key{index}": f"a password of about 31 bytes {index}" for index in range(count)}
            plain = os.path.join(home, f"v{count}.toml")
            with open(plain, "w", encoding="utf-8") as file:
                file.writelines(f'{name} = "{value}"\n' for name, value in values.items())
            sealed = os.path.join(home, f"v{count}.sealed.toml")
            run(binary, "seal", plain, "-o", sealed, "-q")
            commands = {"bootseal": [binary, "get", "key1", "-f", sealed]}
            if shutil.which("age"):
                run("age", "-r", recipient, "-o", f"{plain}.age", plain)
                commands["age"] = ["age", "-d", "-i", key, f"{plain}.age"]
            if shutil.which("sops"):
                clear = os.path.join(home, f"v{count}.json")
                with open(clear, "w", encoding="utf-8") as file:
                    json.dump(values, file)
                sops = run("sops", "encrypt", "--age", recipient, clear)
                with open(clear, "w", encoding="utf-8") as file:
                    file.write(sops)
                commands["sops"] = ["sops", "decrypt", "--extract", '["key1"]', clear]
            compare(f"one value of {count}", commands, environment)


main()

"""The training load for profile-guided optimisation: typical calls of applications through an instrumented build of the gateway, over HTTP/1.1 and
HTTP/2, with and without TLS. The load differs from the one with which cost.py measures the result.

    scripts/build-gateway     builds the gateway, runs this script, and builds the gateway again
    train.py PROGRAM FOLDER   writes the profile data to FOLDER
"""

import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import programs

TRAINING = programs.HERE / "training"


def http_1(gateway, prefix, connections, seconds):
    url = f"http://127.0.0.1:{gateway.port}/"
    command = [programs.wrk(), "-t1", f"-c{connections}", f"-d{seconds}s", "-s", TRAINING / "calls.lua", url, "--", prefix]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    failed = re.search(r"Socket errors.*|Non-2xx.*", output)
    if failed or not re.search(r"[1-9]\d* requests in", output):
        raise programs.Failed(f"{prefix}: {output}")


def http_2(gateway, prefix, calls):
    urls = [f"http://127.0.0.1:{gateway.port}{prefix}/{path}" for path in ("items?page=2", "items/7", "report", "items/9")]
    command = [programs.program("h2load"), f"-n{calls}", "-c8", "-m4", *urls]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if f"{calls} succeeded, 0 failed, 0 errored" not in output or f"{calls} 2xx" not in output:
        raise programs.Failed(f"{prefix}: {output}")


def train(program, counts):
    with tempfile.TemporaryDirectory(prefix="train-gateway-") as home, contextlib.ExitStack() as stack:
        home = pathlib.Path(home)
        (home / "report").write_text('{"name":"lamp","price":"19.90","stock":12}\n' * 1500, "utf-8")
        ports = {"clear": programs.Port(), "tls": programs.Port(), "h2": programs.Port()}
        for port in (ports["tls"], ports["h2"]):
            port.hand_over()
        values = {"ca": programs.certificate(home), **ports}
        programs.start_nginx(stack, home, "upstream", "training/upstream.conf", ports["clear"], **values)
        state = home / "state"
        state.mkdir()
        os.environ["LLVM_PROFILE_FILE"] = str(state / "%p.profraw")  # the gateway can write only to its state folder
        gateway = programs.start_bootseal(
            stack, home, program, programs.Port(), "training/tables.toml", names=ports, options=["--state", state], **values
        )
        gateway.answers(path="/clear/items")
        for prefix in ports:
            http_1(gateway, f"/{prefix}", 24, 3)
            http_1(gateway, f"/{prefix}", 1, 2)
            http_2(gateway, f"/{prefix}", 20_000)
        stack.close()  # the gateway writes the profile data when it ends
        written = [file for file in state.glob("*.profraw") if file.stat().st_size]
        if not written:
            raise programs.Failed(f"{program} wrote no profile data: it was built without -Cprofile-generate")
        for file in written:
            shutil.copy(file, counts)


def main():
    try:
        train(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
    except programs.Failed as failure:
        sys.exit(f"train.py: {failure}")


if __name__ == "__main__":
    main()

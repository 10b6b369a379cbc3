"""The reader built from docs/format.md alone reads every test vector as vectors.json says.

Run it with a Python that has `cryptography`: `python tests/core/reader_vectors.py`. Exits with 1 if any row differs.
"""

import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(HERE / "support"))

from reader import read  # noqa: E402  (its folder is not a package)


def differs(row, got):
    """The first difference between the row and what the reader returned, or None."""
    kind = "ok" if got["ok"] else got["kind"]
    if kind != row["expect"]:
        return f"expected {row['expect']}, got {kind} ({got.get('why')})"
    if kind != "ok":
        return None
    for name in ("vault", "generation", "epoch"):
        if got[name] != row[name]:
            return f"{name} is {got[name]}"
    if set(got["values"]) != set(row["values"]):
        return f"other paths: {sorted(set(got['values']) ^ set(row['values']))}"
    for path, want in row["values"].items():
        have = got["values"][path]
        # The text of a readable value that is not a string is not compared: each reader may spell it in its own way.
        names = ("sealed", "kind") + (("value",) if want["sealed"] or want["kind"] == "text" else ())
        if any(have[n] != want[n] for n in names) or have["set_at"] != want.get("set_at"):
            return f"{path} is {have}"
    return None


def main():
    folder, passed, failed = HERE / "vectors", 0, 0
    for row in json.loads((folder / "vectors.json").read_text(encoding="utf-8")):
        if "passphrase" in row:  # this reader opens files only with identities
            continue
        identity = row["identity"] and (folder / row["identity"]).read_text(encoding="utf-8")
        fault = differs(row, read((folder / row["file"]).read_bytes(), [row["pin"]] if row["pin"] else [], identity))
        passed, failed = passed + (not fault), failed + bool(fault)
        if fault:
            print(f"{row['file']} ({row['why']}): {fault}", file=sys.stderr)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

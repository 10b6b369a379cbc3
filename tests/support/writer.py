"""A writer of sealed files, built only from docs/format.md and the public specifications that it names.

`writer.py create FILE SPEC.json`, `set FILE PATH.json`, `add FILE NAME ROLE RECIPIENT`, `propose FILE PATH.json`. `set` and `propose`
read the value from stdin; PATH.json contains, for example, `{"path": ["acme", "password"], "kind": "text"}`. Prints the vault id, or the
proposal. This is a second implementation, which tests both that page and the first implementation. Do not use it with real secrets: they
are ordinary Python objects here.
"""

import argparse
import base64
import contextlib
import datetime
import fcntl
import hashlib
import hmac
import json
import os
import re
import secrets
import struct
import sys
import time

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from reader import (MAX_FILE, age_open, bech32, bech32_of, document, dotted, hkdf, identity_file, need, properties, read, scan,
                    shape, toml)


def base64url(raw):
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def quoted(text):
    """A TOML basic string. JSON's escapes are also valid in TOML; only DEL must be escaped in TOML but not in JSON."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


# --- age, with X25519 recipients only

def age_seal(plain, recipients):
    """An armored age file."""
    file_key, out = secrets.token_bytes(16), "age-encryption.org/v1\n"
    for recipient in recipients:
        public = bech32_of("age", recipient)
        ephemeral = X25519PrivateKey.generate()
        share = ephemeral.public_key().public_bytes_raw()
        wrap = hkdf(ephemeral.exchange(X25519PublicKey.from_public_bytes(public)), share + public, b"age-encryption.org/v1/X25519")
        body = ChaCha20Poly1305(wrap).encrypt(bytes(12), file_key, b"")
        # The body of 32 bytes is one line of 43 characters. As the line is shorter than 64, it is the last.
        out += "-> X25519 " + "\n".join(base64.b64encode(part).decode().rstrip("=") for part in (share, body)) + "\n"
    out += "---"
    mac = hmac.digest(hkdf(file_key, b"", b"header"), out.encode(), "sha256")
    out += " " + base64.b64encode(mac).decode().rstrip("=") + "\n"
    nonce = secrets.token_bytes(16)
    stream, raw = ChaCha20Poly1305(hkdf(file_key, nonce, b"payload")), out.encode() + nonce
    chunks = [plain[at:at + 65536] for at in range(0, len(plain), 65536)] or [b""]
    for n, chunk in enumerate(chunks):
        raw += stream.encrypt(n.to_bytes(11) + bytes([n + 1 == len(chunks)]), chunk, b"")
    text = base64.b64encode(raw).decode()
    lines = [text[at:at + 64] for at in range(0, len(text), 64)]
    return "\n".join(["-----BEGIN AGE ENCRYPTED FILE-----", *lines, "-----END AGE ENCRYPTED FILE-----", ""])


# --- A sealed value

def xaes_seal(key, nonce, plain, extra):
    """XAES-256-GCM (C2SP): CMAC derives a key for AES-GCM from the first half of the nonce; the second half is the nonce of AES-GCM."""
    aes = Cipher(algorithms.AES256(key), modes.ECB())
    block = int.from_bytes(aes.encryptor().update(bytes(16)))
    k1 = (block << 1 ^ (0x87 if block >> 127 else 0)) & (1 << 128) - 1
    inputs = (int.from_bytes(bytes([0, i]) + b"X\0" + nonce[:12]) ^ k1 for i in (1, 2))
    return AESGCM(aes.encryptor().update(b"".join(m.to_bytes(16) for m in inputs))).encrypt(nonce[12:], plain, extra)


def seal(path, kind, payload, set_at, data_key, key):
    value_key = hkdf(data_key, key, b"bootseal 1 value key")
    plain = struct.pack("<BQI", {"text": 1, "bytes": 2, "toml": 3}[kind], set_at, len(payload)) + payload
    plain += bytes(-len(plain) % 64)
    extra = b"bootseal 1 value\0" + key
    for segment in path:
        extra += struct.pack("<I", len(segment.encode())) + segment.encode()
    nonce = secrets.token_bytes(24)
    return quoted("sealed:" + base64url(nonce + xaes_seal(value_key, nonce, plain, extra)))


# --- The text

def values_of(text):
    """Every property in `text`, as strings that can be compared."""
    return {path: repr((kind, value) if value is not None else at(toml(text), path)) for path, kind, value in properties(toml(text))}


def at(tree, path):
    for segment in path:
        tree = tree[segment]
    return tree


def span_of(text, path):
    """The position of the value of `path`, or None. The scan finds no names, so this replaces one value after another with a mark, and
    looks for the mark at `path`."""
    for start, end in scan(text)[1]:
        with contextlib.suppress(KeyError, TypeError):
            if at(toml(text[:start] + '"the mark"' + text[end:]), path) == "the mark" != at(toml(text), path):
                return start, end
    # The scan does not find single values of an inline table, only the table.
    return None


def replaced(text, path, value):
    start, end = span_of(text, path)
    return text[:start] + value + text[end:]


def with_property(text, path, value):
    """The user's part with the property `path` set to `value`. Replaces an existing value in place; otherwise adds the property at the
    first place at which it changes no other property."""
    before = values_of(text)
    if path in before:
        need(span_of(text, path), "this writer cannot change a value in an inline table", "conflict")
        return replaced(text, path, value)
    gap = "" if not text or text.endswith("\n\n") else "\n"
    candidates = [f"{text}{gap}[{dotted(path[:-1])}]\n{dotted(path[-1:])} = {value}\n"] if len(path) > 1 else []
    for _, end in reversed(scan(text)[1]):
        end = text.index("\n", end) + 1
        candidates += (f"{text[:end]}{dotted(path[n:])} = {value}\n{text[end:]}" for n in reversed(range(len(path))))
    candidates.append(f"{dotted(path)} = {value}\n{text}")
    for candidate in candidates:
        with contextlib.suppress(Exception):
            after = values_of(candidate)
            if after.keys() == before.keys() | {path} and all(after[other] == before[other] for other in before):
                return candidate
    need(False, "this property cannot be added anywhere", "conflict")


def entry(name, role, recipient):
    return f'{{ name = {quoted(name)}, role = "{role}", recipient = {quoted(recipient)} }}'


def block(text):
    return f'"""\n{text}"""'


def to_whom(access):
    return [who["recipient"] for who in access], [who["recipient"] for who in access if who["role"] == "writer"]


def signed(user, own, seed):
    """The whole text with its signature. `own` ends with the line `vault`."""
    gap = "" if not user or user.endswith("\n\n") else "\n"
    text = user + gap + own
    message = b"bootseal 1 file\0" + hashlib.sha256(text.encode()).digest()
    text += f'signature = "{base64url(Ed25519PrivateKey.from_private_bytes(seed).sign(message))}"\n'
    need(len(text.encode()) <= MAX_FILE, "the file is larger than 16 MiB")
    return text


# --- The file

@contextlib.contextmanager
def locked(path):
    """Locks the folder of the file, after symbolic links are resolved, so that no other writer changes the file meanwhile."""
    folder = os.open(os.path.dirname(os.path.realpath(path)), os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield os.path.realpath(path), folder
    finally:
        os.close(folder)


def put(text, real, folder, new=False):
    temporary = f"{real}.{secrets.token_hex(8)}"
    file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(file, "wb") as out:
            if new:
                umask = os.umask(0)
                os.umask(umask)
                os.fchmod(out.fileno(), 0o666 & ~umask)
            else:
                os.fchmod(out.fileno(), os.stat(real).st_mode & 0o7777)
            out.write(text.encode())
            out.flush()
            os.fsync(out.fileno())
        os.link(temporary, real) if new else os.rename(temporary, real)
        os.fsync(folder)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)


class Opened:
    """A verified file, and the keys of a writer."""

    def __init__(self, real, pins, identity):
        with open(real, "rb") as file:
            raw = file.read(MAX_FILE + 1)
        self.identity = identity
        answer = read(raw, pins, identity)
        need(answer["ok"], answer.get("why"), answer.get("kind"))
        text, _, self.vault, self.key, _ = shape(raw)
        self.own, _ = document(text, self.vault)
        start = scan(text)[0][-1]
        self.user, self.own_text = text[:start], text[start:text[:-1].rindex("\n") + 1]
        both = age_open(self.own["write_key"], identity_file(identity)[0])
        self.seed, self.data_key = both[:32], both[32:]

    def own_with(self, key, value):
        # The table [bootseal] without its last line, the signature, is valid TOML by itself.
        self.own_text = replaced(self.own_text, ("bootseal", key), value)

    def sealed_now(self, path, kind, payload):
        newest = max((int(entry["at"].timestamp()) for entry in self.own.get("removed", [])), default=-1)
        self.user = with_property(self.user, path, seal(path, kind, payload, max(int(time.time()), newest + 1), self.data_key, self.key))

    def add(self, name, role, recipient):
        access = self.own["access"] + [{"name": name, "role": role, "recipient": recipient}]
        start, end = span_of(self.own_text, ("bootseal", "access"))
        array = self.own_text[start:end - 1].rstrip()
        comma = "" if array.endswith(",") else ","
        self.own_with("access", f"{array}{comma}\n  {entry(name, role, recipient)},\n]")
        readers, writers = to_whom(access)
        self.own_with("read_key", block(age_seal(self.data_key, readers)))
        if role == "writer":
            self.own_with("write_key", block(age_seal(self.seed + self.data_key, writers)))

    def text(self):
        self.own_with("generation", str(self.own["generation"] + 1))
        text = signed(self.user, self.own_text, self.seed)
        answer = read(text.encode(), [self.vault], self.identity)
        need(answer["ok"], answer.get("why"), answer.get("kind"))
        return text


def create(spec, identity):
    """Returns the vault id and the text of a new file. `spec` is
    `{"user": TOML text, "access": [{name, role, recipient}], "sealed": [{path, kind, value, set_at}]}`."""
    seed, data_key, access = secrets.token_bytes(32), secrets.token_bytes(32), spec["access"]
    key = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    vault, (readers, writers) = bech32("vault", key), to_whom(access)
    user = spec["user"]
    for row in spec["sealed"]:
        payload = base64.b64decode(row["value"]) if row["kind"] == "bytes" else row["value"].encode()
        user = with_property(user, tuple(row["path"]), seal(row["path"], row["kind"], payload, row["set_at"], data_key, key))
    entries = "".join(f"  {entry(who['name'], who['role'], who['recipient'])},\n" for who in access)
    own = (f"[bootseal]\nformat = 1\ngeneration = 1\nepoch = 1\naccess = [\n{entries}]\n"
           f"read_key = {block(age_seal(data_key, readers))}\nwrite_key = {block(age_seal(seed + data_key, writers))}\n"
           f'vault = "{vault}"\n')
    text = signed(user, own, seed)
    answer = read(text.encode(), [vault], identity)
    need(answer["ok"], answer.get("why"), answer.get("kind"))
    return vault, text


def proposal(own, vault, path, kind, payload, note):
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    value = base64url(payload) if kind == "bytes" else payload.decode()
    text = (f'vault = "{vault}"\npath = {quoted(dotted(path))}\nkind = "{kind}"\nproposed_at = {now}\n'
            f"note = {quoted(note)}\nvalue = {quoted(value)}\n")
    need(len(text.encode()) <= 65536, "the proposal is longer than 64 KiB", "conflict")
    return age_seal(text.encode(), to_whom(own["access"])[1])


def main():
    parser = argparse.ArgumentParser(description="Writes sealed files.")
    parser.add_argument("verb", choices=["create", "set", "add", "propose"])
    parser.add_argument("file")
    parser.add_argument("words", nargs="+")
    parser.add_argument("--pin", action="append", default=[])
    parser.add_argument("--identity")
    args = parser.parse_args()
    identity = None
    if args.identity:
        with open(args.identity, encoding="utf-8") as file:
            identity = file.read()
    if args.verb == "add":
        need(re.fullmatch("reader|writer", args.words[1]) and bech32_of("age", args.words[2]), "the role or the recipient is not valid", "usage")
    else:
        with open(args.words[0], encoding="utf-8") as file:
            what = json.load(file)
    if args.verb == "propose":
        # A proposal needs no identity. The signature and the pin are checked, so the access list shows to whom to encrypt.
        with open(args.file, "rb") as file:
            raw = file.read(MAX_FILE + 1)
        answer = read(raw, args.pin)
        need(args.pin and (answer["ok"] or answer["kind"] == "no-identity"), answer.get("why"), answer.get("kind"))
        text, _, vault, _, _ = shape(raw)
        own, _ = document(text, vault)
        print(proposal(own, vault, tuple(what["path"]), what["kind"], sys.stdin.buffer.read(), what.get("note", "")), end="")
        return
    with locked(args.file) as (real, folder):
        if args.verb == "create":
            vault, text = create(what, identity)
            put(text, real, folder, new=True)
        else:
            opened = Opened(real, args.pin, identity)
            if args.verb == "set":
                opened.sealed_now(tuple(what["path"]), what["kind"], sys.stdin.buffer.read())
            else:
                opened.add(*args.words)
            vault, text = opened.vault, opened.text()
            put(text, real, folder)
    print(vault)


if __name__ == "__main__":
    sys.exit(main())

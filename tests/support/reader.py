"""A reader of sealed files, built only from docs/format.md and the public specifications that it names.

`python reader.py FILE [--pin PIN]... [--identity IDENTITY_FILE]` prints one JSON object. This is a second implementation, which tests
both that page and the first implementation. Do not use it with real secrets: they are ordinary Python objects here.
Needs Python 3.11 or later, and `cryptography`.
"""

import argparse
import base64
import datetime
import hashlib
import hmac
import json
import os
import re
import stat
import struct
import sys
import tomllib

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MAX_FILE, MAX_BLOCK, MAX_IDENTITY, MAX_COUNT = 16 << 20, 262144, 64 << 10, 1 << 53
SPACE = " \t\r\n\v\f"


class Refused(Exception):
    """The file is refused: `kind` is from the format's table of errors, `why` is for people."""

    def __init__(self, kind, why):
        super().__init__(why)
        self.kind, self.why = kind, why


def need(holds, why, kind="malformed"):
    if not holds:
        raise Refused(kind, why)


# --- Encodings: each value has one canonical form, so a decoded value is encoded again and compared with the text.

def base64_of(text, alphabet=b"+/", padded=False):
    try:
        raw = base64.b64decode(text + ("" if padded else "=" * (-len(text) % 4)), alphabet, validate=True)
    except ValueError:
        raise Refused("malformed", "not base64") from None
    again = base64.b64encode(raw, alphabet).decode()
    need((again if padded else again.rstrip("=")) == text, "the base64 is not canonical")
    return raw


def base64url_of(text):
    return base64_of(text, b"-_")


CHARSET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


def bech32(prefix, raw):
    number, groups = int.from_bytes(raw) << (-8 * len(raw) % 5), -(-8 * len(raw) // 5)
    data = [number >> 5 * i & 31 for i in reversed(range(groups))]
    sum_ = 1
    for v in [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix] + data + [0] * 6:
        top, sum_ = sum_ >> 25, (sum_ & 0x1FFFFFF) << 5 ^ v
        for i, g in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            sum_ ^= g if top >> i & 1 else 0
    return prefix + "1" + "".join(CHARSET[v] for v in data + [(sum_ ^ 1) >> 5 * i & 31 for i in reversed(range(6))])


def bech32_of(prefix, text):
    """The 32 bytes that the text encodes; only the canonical encoding is accepted."""
    body = text[len(prefix) + 1:-6]
    need(len(body) == 52 and all(c in CHARSET for c in body), f"not 32 bytes in bech32 with the prefix {prefix}")
    number = 0
    for c in body:
        number = number << 5 | CHARSET.index(c)
    raw = (number >> 4).to_bytes(32)
    need(bech32(prefix, raw) == text, f"not valid bech32 with the prefix {prefix}")
    return raw


# --- Ed25519, verified strictly. Written by hand, because libraries differ in exactly the cases that the format forbids.

P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D, ROOT = -121665 * pow(121666, -1, P) % P, pow(2, (P - 1) // 4, P)


def point(raw):
    """The point in extended coordinates, or None if the bytes are not a point, not canonical, or a point of small order."""
    y, sign = int.from_bytes(raw, "little") & (1 << 255) - 1, raw[31] >> 7
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P  # the divisor is never 0: -1/D is no square
    x = pow(square, (P + 3) // 8, P)
    x = x if (x * x - square) % P == 0 else x * ROOT % P
    if y >= P or (x * x - square) % P or (x == 0 and sign):
        return None
    x = x if x & 1 == sign else P - x
    found = (x, y, 1, x * y % P)
    eighth = times(8, found)
    return None if eighth[0] == 0 and eighth[1] == eighth[2] else found


def plus(p, q):
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def times(n, p):
    out = (0, 1, 1, 0)
    while n:
        out, p, n = plus(out, p) if n & 1 else out, plus(p, p), n >> 1
    return out


BASE = point((4 * pow(5, -1, P) % P).to_bytes(32, "little"))


def verified(key, message, signature):
    a, r, s = point(key), point(signature[:32]), int.from_bytes(signature[32:], "little")
    if a is None or r is None or s >= L:
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % L
    left, right = times(s, BASE), plus(r, times(k, a))
    return all((left[i] * right[2] - right[i] * left[2]) % P == 0 for i in (0, 1))


# --- TOML: tomllib reports no positions and has no limits, so a scan finds headers and values, and counts keys and brackets.

BLANK = re.compile(r"[ \t\n]*(?:#[^\n]*[ \t\n]*)*+")
KEY = re.compile(r"""[ \t]*(?:[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*')[ \t]*""")
PLAIN = re.compile(r""""(?:[^"\\\n]|\\.)*+"|'[^'\n]*'|[^\s,\]}#][^,\]}#\n]*""")
LONG = {'"""': re.compile(r'\\.|"""("{0,2})', re.S), "'''": re.compile(r"'''('{0,2})")}


def keys(text, pos, ends):
    """Skips a dotted key and the characters `ends` after it; returns the number of segments, and the position after it."""
    count = 0
    while True:
        found = KEY.match(text, pos)
        need(found, "not TOML: a key is missing")
        count, pos = count + 1, found.end()
        if not text.startswith(".", pos):
            need(text.startswith(ends, pos), f"not TOML: a key is not followed by {ends}")
            return count, pos + len(ends)
        pos += 1


def scalar(text, pos, edits):
    quotes = text[pos:pos + 3]
    if quotes in LONG:
        pos += 3
        while found := LONG[quotes].search(text, pos):
            pos = found.end()
            if found[0][0] != "\\":
                return pos
        raise Refused("malformed", "not TOML: a string does not end")
    found = PLAIN.match(text, pos)
    need(found, "not TOML: a value is missing")
    token = found[0].rstrip()
    # TOML allows the second 60 and the year 0; Python's dates do not. Similar values of the same length replace them.
    if ":60" in token or token.startswith("0000-"):
        new = re.sub(r"^((?:[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ])?[0-9]{2}:[0-9]{2}:)60", r"\g<1>59", token)
        edits.append((pos, re.sub(r"^0000(?=-[0-9]{2}-[0-9]{2})", "0004", new)))
    return pos + len(token)


def value(text, pos, segments, edits):
    """Skips one value; returns where it begins and ends. `segments` is the number of segments in the path of the value."""
    start = pos = re.compile(r"[ \t]*").match(text, pos).end()
    stack, wants_key = [], False
    while True:
        pos = BLANK.match(text, pos).end() if stack else pos
        sign = text[pos:pos + 1]
        if stack and sign == ",":
            pos, wants_key = pos + 1, stack[-1][0] == "{"
            continue
        if stack and sign and sign in "]}":
            segments, pos, wants_key = stack.pop()[1], pos + 1, False
        elif wants_key:
            count, pos = keys(text, pos, "=")
            segments, wants_key = stack[-1][1] + count, False
            extra = 16 * len(stack) if any(bracket == "[" for bracket, _ in stack) else 0
            need(segments <= 16 + extra, "too many segments")
            continue
        elif sign and sign in "[{":
            stack.append((sign, segments))
            need(len(stack) <= 64, "nested too deeply")
            pos, wants_key = pos + 1, sign == "{"
            continue
        else:
            pos = scalar(text, pos, edits)
        if not stack:
            return start, pos


def scan(text):
    """Returns where each table header begins, where each value begins and ends, and the text in a form that tomllib can parse."""
    heads, spans, edits, table, pos = [], [], [], 0, 0
    while (pos := BLANK.match(text, pos).end()) < len(text):
        if text[pos] == "[":
            heads.append(pos)
            double = text.startswith("[[", pos)
            table, pos = keys(text, pos + 1 + double, "]]" if double else "]")
            need(table <= 16, "too many segments")
        else:
            count, pos = keys(text, pos, "=")
            need(table + count <= 16, "too many segments")
            spans.append(value(text, pos, table + count, edits))
            pos = spans[-1][1]
    parts, done = [], 0
    for at, new in edits:
        parts += text[done:at], new
        done = at + len(new)
    return heads, spans, "".join(parts) + text[done:]


def toml(text):
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError, OverflowError) as e:  # ValueError: not TOML, or a number with too many digits for Python
        raise Refused("malformed", f"not TOML: {e}") from None


def check_tree(item, strings):
    """Checks an array or a value of kind 3: each integer fits 64 bits and, if `strings` is set, no string looks like a secret."""
    todo = [item]  # no recursion: dotted keys in an array can nest deeper than Python's stack allows
    while todo:
        item = todo.pop()
        if isinstance(item, (dict, list)):
            todo += item.values() if isinstance(item, dict) else item
        elif isinstance(item, str):
            need(not strings or not item.startswith(("sealed:", "secret:")), "a string in an array looks like a secret")
        elif type(item) is int:
            need(-2**63 <= item < 2**63, "an integer does not fit 64 bits")


# --- The document

def shape(raw):
    """Step 1. Returns the text, its signed part, the vault id (as text and as bytes), and the signature."""
    need(0 < len(raw) <= MAX_FILE, "empty, or more than 16 MiB")
    need(not raw.startswith(b"\xef\xbb\xbf") and b"\0" not in raw, "a byte order mark or a NUL")
    try:
        text = raw.decode().replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise Refused("malformed", "not UTF-8") from None
    need("\r" not in text, "a CR without LF")
    text += "" if text.endswith("\n") else "\n"
    last = text[:-1].rsplit("\n", 2)
    need(len(last) > 1, "fewer than two lines")
    vault, sig = (re.fullmatch(f'{n} = "([^"]*)"', line) for n, line in zip(("vault", "signature"), last[-2:]))
    need(vault and sig, "the last two lines are not `vault` and `signature`")
    key, signature = bech32_of("vault", vault[1]), base64url_of(sig[1])
    need(len(signature) == 64, "the signature is not 64 bytes long")
    return text, text[:-len(last[-1]) - 1].encode(), vault[1], key, signature


NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
DATE = datetime.datetime
DATES = DATE(1970, 1, 1, tzinfo=datetime.UTC), DATE(9999, 12, 30, 22, tzinfo=datetime.UTC)


def fields(table, types, optional=()):
    need(type(table) is dict, "an entry is not a table")
    need(set(types) - set(optional) <= set(table) <= set(types), "a key is missing or unknown")
    need(all(type(v) is types[k] for k, v in table.items()), "the value of a key has the wrong type")
    for k in {"generation", "epoch"} & set(table):
        need(1 <= table[k] <= MAX_COUNT, f"{k} is out of range")


def own_part(own, vault):
    """Checks the table [bootseal]: every key is known, and every value is within its limits."""
    fields(own, {"format": int, "generation": int, "epoch": int, "access": list, "removed": list, "handover": list,
                 "read_key": str, "write_key": str, "vault": str, "signature": str}, ("removed", "handover"))
    need(own["format"] == 1, "the format is not 1")
    need(own["vault"] == vault, "the parsed `vault` differs from the one in the last lines")
    need(all(len(own[k].encode()) <= MAX_BLOCK for k in ("read_key", "write_key")), "a key block is too large")
    access, removed, handover = (own.get(k, []) for k in ("access", "removed", "handover"))
    need(1 <= len(access) <= 256 and len(removed) <= 64 and len(handover) <= 64, "too few or too many entries")
    for entry in access:
        fields(entry, dict.fromkeys(("name", "role", "recipient", "passphrase"), str), ("passphrase",))
        need(NAME.fullmatch(entry["name"]) and entry["role"] in ("reader", "writer"), "a name or a role is not valid")
        if "passphrase" in entry:
            profile, _, salt = entry["passphrase"].partition(":")
            need(profile in ("argon2id-1", "argon2id-1s") and len(base64url_of(salt)) == 16, "a passphrase entry is not valid")
    for k in ("name", "recipient"):
        need(len({entry[k] for entry in access}) == len(access), f"two entries have the same {k}")
    need(any(entry["role"] == "writer" for entry in access), "no writer")
    for entry in removed:
        fields(entry, {"name": str, "at": DATE})
        need(NAME.fullmatch(entry["name"]) and entry["at"].tzinfo, "an entry of `removed` is not valid")
        need(DATES[0] <= entry["at"].replace(microsecond=0) <= DATES[1], "a date is out of range")
    for entry in handover:
        fields(entry, {"from": str, "generation": int, "signature": str})
        bech32_of("vault", entry["from"])
        need(len(base64url_of(entry["signature"])) == 64, "the signature of a handover is not 64 bytes long")


def properties(table, path=()):
    """Yields each property as (path, kind, value). For a sealed property, `kind` is None and `value` is the encrypted bytes."""
    for name, item in table.items():
        here = *path, name
        if isinstance(item, dict):
            yield from properties(item, here)
            continue
        need(len(".".join(here).encode()) <= 1024, "a path is too long")
        if isinstance(item, str) and item.startswith("sealed:"):
            box = base64url_of(item[7:])
            need(len(box) > 40 and len(box) % 64 == 40, "the length of a sealed value is not valid")
            yield here, None, box
        elif isinstance(item, str):
            need(not item.startswith("secret:"), "a readable string begins with secret:")
            yield here, "text", item
        else:
            check_tree(item, True)
            yield here, "toml", None


MAX_PROPERTIES, MAX_TABLES, MAX_ELEMENTS, MAX_NAMES = 131_072, 131_072, 1_048_576, 16 << 20


def check_limits(user):
    """Checks the limits on the user's part as a whole."""
    count, tables, elements, names, todo = 0, -1, 0, 0, [(user, (), False)]
    while todo:
        item, path, inside = todo.pop()
        size = sum(len(name.encode()) for name in path)
        if isinstance(item, dict):
            tables += not inside
            elements += len(item) if inside else 0
            names += size if not inside and not item else 0
            todo += ((below, path if inside else (*path, name), inside) for name, below in item.items())
            continue
        count, names = (count, names) if inside else (count + 1, names + size)
        if isinstance(item, list):
            elements += len(item)
            todo += ((below, path, True) for below in item)
    need(count <= MAX_PROPERTIES and tables <= MAX_TABLES, "too many properties or tables")
    need(elements <= MAX_ELEMENTS and names <= MAX_NAMES, "too many elements, or the names together are too long")


def document(text, vault):
    """Step 4. Returns the file's own table [bootseal] and the list of properties."""
    heads, _, text = scan(text)
    at = heads[-1] if heads else 0
    need(text.startswith("[bootseal]\n", at) and text[at - 1:at] in ("", "\n"), "the last header is not [bootseal]")
    user, own = toml(text[:at]), toml(text[at:])
    need("bootseal" not in user and set(own) == {"bootseal"}, "`bootseal` is also defined elsewhere")
    own_part(own["bootseal"], vault)
    check_limits(user)
    return own["bootseal"], list(properties(user))


# --- Pins and identities

def pin_of(text):
    found = re.fullmatch(r"(vault1[a-z0-9]+)(?:@([0-9]+))?", text)
    # Leading zeros are removed and the digits are counted first: for very many digits, int() is slow or fails.
    digits = (found[2] or "0").lstrip("0") or "0" if found else ""
    need(found and len(digits) <= 20 and int(digits) < 2**64, "a pin is not valid")
    bech32_of("vault", found[1])
    return found[1], int(digits)


def continues(pinned, own, key):
    """Whether the signature of each handover from the pinned id to the end of the list is valid."""
    chain = own.get("handover", [])
    start = next((i for i, entry in enumerate(chain) if entry["from"] == pinned), None)
    if start is None:
        return False
    ids = [bech32_of("vault", entry["from"]) for entry in chain] + [key]
    return all(verified(ids[i], b"bootseal 1 handover\0" + struct.pack("<Q", chain[i]["generation"]) + ids[i + 1],
                        base64url_of(chain[i]["signature"])) for i in range(start, len(chain)))


def identity_file(text):
    """The secrets and the pins of an identity file."""
    need(len(text.encode()) <= MAX_IDENTITY, "the identity file is larger than 64 KiB")
    secrets, pins = [], []
    for line in (line.strip(SPACE) for line in text.split("\n")):
        if line.startswith("#"):
            words = line[1:].split()
            if words and words[0].lower().startswith("vault:"):
                need(len(words) == 2 and words[0] == "vault:", "a pin line is not valid")
                pin_of(words[1])
                pins.append(words[1])
        elif line:
            need(line == line.upper(), "an identity is not in upper case")
            secrets.append(X25519PrivateKey.from_private_bytes(bech32_of("age-secret-key-", line.lower())))
    need(secrets, "the identity file contains no identity")
    return secrets, pins


# --- age, with X25519 recipients only

def hkdf(key, salt, info):
    return HKDF(SHA256(), 32, salt, info).derive(key)


ARMOR = re.compile(r"-----BEGIN AGE ENCRYPTED FILE-----\n((?:.{64}\n)*.{1,64})\n-----END AGE ENCRYPTED FILE-----")
STANZA = re.compile(r"-> ([!-~]+(?: [!-~]+)*)\n((?:[A-Za-z0-9+/]{64}\n)*[A-Za-z0-9+/]{0,63})\n")


def age_open(block, secrets):
    """The plaintext of an armored age file. Raises `no-identity` if none of the secrets opens it."""
    armor = ARMOR.fullmatch(block.strip(SPACE).replace("\r\n", "\n"))
    need(armor, "a key block is not an armored age file")
    raw = base64_of(armor[1].replace("\n", ""), padded=True)
    text, version, pos, stanzas = raw.decode("latin-1"), "age-encryption.org/v1\n", 0, []
    need(text.startswith(version), "a key block is not an age file")
    pos = len(version)
    while found := STANZA.match(text, pos):
        stanzas.append((found[1].split(" "), base64_of(found[2].replace("\n", ""))))
        pos = found.end()
    end = re.compile(r"--- ([A-Za-z0-9+/]{43})\n").match(text, pos)
    need(stanzas and end, "the header of a key block is not valid")
    need(len(stanzas) == 1 or all(args[0] != "scrypt" for args, _ in stanzas), "a passphrase stanza among others")
    file_key = None
    for args, body in stanzas:
        if args[0] != "X25519":
            continue
        need(len(args) == 2 and len(body) == 32 and len(share := base64_of(args[1])) == 32, "an X25519 stanza is not valid")
        for secret in secrets:
            public = secret.public_key().public_bytes_raw()
            try:
                wrap = hkdf(secret.exchange(X25519PublicKey.from_public_bytes(share)), share + public, b"age-encryption.org/v1/X25519")
                file_key = file_key or ChaCha20Poly1305(wrap).decrypt(bytes(12), body, b"")
            except InvalidTag:
                pass
            except ValueError:
                raise Refused("malformed", "an X25519 share of small order") from None
    need(file_key is not None, "no identity opens the key block", "no-identity")
    mac = hmac.digest(hkdf(file_key, b"", b"header"), raw[:pos + 3], "sha256")
    need(hmac.compare_digest(mac, base64_of(end[1])), "the MAC of a key block is not valid")
    nonce, payload, out = raw[end.end():end.end() + 16], raw[end.end() + 16:], b""
    need(len(nonce) == 16 and payload, "a key block is truncated")
    stream, size = ChaCha20Poly1305(hkdf(file_key, nonce, b"payload")), 65536 + 16
    for n in range(-(-len(payload) // size)):
        chunk, last = payload[n * size:(n + 1) * size], (n + 1) * size >= len(payload)
        need(n == 0 or len(chunk) > 16, "a key block ends in an empty chunk")
        try:
            out += stream.decrypt(n.to_bytes(11) + bytes([last]), chunk, b"")
        except InvalidTag:
            raise Refused("malformed", "the payload of a key block cannot be decrypted") from None
    return out


def data_key_of(own, secrets, key):
    """Step 6. If the access list has the identity as a writer, write_key is also checked, as the vectors require."""
    data_key = age_open(own["read_key"], secrets)
    need(len(data_key) == 32, "read_key does not contain 32 bytes")
    mine = {bech32("age", secret.public_key().public_bytes_raw()) for secret in secrets}
    if any(entry["role"] == "writer" and entry["recipient"] in mine for entry in own["access"]):
        both = age_open(own["write_key"], secrets)
        need(len(both) == 64, "write_key does not contain 64 bytes")
        seed = Ed25519PrivateKey.from_private_bytes(both[:32])
        need(seed.public_key().public_bytes_raw() == key, "the seed in write_key does not belong to the vault id")
        need(both[32:] == data_key, "the two key blocks contain different data keys")
    return data_key


# --- Sealed values

def xaes_open(key, nonce, box, extra):
    aes = Cipher(algorithms.AES256(key), modes.ECB())
    block = int.from_bytes(aes.encryptor().update(bytes(16)))
    k1 = (block << 1) & (1 << 128) - 1 ^ (0x87 if block >> 127 else 0)
    inputs = (int.from_bytes(bytes([0, i]) + b"X\0" + nonce[:12]) ^ k1 for i in (1, 2))
    return AESGCM(aes.encryptor().update(b"".join(m.to_bytes(16) for m in inputs))).decrypt(nonce[12:], box, extra)


def open_value(path, box, value_key, key):
    extra = b"bootseal 1 value\0" + key + b"".join(struct.pack("<I", len(s)) + s for s in (seg.encode() for seg in path))
    try:
        plain = xaes_open(value_key, box[:24], box[24:], extra)
    except InvalidTag:
        raise Refused("moved-value", f"{dotted(path)} does not open under this name") from None
    kind, set_at, length = struct.unpack("<BQI", plain[:13])
    payload, zeros = plain[13:13 + length], plain[13 + length:]
    need(kind in (1, 2, 3), "the kind of a value is unknown")
    need(len(plain) == -(-(13 + length) // 64) * 64 and not any(zeros), "the length or the padding of a value is not valid")
    if kind == 2:
        text = base64.urlsafe_b64encode(payload).decode().rstrip("=")
    else:
        try:
            text = payload.decode()
        except UnicodeDecodeError:
            raise Refused("malformed", "a value is not UTF-8") from None
    if kind == 3:
        line = "v=" + text.replace("\r\n", "\n")
        _, spans, fixed = scan(line)
        parsed = toml(fixed)
        # The one value must fill the whole text, so there are no blanks, comments or other lines around it.
        need(spans == [(2, len(line))] and set(parsed) == {"v"}, "a value is not exactly one TOML value")
        need(not isinstance(parsed["v"], str), "a TOML value is a string")
        check_tree(parsed["v"], False)
    return {"sealed": True, "kind": ("text", "bytes", "toml")[kind - 1], "value": text, "set_at": set_at}


def dotted(path):
    bare = re.compile(r"[A-Za-z0-9_-]+")
    # JSON's escapes are also valid in TOML. Only DEL must be escaped in TOML but not in JSON.
    return ".".join(s if bare.fullmatch(s) else json.dumps(s, ensure_ascii=False).replace("\x7f", "\\u007f") for s in path)


# --- All steps in order

def steps(raw, pins, identity_text):
    wanted = [pin_of(pin) for pin in pins]
    secrets = [] if identity_text is None else identity_file(identity_text)[0]
    text, signed, vault, key, signature = shape(raw)
    message = b"bootseal 1 file\0" + hashlib.sha256(signed).digest()
    need(verified(key, message, signature), "the signature is not valid", "forged")
    floors = [floor for pinned, floor in wanted if pinned == vault]
    direct = bool(floors) or not wanted
    try:
        own, props = document(text, vault)
    except Exception as e:
        # Without a direct match, only the document's handovers could show that this is a pinned vault, and it cannot be read.
        need(direct, f"a different vault from the pinned one ({e})", "wrong-vault")
        raise
    if not direct:
        floors = [floor for pinned, floor in wanted if continues(pinned, own, key)]
        need(floors, "a different vault from the pinned one", "wrong-vault")
    need(own["generation"] >= max(floors, default=0), "the generation is below the floor of the pin", "old-generation")
    value_key, values = hkdf(data_key_of(own, secrets, key), key, b"bootseal 1 value key"), {}
    for path, kind, item in props:
        values[dotted(path)] = open_value(path, item, value_key, key) if kind is None else {
            "sealed": False, "kind": kind, "value": item, "set_at": None}
    return {"ok": True, "vault": vault, "generation": own["generation"], "epoch": own["epoch"], "values": values}


def read(raw, pins=(), identity_text=None):
    """Reads the file and opens every value. Pin lines in the identity file must be valid, but only `pins` are applied."""
    try:
        return steps(raw, pins, identity_text)
    except Refused as e:
        return {"ok": False, "kind": e.kind, "why": e.why}
    except Exception as e:  # nested too deeply, too large, or a bug of this reader; no traceback and no value is printed
        return {"ok": False, "kind": "malformed", "why": f"{type(e).__name__}: {e}"}


def contents(path, limit):
    try:
        need(stat.S_ISREG(os.stat(path).st_mode), "not a regular file", "io")
        with open(path, "rb") as file:
            return file.read(limit + 1)
    except FileNotFoundError:
        raise Refused("not-found", "no such file") from None
    except (OSError, ValueError) as e:
        raise Refused("io", type(e).__name__) from None


def main():
    parser = argparse.ArgumentParser(description="Reads a sealed file and prints its content as JSON.")
    parser.add_argument("file")
    parser.add_argument("--pin", action="append", default=[])
    parser.add_argument("--identity")
    args = parser.parse_args()
    try:
        # The mode of the identity file is not checked, because test identities come from a git checkout.
        text = None if args.identity is None else contents(args.identity, MAX_IDENTITY).decode()
        pins = args.pin or (identity_file(text)[1] if text is not None else [])
        answer = read(contents(args.file, MAX_FILE), pins, text)
    except Refused as e:
        answer = {"ok": False, "kind": e.kind, "why": e.why}
    except ValueError:
        answer = {"ok": False, "kind": "malformed", "why": "the identity file is not UTF-8, or is not valid"}
    print(json.dumps(answer))


if __name__ == "__main__":
    sys.exit(main())

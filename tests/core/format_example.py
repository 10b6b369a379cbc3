"""Every byte of the worked example in docs/format.md follows from the rules above it.

Reads each labelled block (```hex NAME, ```text NAME, ```toml NAME) of the page and computes its content again: forwards as a writer does,
and backwards from the file and the identity as a reader does. `pip install cryptography`, 50 or later, then `python3 format_example.py`.
"""
import base64
import hashlib
import hmac
import re
import struct
import sys
from pathlib import Path
from types import SimpleNamespace

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

HERE = Path(__file__).resolve().parent.parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE / "vectors"))
from format1 import (additional_data, base64_raw, base64url, bech32_decode, bech32_encode, hkdf, seal_plaintext,  # noqa: E402
                     signature_input, value_plaintext, x25519_public, xaes_encrypt, xaes_subkey)


def blocks(page):
    """Maps each label to the bytes of its block, or to None if the label occurs twice or the block is not valid hex."""
    found = {}
    for kind, label, body in re.findall(r"^```(hex|text|toml) (\S+)\n(.*?)^```$", page, re.M | re.S):
        good = label not in found and (kind != "hex" or re.fullmatch(r"(?:(?:[0-9a-f]{2})+\n)+", body))
        found[label] = (bytes.fromhex(body) if kind == "hex" else body.encode()) if good else None
    return found


def unbase64url(text):
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    assert base64url(data) == text
    return data


def age_open(armored, secret):
    """The plaintext of an armored age file that has a single chunk, and an X25519 stanza for `secret` (C2SP age.md)."""
    first, *lines, last = armored.strip().split("\n")
    assert (first, last) == ("-----BEGIN AGE ENCRYPTED FILE-----", "-----END AGE ENCRYPTED FILE-----")
    data = base64.b64decode("".join(lines), validate=True)
    end = data.index(b"\n---") + 4
    mac_line, payload = data[end:].split(b"\n", 1)
    own = x25519_public(secret)
    for share, body in re.findall(rb"^-> X25519 (\S{43})\n(\S{43})$", data[:end], re.M):
        share, body = (base64.b64decode(part + b"=") for part in (share, body))
        shared = X25519PrivateKey.from_private_bytes(secret).exchange(X25519PublicKey.from_public_bytes(share))
        try:
            file_key = ChaCha20Poly1305(hkdf(shared, share + own, "age-encryption.org/v1/X25519")).decrypt(bytes(12), body, None)
        except InvalidTag:
            continue
        mac = hmac.digest(hkdf(file_key, None, "header"), data[:end], "sha256")
        assert mac_line == b" " + base64_raw(mac)
        return ChaCha20Poly1305(hkdf(file_key, payload[:16], "payload")).decrypt(bytes(11) + b"\x01", payload[16:], None)
    raise ValueError("the secret opens no stanza")


def checks(page):
    """Yields each label with the content that its block must have, computed from the vector and alice's key, never from the page."""
    text = (HERE / "vectors/good/minimal.sealed.toml").read_bytes()
    yield "file", text
    alice = next(line for line in (HERE / "vectors/alice.key").read_text().splitlines() if line.startswith("AGE-"))
    yield "identity", alice.encode() + b"\n"
    secret = bech32_decode("age-secret-key-", alice.lower())
    field = dict(re.findall(r'^(\w+) = "{1,3}\n?([^"]*)"', text.decode(), re.M))
    data_key, both = age_open(field["read_key"], secret), age_open(field["write_key"], secret)
    yield "data-key", data_key
    yield "data-key", both[32:]
    seed = both[:32]
    yield "signing-seed", seed
    key = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    yield "vault-id", key
    yield "vault-id", bech32_decode("vault", field["vault"])
    assert bech32_encode("vault", key) == field["vault"]
    value_key = hkdf(data_key, key, "bootseal 1 value key")
    yield "value-key", value_key
    extra = additional_data(key, ["password"])
    yield "additional-data", extra
    plain = value_plaintext("text", 1764000000, b"hunter2")
    yield "plaintext", plain
    raw = unbase64url(field["password"].removeprefix("sealed:"))
    nonce, ciphertext, tag = raw[:24], raw[24:-16], raw[-16:]
    yield "nonce", nonce
    yield "xaes-derived-key", xaes_subkey(value_key, nonce)
    sealed = xaes_encrypt(value_key, nonce, plain, extra)
    yield "ciphertext", sealed[:-16]
    yield "tag", sealed[-16:]
    yield "plaintext", AESGCM(xaes_subkey(value_key, nonce)).decrypt(nonce[12:], ciphertext + tag, extra)
    assert plain == struct.pack("<BQI", 1, 1764000000, 7) + b"hunter2" + bytes(44)
    yield "sealed-value", (seal_plaintext(SimpleNamespace(key=key, value_key=value_key), ["password"], plain, nonce) + "\n").encode()
    signed = text[:text.rindex(b"signature = ")]
    assert (len(text), len(signed)) == (1364, 1263)
    yield "text-hash", hashlib.sha256(signed).digest()
    yield "signature-input", signature_input(signed)
    signature = Ed25519PrivateKey.from_private_bytes(seed).sign(signature_input(signed))
    yield "signature", signature
    yield "signature", unbase64url(field["signature"])
    Ed25519PublicKey.from_public_bytes(key).verify(signature, signature_input(signed))


def main():
    page = blocks((HERE.parent / "docs/format.md").read_text("utf-8"))
    wanted = list(checks(page))
    wrong = [label for label, value in wanted if page.get(label) != value]
    passed = len(wanted) - len(wrong)
    wrong += sorted(set(page) - {label for label, _ in wanted})   # blocks that nothing here computes
    for label in wrong:
        print(f"docs/format.md, block {label}: differs from what is computed, or occurs twice, or is not computed", file=sys.stderr)
    print(f"{passed} passed, {len(wrong)} failed")
    return 1 if wrong else 0


sys.exit(main())

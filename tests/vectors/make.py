"""Writes the vectors of format 1, or checks that the files on disk are what the specification requires.

`python3 make.py` writes every file that differs, `python3 make.py --check` exits with 1 if any differs. Needs only `cryptography`.
format1.py makes a file; good.py and bad.py list the files.
"""
import hashlib
import json
import pathlib
import struct
import sys

sys.dont_write_bytecode = True
import bad  # noqa: E402
import good  # noqa: E402
from format1 import (Vault, additional_data, age_block, age_identity, age_recipient, base64url, fixed, hkdf, passphrase_identity,  # noqa: E402
                     seal_plaintext, signature_input, value_plaintext, x25519_public, xaes_encrypt)
from good import FILES, SET_AT, VECTORS, dotted  # noqa: E402

HERE = pathlib.Path(__file__).parent


def accumulated_xaes(iterations):
    stream, position, digest = hashlib.shake_128().digest(iterations * 580), 0, hashlib.shake_128()
    def read(size):
        nonlocal position
        position += size
        return stream[position - size:position]
    for _ in range(iterations):
        key, nonce = read(32), read(24)
        plaintext = read(read(1)[0])
        digest.update(xaes_encrypt(key, nonce, plaintext, read(read(1)[0])))
    return digest.hexdigest(32)


def primitives():
    seed, data_key, vault = fixed("primitives, signing seed"), fixed("primitives, data key"), Vault("primitives")
    paths = [["password"], ["acme", "password"], ["acme", "user.name"], ["acme", "user", "name"], ["schl\u00fcssel"], ["schlu\u0308ssel"],
             ["a b", "\u9375", "\U0001F511"], [""], ["a\n"], [chr(ord("a") + i) for i in range(16)], ["k" * 1024]]
    values = [("text", "hunter2"), ("text", ""), ("text", "x" * 51), ("text", "x" * 52), ("text", "gr\u00f6\u00dfer\n"), ("bytes", bytes(range(256))),
              ("bytes", b""), ("toml", "42"), ("toml", "true"), ("toml", "[1, 2]"), ("toml", "2027-01-31T09:30:00Z")]
    sealed = []
    for i, (kind, value) in enumerate(values):
        path, at, nonce = paths[i % 6], SET_AT + i, fixed(f"primitives, nonce {i}", 24)
        plaintext = value_plaintext(kind, at, value if kind == "bytes" else value.encode())
        sealed.append({"path": path, "kind": kind, "set_at": at, "value": base64url(value) if kind == "bytes" else value, "nonce": nonce.hex(),
                       "plaintext": plaintext.hex(), "sealed": seal_plaintext(vault, path, plaintext, nonce)})
    text = 'a = 1\n\n[bootseal]\nformat = 1\nvault = "' + vault.id + '"\n'
    xaes = []
    for byte, aad in ((1, b""), (3, b"c2sp.org/XAES-256-GCM")):
        key, nonce = bytes([byte]) * 32, b"ABCDEFGHIJKLMNOPQRSTUVWX"
        xaes.append({"key": key.hex(), "nonce": nonce.hex(), "plaintext": b"XAES-256-GCM".hex(), "additional_data": aad.hex(),
                     "ciphertext": xaes_encrypt(key, nonce, b"XAES-256-GCM", aad).hex()})
    assert [x["ciphertext"][:8] for x in xaes] == ["ce546ef6", "986ec183"] and accumulated_xaes(10_000).startswith("e6b9edf2df6cec60")
    secret, salt = fixed("primitives, identity"), fixed("primitives, salt", 16)
    passphrases = []
    for profile in ("argon2id-1", "argon2id-1s"):
        key = passphrase_identity("gro\u0308\u00dfer als 1\n", profile, salt)
        passphrases.append({"passphrase": "gro\u0308\u00dfer als 1\n", "passphrase_nfc": "gr\u00f6\u00dfer als 1", "entry": f"{profile}:{base64url(salt)}",
                            "secret": key.hex(), "recipient": age_recipient(key)})
    new, generation = Vault("primitives, new"), 5
    return {
        "vault": {"seed": seed.hex(), "public_key": vault.key.hex(), "id": vault.id},
        "keys": {"data_key": data_key.hex(), "salt": vault.key.hex(), **{info: hkdf(data_key, vault.key, info).hex() for info in (
            "bootseal 1 value key", "bootseal 1 store", "bootseal 1 store name", "bootseal 1 credential")}},
        "additional_data": [{"path": p, "dotted": dotted(p), "hex": additional_data(vault.key, p).hex()} for p in paths],
        "sealed": sealed,
        "signature": {"text": text, "sha256": hashlib.sha256(text.encode()).hexdigest(), "input": signature_input(text.encode()).hex(),
                      "signature": base64url(vault.sign(signature_input(text.encode())))},
        "handover": {"from": vault.id, "generation": generation, "to": new.id,
                     "input": (b"bootseal 1 handover\0" + struct.pack("<Q", generation) + new.key).hex(), "entry": vault.handover(generation, new)},
        "age": {"secret": secret.hex(), "identity": age_identity(secret), "public": x25519_public(secret).hex(), "recipient": age_recipient(secret),
                "plaintext": data_key.hex(), "block": age_block(data_key, [age_recipient(secret)], "primitives, block")},
        "passphrase": passphrases,
        "xaes_256_gcm": {"vectors": xaes, "accumulated_10000": accumulated_xaes(10_000)},
    }


def main():
    for step in (good.key_files, good.good_files, bad.bad_shape, bad.bad_signature, bad.bad_document, bad.bad_identity, bad.bad_values):
        step()
    for name, data in (("primitives", primitives()), ("vectors", VECTORS)):
        FILES[name + ".json"] = (json.dumps(data, indent=1) + "\n").encode()
    on_disk = {str(p.relative_to(HERE)) for pattern in ("*.key", "*.json", "good/*", "bad/*") for p in HERE.glob(pattern)}
    differ = sorted(on_disk - FILES.keys()) + [n for n, data in sorted(FILES.items()) if n not in on_disk or (HERE / n).read_bytes() != data]
    if "--check" in sys.argv[1:]:
        print("\n".join(f"differs: {name}" for name in differ) or f"{len(FILES)} files are as they should be")
        return 1 if differ else 0
    for name in differ:
        (HERE / name).parent.mkdir(exist_ok=True)
        (HERE / name).write_bytes(FILES[name]) if name in FILES else (HERE / name).unlink()
    print(f"{len(FILES)} files, {len(differ)} written or deleted; {len(VECTORS)} rows in vectors.json")
    return 0


if __name__ == "__main__":
    sys.exit(main())

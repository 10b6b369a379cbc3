"""Prints, as JSON, an identity, and age files for it whose headers have odd stanzas: each file's name and armored text."""

import base64
import hmac
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "vectors"))
from format1 import ChaCha20Poly1305, age_identity, age_recipient, age_stanza, fixed, hkdf  # noqa: E402

secret, other = fixed("age headers"), fixed("age headers, somebody else")
key, nonce = fixed("age headers, file key", 16), fixed("age headers, nonce", 16)
GOOD = age_stanza(age_recipient(secret), key, fixed("ephemeral"))
OTHER = age_stanza(age_recipient(other), key, fixed("other ephemeral"))
kind, share, body = GOOD.decode().replace("-> ", "").replace("\n", " ").split()
odd = {
    "no-argument": f"-> X25519\n{body}\n",
    "two-arguments": f"-> X25519 {share} {share}\n{body}\n",
    "short-share": f"-> X25519 {share[:-4]}\n{body}\n",
    "padded-share": f"-> X25519 {share}=\n{body}\n",
    "loose-share": f"-> X25519 {share[:-1]}{chr(ord(share[-1]) + 1)}\n{body}\n",
    "other-alphabet": f"-> X25519 {'_' * 42}A\n{body}\n",
    "short-body": f"-> X25519 {share}\n{body[:-3]}\n",
    "empty-body": f"-> X25519 {share}\n\n",
    "long-body": f"-> X25519 {share}\n{body}AAAA\n",
    "zero-share": f"-> X25519 {'A' * 43}\n{body}\n",
    "unknown": "-> something else\nAAAA\n",
    "grease": "-> x-grease a b c\n\n",
    "lower-case": f"-> x25519 {share}\n{body}\n",
    "somebody-else": OTHER.decode(),
    "twice": GOOD.decode(),
    "scrypt": f"-> scrypt {'A' * 22} 10\n{body}\n",
    "ssh": f"-> ssh-ed25519 AAAAAA\n{body}\n",
    "wide-body": "-> something\n" + "A" * 65 + "\n",
}


def age_file(stanzas):
    header = b"age-encryption.org/v1\n" + stanzas + b"---"
    header += b" " + base64.b64encode(hmac.digest(hkdf(key, None, "header"), header, "sha256")).rstrip(b"=") + b"\n"
    raw = header + nonce + ChaCha20Poly1305(hkdf(key, nonce, "payload")).encrypt(bytes(11) + b"\x01", b"hunter2", None)
    text = base64.b64encode(raw).decode()
    lines = [text[at:at + 64] for at in range(0, len(text), 64)]
    return "\n".join(["-----BEGIN AGE ENCRYPTED FILE-----", *lines, "-----END AGE ENCRYPTED FILE-----", ""])


files = {"good": age_file(GOOD)}
for name, stanza in odd.items():
    files[name + "-before"] = age_file(stanza.encode() + GOOD)
    files[name + "-behind"] = age_file(GOOD + stanza.encode())
    files[name + "-alone"] = age_file(stanza.encode())
print(json.dumps({"identity": age_identity(secret), "files": files}))

"""Makes a format-1 file byte by byte, only from the specifications.

This was written from format.md, BIP 173, C2SP age and XAES-256-GCM, RFC 5869, 8032 and 9106, without a look at the Rust code. The two
must give the same bytes. Do not use it with real secrets: nothing here is random, constant-time, or erased.
"""
import base64
import hashlib
import hmac
import struct
import unicodedata

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


def fixed(label, size=32):
    """Replaces every random number, so that two runs give the same bytes."""
    return hashlib.sha256(b"bootseal vectors: " + label.encode()).digest()[:size]


def hkdf(key, salt, info):
    return HKDF(hashes.SHA256(), 32, salt, info.encode()).derive(key)


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


# --- bech32 (BIP 173) -------------------------------------------------------------------------------------------------------

ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


def bech32_checksum(prefix, values):
    state = 1
    for value in [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix] + values:
        top, state = state >> 25, (state & 0x1FFFFFF) << 5 ^ value
        for i, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            state ^= generator if top >> i & 1 else 0
    return state


def bech32_encode(prefix, data, constant=1, unused_bits=0):
    """Encodes `data`. A `constant` of 0x2bc830a3 gives bech32m, and `unused_bits` sets bits that canonical encoders leave zero. Both are
    only for files that must be refused."""
    bits = len(data) * 8
    number = int.from_bytes(data, "big") << (-bits % 5) | unused_bits
    count = (bits + 4) // 5
    values = [number >> 5 * (count - 1 - i) & 31 for i in range(count)]
    check = bech32_checksum(prefix, values + [0] * 6) ^ constant
    return prefix + "1" + "".join(ALPHABET[v] for v in values + [check >> 5 * (5 - i) & 31 for i in range(6)])


def bech32_decode(prefix, text):
    assert text.startswith(prefix + "1") and text == text.lower()
    values = [ALPHABET.index(c) for c in text[len(prefix) + 1:]]
    assert bech32_checksum(prefix, values) == 1
    values, size = values[:-6], (len(values) - 6) * 5 // 8
    number = 0
    for value in values:
        number = number << 5 | value
    unused = len(values) * 5 - size * 8
    assert unused < 5 and number & (1 << unused) - 1 == 0
    return (number >> unused).to_bytes(size, "big")


# --- age (C2SP): one X25519 stanza for each recipient, one chunk of payload, armor --------------------------------------------

def base64_raw(data):
    return base64.b64encode(data).rstrip(b"=")


def x25519_public(secret):
    return X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()


def age_recipient(secret):
    return bech32_encode("age", x25519_public(secret))


def age_identity(secret):
    return bech32_encode("age-secret-key-", secret).upper()


def age_stanza(recipient, file_key, ephemeral):
    to, share = bech32_decode("age", recipient), x25519_public(ephemeral)
    shared = X25519PrivateKey.from_private_bytes(ephemeral).exchange(X25519PublicKey.from_public_bytes(to))
    wrap_key = hkdf(shared, share + to, "age-encryption.org/v1/X25519")
    body = ChaCha20Poly1305(wrap_key).encrypt(bytes(12), file_key, None)
    return b"-> X25519 " + base64_raw(share) + b"\n" + base64_raw(body) + b"\n"


def age_block(plaintext, recipients, label):
    """The armored age file with `plaintext` for `recipients`. What would be random is derived from `label`."""
    file_key, nonce = fixed(label + ", file key", 16), fixed(label + ", payload nonce", 16)
    header = b"age-encryption.org/v1\n"
    for i, recipient in enumerate(recipients):
        header += age_stanza(recipient, file_key, fixed(f"{label}, ephemeral {i}"))
    header += b"---"
    header += b" " + base64_raw(hmac.digest(hkdf(file_key, None, "header"), header, "sha256")) + b"\n"
    first_and_last_chunk = bytes(11) + b"\x01"
    payload = ChaCha20Poly1305(hkdf(file_key, nonce, "payload")).encrypt(first_and_last_chunk, plaintext, None)
    text = base64.b64encode(header + nonce + payload).decode()
    lines = [text[i:i + 64] for i in range(0, len(text), 64)]
    return "\n".join(["-----BEGIN AGE ENCRYPTED FILE-----", *lines, "-----END AGE ENCRYPTED FILE-----", ""])


def passphrase_identity(passphrase, profile, salt):
    """The X25519 secret key of a passphrase entry, computed from the passphrase in NFC without one final newline."""
    memory_kib = {"argon2id-1": 256 * 1024, "argon2id-1s": 64 * 1024}[profile]
    text = unicodedata.normalize("NFC", passphrase.removesuffix("\n")).encode()
    return Argon2id(salt=salt, length=32, iterations=3, lanes=4, memory_cost=memory_kib).derive(text)


# --- a sealed value ---------------------------------------------------------------------------------------------------------

def xaes_subkey(key, nonce):
    def aes(block):
        return Cipher(algorithms.AES256(key), modes.ECB()).encryptor().update(block)
    doubled = int.from_bytes(aes(bytes(16)), "big") << 1
    k1 = (doubled ^ 0x87 if doubled >> 128 else doubled) & (1 << 128) - 1
    blocks = (b"\x00" + bytes([counter]) + b"X\x00" + nonce[:12] for counter in (1, 2))
    return b"".join(aes((int.from_bytes(block, "big") ^ k1).to_bytes(16, "big")) for block in blocks)


def xaes_encrypt(key, nonce, plaintext, additional_data):
    return AESGCM(xaes_subkey(key, nonce)).encrypt(nonce[12:], plaintext, additional_data)


KINDS = {"text": 1, "bytes": 2, "toml": 3}


def value_plaintext(kind, set_at, payload):
    head = struct.pack("<BQI", KINDS[kind], set_at, len(payload)) + payload
    return head + bytes(-len(head) % 64)


def additional_data(vault_key, path):
    segments = [s.encode() for s in path]
    return b"bootseal 1 value\0" + vault_key + b"".join(struct.pack("<I", len(s)) + s for s in segments)


def seal_plaintext(vault, path, plaintext, nonce):
    sealed = xaes_encrypt(vault.value_key, nonce, plaintext, additional_data(vault.key, path))
    return "sealed:" + base64url(nonce + sealed)


# --- vault and file ---------------------------------------------------------------------------------------------------------

class Vault:
    """What a writer has: the signing seed, the data key, and all that is derived from them."""

    def __init__(self, name, data_key=None, seed=None):
        self.seed, self.data_key = seed or fixed(name + ", signing seed"), data_key or fixed(name + ", data key")
        self.key = Ed25519PrivateKey.from_private_bytes(self.seed).public_key().public_bytes_raw()
        self.id = bech32_encode("vault", self.key)
        self.value_key = hkdf(self.data_key, self.key, "bootseal 1 value key")

    def sign(self, message):
        return Ed25519PrivateKey.from_private_bytes(self.seed).sign(message)

    def handover(self, generation, new):
        signature = self.sign(b"bootseal 1 handover\0" + struct.pack("<Q", generation) + new.key)
        return f'{{ from = "{self.id}", generation = {generation}, signature = "{base64url(signature)}" }}'


def signature_input(text_before_signature):
    return b"bootseal 1 file\0" + hashlib.sha256(text_before_signature).digest()


def bootseal_table(vault, name, access, generation=1, epoch=1, removed="", handover="", read_key=None, write_key=None):
    """The text from the line `[bootseal]` up to, but not including, the `vault` line; `access` is a list of (name, role, recipient, more)."""
    readers = [recipient for _, _, recipient, _ in access]
    writers = [recipient for _, role, recipient, _ in access if role == "writer"]
    read_key = read_key or age_block(vault.data_key, readers, name + " read_key")
    write_key = write_key or age_block(vault.seed + vault.data_key, writers, name + " write_key")
    entries = "".join(f'  {{ name = "{n}", role = "{role}", recipient = "{to}"{more} }},\n' for n, role, to, more in access)
    return (f"[bootseal]\nformat = 1\ngeneration = {generation}\nepoch = {epoch}\naccess = [\n{entries}]\n{removed}{handover}"
            f'read_key = """\n{read_key}"""\nwrite_key = """\n{write_key}"""\n')


def signed(text, vault, last_lines='vault = "{id}"\nsignature = "{sig}"\n', vault_id=None, signature=None):
    """`text`, which ends before the `vault` line, with the last two lines added. `signature`, if given, makes the signature of a message."""
    text = text.encode() if isinstance(text, str) else text
    vault_line, signature_line = last_lines.replace("{id}", vault_id or vault.id).split("signature", 1)
    message = signature_input(text + vault_line.encode())
    made = (signature or vault.sign)(message)
    made = made if isinstance(made, str) else base64url(made)
    return text + vault_line.encode() + b"signature" + signature_line.replace("{sig}", made).encode()


# --- Ed25519 written by hand, for signatures that no honest signer makes ----------------------------------------------------

P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P


def point(encoded):
    y = int.from_bytes(encoded, "little") & (1 << 255) - 1
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    x = x if x * x % P == square else x * pow(2, (P - 1) // 4, P) % P
    assert x * x % P == square
    return (P - x if x & 1 != encoded[31] >> 7 else x) % P, y % P


def add(a, b):
    cross = D * a[0] * b[0] * a[1] * b[1]
    return ((a[0] * b[1] + a[1] * b[0]) * pow(1 + cross, -1, P) % P, (a[1] * b[1] + a[0] * b[0]) * pow(1 - cross, -1, P) % P)


def multiply(scalar, a):
    result = (0, 1)
    for bit in bin(scalar)[2:]:
        result = add(result, result)
        result = add(result, a) if bit == "1" else result
    return result


def compress(a):
    return (a[1] | (a[0] & 1) << 255).to_bytes(32, "little")


BASE = point(bytes([0x58]) + bytes([0x66]) * 31)
ORDER_8 = point(bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"))


def secret_scalar(seed):
    return int.from_bytes(hashlib.sha512(seed).digest()[:32], "little") & (1 << 254) - 8 | 1 << 254


def challenge(r, key, message):
    return int.from_bytes(hashlib.sha512(r + key + message).digest(), "little") % L


def signature_with(r_bytes, r_scalar, key, key_scalar, message):
    """R ‖ S with S = r + h·a, for any encoding of R and of the key."""
    s = (r_scalar + challenge(r_bytes, key, message) * key_scalar) % L
    return r_bytes + s.to_bytes(32, "little")

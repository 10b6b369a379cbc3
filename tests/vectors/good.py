"""The files that a reader of format 1 must accept, and what it must find in them."""
import json

from format1 import (Vault, age_identity, age_recipient, base64url, bootseal_table, fixed, passphrase_identity, seal_plaintext, signed,
                     value_plaintext)

FILES, VECTORS = {}, []                      # path -> bytes; the rows of vectors.json
A, M = "good/acme.sealed.toml", "good/minimal.sealed.toml"
SECRET = {name: fixed(name + " identity") for name in ("alice", "bob", "payments-app", "stranger", "mallory")}
RECIPIENT = {name: age_recipient(secret) for name, secret in SECRET.items()}
ACME, MINIMAL, MALLORY, EMPTY = Vault("acme"), Vault("minimal"), Vault("mallory"), Vault("empty")
OLD_A, OLD_B, NEW, PASS = Vault("handover a"), Vault("handover b"), Vault("handover c"), Vault("passphrase")
SET_AT = 1_764_000_000                       # of the first property of a file; one second later for each further property
ALICE, APP = ("alice", "writer", RECIPIENT["alice"], ""), ("payments-app", "reader", RECIPIENT["payments-app"], "")


def seal(vault, path, kind, payload, set_at=SET_AT, label=""):
    payload = payload if isinstance(payload, bytes) else payload.encode()
    nonce = fixed(f"{vault.id} {path} {kind} {payload.hex()} {set_at} {label}", 24)
    return seal_plaintext(vault, path, value_plaintext(kind, set_at, payload), nonce)


def dotted(path):
    plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
    return ".".join(s if s and all(c in plain for c in s) else json.dumps(s, ensure_ascii=False) for s in path)


class User:
    """The user's part of a file, while it is made: its text, and what a reader must find in it."""

    def __init__(self, vault):
        self.vault, self.text, self.values = vault, "", {}

    def line(self, text):
        self.text += text + "\n"
        return self

    def note(self, path, **value):
        self.values[dotted(path)] = value

    # `table` is the header above the line, and `key` is the key on the line. Both are lists of segments.

    def sealed(self, table, key, kind, payload, template="{key} = {value}"):
        path, at = table + key, SET_AT + len(self.values)
        self.note(path, sealed=True, kind=kind, value=base64url(payload) if kind == "bytes" else payload, set_at=at)
        return self.line(template.format(key=dotted(key), value=f'"{seal(self.vault, path, kind, payload, at)}"'))

    def text_value(self, table, key, value, after=""):
        self.note(table + key, sealed=False, kind="text", value=value)
        return self.line(f"{dotted(key)} = {json.dumps(value, ensure_ascii=False)}{after}")

    def toml_value(self, table, key, value):
        self.note(table + key, sealed=False, kind="toml", value=value)
        return self.line(f"{dotted(key)} = {value}")


# --- the rows ---------------------------------------------------------------------------------------------------------------

def row(file, why, expect, stage=None, base=None, pin=None, identity="alice.key", **more):
    VECTORS.append({"file": file, "base": base, "why": why, "pin": pin, "identity": identity, "expect": expect, "stage": stage, **more})


def good(name, data, why, vault, values, generation=1, epoch=1, identities=("alice.key",), pins=(), base=None):
    FILES[f"good/{name}.sealed.toml"] = data
    for identity in identities:
        for pin in pins or (vault.id,):
            row(f"good/{name}.sealed.toml", why, "ok", pin=pin, identity=identity, base=base,
                generation=generation, epoch=epoch, vault=vault.id, values=values)


# --- the good files ---------------------------------------------------------------------------------------------------------

def acme_user(vault):
    u, a, login = User(vault), ["acme"], ["acme", "login"]
    u.line("# Acme payments: made-up credentials, for tests only")
    u.text_value([], ["release"], "2026-11", after="                       # a bare key before the first table")
    u.text_value([], ["support contact"], "ops@acme.example")
    u.toml_value([], ["feature", "retry"], "true").toml_value([], ["feature", "max.tries"], "5")
    u.line("\n[acme]")
    u.sealed(a, ["username"], "text", "svc-payments", "{key} = {value}      # one value sealed")
    u.sealed(a, ["password"], "text", "correct horse, battery staple")
    u.text_value(a, ["timeout"], "10s").text_value(a, ["region"], "eu-west").text_value(a, ["note"], "")
    motd = "Two lines,\n[bootseal]\none value.\n"  # the line in the middle is not a header
    u.note(a + ["motd"], sealed=False, kind="text", value=motd)
    u.line(f'motd = """\n{motd}"""')
    u.note(a + ["limits", "burst"], sealed=False, kind="toml", value="20")
    u.sealed(a + ["limits"], ["token"], "text", "t-0001", "limits = {{ burst = 20, {key} = {value} }}")
    u.sealed(a, ["user.name"], "text", "a name with a dot").sealed(a, ["user", "name"], "text", "a name below a table")
    u.sealed(a, ["schl\u00fcssel"], "text", "gr\u00f6\u00dfer").sealed(a, ["empty"], "text", "")
    u.sealed(a, ["of51"], "text", "x" * 51).sealed(a, ["of52"], "text", "x" * 52)
    u.sealed(a, ["certificate"], "bytes", b"\xff\xfe\0\r\n").sealed(a, ["port"], "toml", "42").sealed(a, ["enabled"], "toml", "true")
    u.sealed(a, ["ports"], "toml", "[1, 2]").sealed(a, ["until"], "toml", "2027-01-31T09:30:00Z")
    u.toml_value(a, ["regions"], '["eu", "us"]')
    u.line("\n[acme.login]").text_value(login, ["url"], "https://api.acme.example/v1/login")
    u.text_value(login, ["json", "user"], "${username}").text_value(login, ["json", "password"], "${password}")
    u.note(["mirrors"], sealed=False, kind="toml", value=None)
    return u.line('\n[[mirrors]]\nhost = "a.acme.example"\n\n[[mirrors]]\nhost = "b.acme.example"\n')


def limits_file():
    vault, chain = Vault("limits"), [Vault(f"limits {i}") for i in range(64)]
    links = ",\n".join("  " + old.handover(i + 1, new) for i, (old, new) in enumerate(zip(chain, chain[1:] + [vault])))
    gone = ",\n".join(f'  {{ name = "gone-{i}", at = 2025-11-23T18:{i // 60:02}:{i % 60:02}Z }}' for i in range(64))
    access = [ALICE] + [("n" * 61 + f"{i:03}", "reader", age_recipient(fixed(f"reader {i}")), "") for i in range(255)]
    user = User(vault).sealed([], [chr(ord("a") + i) for i in range(16)], "text", "sixteen segments")
    user.sealed([], ["k" * 1024], "text", "a name of 1024 bytes").toml_value([], ["nested"], "[" * 64 + "1" + "]" * 64).line("")
    table = bootseal_table(vault, "limits", access, 2**53, 2**53, f"removed = [\n{gone}\n]\n", f"handover = [\n{links}\n]\n")
    good("limits", signed(user.text + table, vault), "Each limit is reached: a path of 16 segments, a name of 1024 bytes, arrays nested 64 deep, "
         "256 entries of `access`, 64 of `removed`, 64 of `handover`, generation and epoch 2^53.", vault, user.values, 2**53, 2**53, pins=(vault.id, chain[0].id))


def handover_parts():
    user = User(NEW).line("[acme]").sealed(["acme"], ["password"], "text", "set after bob left").line("")
    removed = "removed = [ { name = \"bob\", at = 2025-11-23T18:00:00Z } ]\n"
    return user, removed, f"handover = [\n  {OLD_A.handover(3, OLD_B)},\n  {OLD_B.handover(5, NEW)},\n]\n"


def good_files():
    user = User(MINIMAL).sealed([], ["password"], "text", "hunter2").line("")
    good("minimal", signed(user.text + bootseal_table(MINIMAL, "minimal", [ALICE]), MINIMAL), "One writer, one sealed value.", MINIMAL, user.values)
    good("empty", signed(bootseal_table(EMPTY, "empty", [ALICE]), EMPTY), "No properties at all.", EMPTY, {})

    acme, both = acme_user(ACME), ("alice.key", "payments-app.key")
    data = signed(acme.text + bootseal_table(ACME, "acme", [ALICE, APP], 7, 2), ACME)

    def as_acme(name, data, why):
        good(name, data, why, ACME, acme.values, 7, 2, both, base=None if name == "acme" else A)
    as_acme("acme", data, "One of everything: comments, sealed and readable values of each kind, dotted and quoted names.")
    as_acme("crlf", data.replace(b"\n", b"\r\n"), "The acme file with every LF as CR LF: the same text, the same values.")
    as_acme("no-final-newline", data[:-1], "The acme file without its last newline.")
    mixed = b"".join(line + (b"\r\n" if i % 3 else b"\n") for i, line in enumerate(data[:-1].split(b"\n")))
    as_acme("mixed-line-ends", mixed, "Some lines of the acme file end in CR LF, also within the key blocks and strings.")

    user, removed, handover = handover_parts()
    good("removed-and-handover", signed(user.text + bootseal_table(NEW, "handover", [ALICE], 6, 3, removed, handover), NEW),
         "Two handovers and a removal: a pin with the newest or an older id of the chain accepts the file.", NEW, user.values, 6, 3,
         pins=(NEW.id, OLD_B.id, OLD_A.id))

    salt = fixed("passphrase salt", 16)
    glass = age_recipient(passphrase_identity("open sesame", "argon2id-1s", salt))
    entry = ("break-glass", "writer", glass, f', passphrase = "argon2id-1s:{base64url(salt)}"')
    user = User(PASS).sealed([], ["password"], "text", "behind glass").line("")
    good("passphrase-entry", signed(user.text + bootseal_table(PASS, "passphrase", [ALICE, entry]), PASS),
         "An entry with a passphrase beside an ordinary one.", PASS, user.values)
    VECTORS.append({**VECTORS[-1], "identity": None, "passphrase": "open sesame", "why": "The same file, opened with the passphrase."})

    vault = Vault("odd")
    u = User(vault).line("# Unusual, and allowed: a comment may say sealed: or secret:")
    u.text_value([], ["sealed:name"], "a name may begin so").text_value([], ["cap"], "Sealed:x").text_value([], ["mid"], "not sealed:x")
    u.text_value([], ["control"], "a\tb").toml_value([], ["empty_array"], "[]").line("[no.values]")
    u.line("[t]").sealed(["t"], ["a"], "text", "literal", "'a' = {value}").line("")
    table = bootseal_table(vault, "odd", [ALICE]).replace("format = 1\ngeneration = 1\nepoch = 1\n", "")
    table = table.replace('"""\nwrite_key', '"""\n# comments here are kept\nformat = 1 # so\nwrite_key').replace('"""', "'''")
    table = table.replace("access = [\n", "access = [ # and so\n") + 'epoch = 1\n"generation" = 1\nremoved = []\nhandover = []\n\n'
    good("odd-but-good", signed(u.text + table, vault), "Keys of [bootseal] in another order, literal strings, comments, a blank line "
         "before the vault line, empty lists; names and strings that only resemble sealed values.", vault, u.values)
    limits_file()


def key_files():
    for name in ("alice", "payments-app", "stranger"):
        vault = f"# vault: {ACME.id}\n" if name == "payments-app" else ""
        FILES[name + ".key"] = (f"# created: 2025-11-24T16:00:00Z\n# public key: {RECIPIENT[name]}\n{vault}"
                                f"{age_identity(SECRET[name])}\n").encode()

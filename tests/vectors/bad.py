"""The files that a reader of format 1 must refuse, each with the step that must refuse it and the kind of the error.

There is one file for each way to fail, with one fault in it. Unless the fault is the signature, the writer signed the file with the fault.
"""
import base64
import struct

from format1 import (BASE, L, ORDER_8, P, Vault, add, age_block, age_recipient, base64url, bech32_encode, bootseal_table, challenge,
                     compress, fixed, multiply, point, seal_plaintext, secret_scalar, signature_with, signed, value_plaintext)
from good import (A, ACME, ALICE, APP, FILES, M, MALLORY, MINIMAL, NEW, OLD_A, OLD_B, PASS, RECIPIENT, SET_AT, User, VECTORS,
                  acme_user, handover_parts, row, seal)

PINNED = {f"good/{name}.sealed.toml": vault.id for name, vault in
          (("minimal", MINIMAL), ("acme", ACME), ("crlf", ACME), ("removed-and-handover", NEW), ("passphrase-entry", PASS))}


def bad(name, why, data, expect, stage, base="good/minimal.sealed.toml", pin=0, identity="alice.key"):
    pin = PINNED[base] if pin == 0 else pin
    file = f"bad/{name}.sealed.toml"
    FILES[file] = data.encode() if isinstance(data, str) else data
    assert FILES[file] != FILES[base], name
    row(file, why, expect, stage, base, pin, identity)


def text_of(base):
    """A good file's text before its `vault` line. Tests change this text, and some sign it again."""
    return FILES[base].decode().rsplit("vault = ", 1)[0]


def changed(base, old, new):
    text = FILES[base].decode() if isinstance(base, str) and base in FILES else base
    assert text.count(old) == 1, (text.count(old), old)
    return text.replace(old, new)


# --- refused for their shape: bytes, then the last two lines ----------------------------------------------------------------

def bad_shape():
    text, whole, acme = text_of(M).encode(), FILES[M], text_of(A).encode()

    def shape(name, why, data, base=M):
        bad(name, why, data, "malformed", "shape", base)
    shape("no-bytes", "Nothing at all.", b"")
    shape("bom", "A byte order mark at the start; the writer signed it.", signed(b"\xef\xbb\xbf" + text, MINIMAL))
    shape("nul", "A NUL in a comment; the writer signed it.", signed(b"# \0\n" + text, MINIMAL))
    shape("lone-cr", "A CR without LF in a comment; the writer signed it.", signed(b"# a\rb\n" + text, MINIMAL))
    shape("cr-at-the-end", "The CR LF file without its last LF, so its last CR has no LF.", FILES["good/crlf.sealed.toml"][:-1], "good/crlf.sealed.toml")
    shape("not-utf8", "A byte that never occurs in UTF-8, in a comment; the writer signed it.", signed(b"# \xff\n" + text, MINIMAL))
    shape("surrogate", "A surrogate, encoded as UTF-8 would encode a character, in a comment; the writer signed it.", signed(b"# \xed\xa0\x80\n" + text, MINIMAL))
    shape("truncated", "The file ends in the middle.", FILES[A][:len(FILES[A]) // 2], A)
    shape("truncated-signature", "The last five bytes are gone.", whole[:-5])
    shape("no-signature-line", "The last line is gone.", whole[:whole.rindex(b"signature")])
    shape("appended-comment", "A comment after the signature.", whole + b"# more\n")
    shape("appended-table", "A table after the signature.", FILES[A] + b'[more]\nurl = "https://evil.example"\n', A)
    shape("appended-newline", "An empty line after the signature.", whole + b"\n")

    def lines(name, why, last_lines, **more):
        shape(name, why, signed(text, MINIMAL, last_lines, **more))
    lines("vault-no-blanks", "No blanks around = in the vault line; the writer signed it.", 'vault="{id}"\nsignature = "{sig}"\n')
    lines("vault-two-blanks", "Two blanks after = in the vault line; the writer signed it.", 'vault =  "{id}"\nsignature = "{sig}"\n')
    lines("vault-comment", "A comment on the vault line; the writer signed it.", 'vault = "{id}" # ours\nsignature = "{sig}"\n')
    lines("vault-indented", "The vault line begins with a blank; the writer signed it.", ' vault = "{id}"\nsignature = "{sig}"\n')
    lines("vault-single-quotes", "Single quotes in the vault line; the writer signed it.", "vault = '{id}'\nsignature = \"{sig}\"\n")
    lines("signature-no-blanks", "No blanks around = in the signature line.", 'vault = "{id}"\nsignature="{sig}"\n')
    lines("signature-comment", "A comment on the signature line.", 'vault = "{id}"\nsignature = "{sig}" # ours\n')
    lines("signature-single-quotes", "Single quotes in the signature line.", "vault = \"{id}\"\nsignature = '{sig}'\n")
    lines("line-between", "A comment line between vault and signature; the writer signed it.", 'vault = "{id}"\n# here\nsignature = "{sig}"\n')
    body, vault_line, signature_line, _ = whole.rsplit(b"\n", 3)
    shape("swapped-lines", "The signature line is before the vault line.", b"\n".join([body, signature_line, vault_line, b""]))
    ids = {"upper-case": (MINIMAL.id.upper(), "in upper case"), "mixed-case": (MINIMAL.id.replace("vault", "Vault"), "with one capital"),
           "checksum": (MINIMAL.id[:-1] + ("q" if MINIMAL.id[-1] != "q" else "p"), "with a wrong checksum"),
           "bech32m": (bech32_encode("vault", MINIMAL.key, 0x2BC830A3), "with the checksum of bech32m"),
           "prefix": (bech32_encode("age", MINIMAL.key), "with the prefix age"),
           "31-bytes": (bech32_encode("vault", MINIMAL.key[:31]), "of 31 bytes"),
           "33-bytes": (bech32_encode("vault", MINIMAL.key + b"\0"), "of 33 bytes"),
           "unused-bits": (bech32_encode("vault", MINIMAL.key, unused_bits=1), "whose unused bits are not zero")}
    for name, (vault_id, what) in ids.items():
        lines("id-" + name, f"A vault id {what}; the writer signed it.", 'vault = "{id}"\nsignature = "{sig}"\n', vault_id=vault_id)
    sig = whole.rsplit(b'"', 2)[1].decode()
    plus = next(s for s in (signed(acme + b"# %d\n" % i, ACME) for i in range(99)) if b"-" in s.rsplit(b'"', 2)[1])
    shape("signature-63-bytes", "A signature of 63 bytes.", changed(M, sig, sig[:84]))
    shape("signature-65-bytes", "A signature of 65 bytes.", changed(M, sig, sig[:85] + "AA"))
    shape("signature-padded", "The signature with base64 padding.", changed(M, sig, sig + "=="))
    shape("signature-twin", "Unused bits of the signature's last character are set, so different text decodes to the same 64 bytes.",
          changed(M, sig, twin(sig)))
    shape("signature-plus", "The signature in the alphabet of standard base64, with + instead of -.",
          plus[:-100] + plus[-100:].replace(b"-", b"+"), A)


# --- refused for the signature or the pin -----------------------------------------------------------------------------------

def bad_signature():
    def forged(name, why, data, base=M, **more):
        bad(name, why, data, "forged", "signature", base, **more)
    text = text_of(M)

    def odd(name, why, make, vault_id=None, **more):
        forged(name, why, signed(text, MINIMAL, signature=make, vault_id=vault_id), **more)

    def s_plus_l(message):
        sig = MINIMAL.sign(message)
        return sig[:32] + (int.from_bytes(sig[32:], "little") + L).to_bytes(32, "little")
    odd("s-plus-l", "L was added to S: the equation still holds, but RFC 8032 requires S < L.", s_plus_l)
    scalar, one = secret_scalar(MINIMAL.seed), (1).to_bytes(32, "little")
    odd("small-order-r", "R is the neutral element. Only the writer can make such a signature, but strict verification refuses it.",
        lambda m: signature_with(one, 0, MINIMAL.key, scalar, m))
    odd("non-canonical-r", "R is the neutral element written as p + 1.",
        lambda m: signature_with((P + 1).to_bytes(32, "little"), 0, MINIMAL.key, scalar, m))
    twisted = add(multiply(scalar, BASE), ORDER_8)
    key = compress(twisted)

    def cofactored_only(message):
        for r in range(1, 99):                # one in eight would also be valid without the cofactor
            r_bytes = compress(multiply(r, BASE))
            if challenge(r_bytes, key, message) % 8:
                return signature_with(r_bytes, r, key, scalar, message)
    odd("cofactored-only", "The key has a component of order 8, and the signature is valid only if the verifier multiplies by the cofactor.", cofactored_only,
        bech32_encode("vault", key), pin=None)
    keys = {"small-order-key": (one, "the neutral element: this signature was made without any secret"),
            "small-order-8-key": (compress(ORDER_8), "of order 8: this signature was made without any secret"),
            "non-canonical-key": ((P + 1).to_bytes(32, "little"), "the neutral element written as p + 1"),
            "negative-zero-key": ((1 | 1 << 255).to_bytes(32, "little"), "the neutral element with the sign bit set")}
    for name, (key_bytes, what) in keys.items():
        def anyone(message, key_bytes=key_bytes, order=8 if "8" in name else 1):
            r = next(r for r in range(1, 99) if challenge(compress(multiply(r, BASE)), key_bytes, message) % order == 0)
            return signature_with(compress(multiply(r, BASE)), r, key_bytes, 0, message)
        odd(name, f"The vault id is {what}.", anyone, bech32_encode("vault", key_bytes), pin=None)
    off_curve = next(k for k in (fixed(f"off the curve {i}")[:31] + b"\0" for i in range(99)) if not on_curve(k))
    odd("no-point-key", "The vault id is not a point on the curve.", MINIMAL.sign, bech32_encode("vault", off_curve), pin=None)
    odd("bare-text-signed", "The signature covers only the hash, without `bootseal 1 file` before it.", lambda m: MINIMAL.sign(m[-32:]))
    crlf = FILES["good/crlf.sealed.toml"].rsplit(b"vault = ", 1)[0]
    as_crlf = signed(crlf, ACME, 'vault = "{id}"\r\nsignature = "{sig}"\r\n')
    forged("crlf-signed", "The signature covers the bytes with CR LF, not the text with LF.", as_crlf, "good/crlf.sealed.toml")
    odd("zero-signature", "A signature of 64 zero bytes.", lambda m: bytes(64))

    def edit(name, why, old, new):
        forged(name, why, changed(A, old, new), A)
    edit("flipped-comment", "One bit of a comment was flipped.", "# Acme payments", "# Acme paymentr")
    edit("comment-added", "A comment was added.", 'timeout = "10s"', 'timeout = "10s" # safe to print')
    edit("flipped-value", "One bit of a readable value was flipped.", '"10s"', '"11s"')
    edit("flipped-name", "One bit of a name was flipped.", "timeout =", "timeouu =")
    edit("flipped-blank", "One blank was added; the values are the same.", "timeout =", "timeout  =")
    edit("swapped-names", "Two readable values have exchanged their names.", 'timeout = "10s"\nregion =', 'region = "10s"\ntimeout =')
    edit("moved-byte", "A byte moved from one readable value to its neighbour.", '"10s"\nregion = "eu-west"', '"10"\nregion = "seu-west"')
    edit("empty-added", "An empty property was added.", 'note = ""\n', 'note = ""\nnote2 = ""\n')
    edit("empty-deleted", "An empty property was deleted.", 'note = ""\n', "")
    edit("sealed-deleted", "A sealed property was deleted.", line_of(FILES[A].decode(), "port"), "")
    edit("login-url", "The login's address was changed to another host.", "https://api.acme.example", "https://api.evil.example")
    edit("generation-changed", "The generation was raised.", "generation = 7", "generation = 8")
    edit("epoch-changed", "The epoch was raised.", "epoch = 2", "epoch = 3")
    more = f'  {{ name = "mallory", role = "reader", recipient = "{RECIPIENT["mallory"]}" }},\n]\nread_key'
    edit("recipient-added", "A recipient was added.", "]\nread_key", more)
    edit("role-changed", "A reader was made a writer.", '"payments-app", role = "reader"', '"payments-app", role = "writer"')
    acme, minimal = FILES[A].decode(), FILES[M].decode()
    blocks = [t.split('read_key = """\n')[1].split('"""')[0] for t in (acme, minimal)]
    edit("foreign-read-key", "read_key was copied from another vault.", *blocks)
    user, password = (line_of(acme, key).split('"')[1] for key in ("username", "password"))
    forged("swapped-sealed", "Two sealed values have exchanged places.", swap(acme, user, password), A)
    edit("sealed-to-readable", "A sealed value was replaced by a readable one.", password, "chosen by mallory")
    edit("id-replaced", "The vault line names another vault, but the signature was not changed.", ACME.id, MALLORY.id)
    text_a, text_m = text_of(A), text_of(M)
    forged("foreign-signature", "The file has the vault's own id, but another key signed it.", signed(text_a, MALLORY, vault_id=ACME.id), A)
    forged("other-file", "The last two lines were copied from a different file.", text_a + minimal[len(text_m):], A, pin=None)

    row(A, "The file belongs to a different vault from the pinned one.", "wrong-vault", "signature", pin=MALLORY.id)
    row(A, "A stranger's key opens nothing, but the pin is checked before the identity.", "wrong-vault", "signature", pin=MALLORY.id, identity="stranger.key")
    row(A, "The pin requires generation 8, but the file has generation 7.", "old-generation", "signature", pin=ACME.id + "@8")
    VECTORS.append({**next(v for v in VECTORS if v["file"] == A), "pin": ACME.id + "@7", "why": "The pin requires generation 7, which the file has."})
    foreign = User(MALLORY).line("[acme]").sealed(["acme"], ["password"], "text", "chosen by mallory").line("")
    access = [ALICE, APP, ("mallory", "writer", RECIPIENT["mallory"], "")]
    table = bootseal_table(MALLORY, "foreign", access, 7, 2)
    data = signed(foreign.text + table, MALLORY)
    bad("foreign-vault", "A complete vault of mallory's, wrapped to alice: only the pin shows that it is not hers.", data, "wrong-vault", "signature", A)
    row("bad/foreign-vault.sealed.toml", "The same file without a pin: it is valid.", "ok", base=A,
        generation=7, epoch=2, vault=MALLORY.id, values=foreign.values)
    bad("foreign-and-malformed", "A different vault whose document is malformed: the error is about the pin, not about the document.",
        signed(foreign.text + table.replace("format = 1", "format = 2"), MALLORY), "wrong-vault", "signature", A)
    bad("taken-over", "Mallory put his own vault id on our file and signed it.", signed(text_a, MALLORY), "wrong-vault", "signature", A)
    row("bad/taken-over.sealed.toml", "The same file, read by a writer without a pin: the seed does not belong to the id.", "malformed", "identity", A)
    row("bad/taken-over.sealed.toml", "The same file, read by a reader without a pin (not even in the key file): no value opens.",
        "moved-value", "values", A, identity="payments-app.key")

    base = "good/removed-and-handover.sealed.toml"
    user, removed, _ = handover_parts()
    chains = {"wrong-signer": (f"{OLD_A.handover(3, OLD_B)}, {MALLORY.handover(5, NEW).replace(MALLORY.id, OLD_B.id)}", "not signed by the old id"),
              "to-another": (f"{OLD_A.handover(3, OLD_B)}, {OLD_B.handover(5, MALLORY)}", "to a different id from the file's"),
              "generation": (f"{OLD_A.handover(3, OLD_B)}, {OLD_B.handover(5, NEW).replace('= 5', '= 4')}", "for a different generation from the one that was signed")}
    for name, (links, what) in chains.items():
        data = signed(user.text + bootseal_table(NEW, "handover", [ALICE], 6, 3, removed, f"handover = [ {links} ]\n"), NEW)
        bad("handover-" + name, f"The last handover is {what}, so it is not valid.", data, "wrong-vault", "signature", base, pin=OLD_B.id)
    data = signed(user.text + bootseal_table(NEW, "handover", [ALICE], 6, 3, removed, f"handover = [ {OLD_A.handover(3, OLD_B)} ]\n"), NEW)
    bad("handover-link-missing", "The chain of handovers does not reach the file's id.", data, "wrong-vault", "signature", base, pin=OLD_A.id)


def on_curve(encoded):
    try:
        return bool(point(encoded))
    except AssertionError:
        return False


# --- signed by the writer, but malformed as a document ----------------------------------------------------------------------

def bad_document():
    def edit(name, why, old, new, base=M, vault=MINIMAL):
        bad(name, why, signed(changed(text_of(base), old, new), vault), "malformed", "document", base)
    def before(name, why, line):
        bad(name, why, signed(line + text_of(M), MINIMAL), "malformed", "document")
    def after(name, why, lines):
        bad(name, why, signed(text_of(M) + lines, MINIMAL), "malformed", "document")

    bad("only-last-lines", "Nothing but the last two lines.", signed("", MINIMAL), "malformed", "document")
    before("not-toml", "A line that is not TOML.", "= 1\n")
    before("control-character", "A control character in a comment, which TOML forbids.", "# \x01\n")
    before("duplicate-property", "A property is defined twice.", "a = 1\na = 2\n")
    before("user-bootseal-key", "A dotted key in the user's part defines bootseal.", "bootseal.note = 1\n")
    before("user-bootseal-inline", "An inline table in the user's part is named bootseal.", "bootseal = {}\n")
    edit("user-bootseal-table", "The user's part has a table [bootseal.note].", "[bootseal]", "[bootseal.note]\na = 1\n\n[bootseal]")
    edit("user-bootseal-escaped", "The user's part has a table [bootseal.note], with the name written with an escape.", "[bootseal]", '["boot\\u0073eal".note]\na = 1\n\n[bootseal]')
    edit("header-quoted", "The header is [\"bootseal\"], not [bootseal].", "[bootseal]", '["bootseal"]')
    edit("header-blanks", "The header is [ bootseal ], not [bootseal].", "[bootseal]", "[ bootseal ]")
    edit("header-array", "The header is [[bootseal]].", "[bootseal]", "[[bootseal]]")
    edit("header-missing", "The header is missing, so its keys belong to the user's part.", "[bootseal]\n", "")
    edit("header-twice", "The header occurs twice.", "[bootseal]\n", "[bootseal]\n[bootseal]\n")
    after("table-after", "Another table follows, and contains the last two lines.", "[zz]\n")
    after("table-after-complete", "[bootseal] has all its keys, but another table follows, and contains the last two lines once more.",
          f'vault = "{MINIMAL.id}"\nsignature = "{"A" * 86}"\n\n[zz]\n')
    after("subtable-after", "A table [bootseal.x] follows, and contains the last two lines.", "[bootseal.x]\n")
    after("array-after", "An array of tables [[bootseal.x]] follows.", "[[bootseal.x]]\n")
    after("string-not-closed", "The last two lines are in a string that never ends.", "x = '''\n")
    after("vault-twice", "Two vault lines.", f'vault = "{MALLORY.id}"\n')
    after("unknown-key", "A key that [bootseal] does not have.", "note = 1\n")
    after("unknown-dotted-key", "A dotted key that [bootseal] does not have.", "note.x = 1\n")
    for key, old in {"format": "format = 1\n", "generation": "generation = 1\n", "epoch": "epoch = 1\n"}.items():
        edit("missing-" + key, f"No {key}.", old, "")
    text = text_of(M)
    parts = {"access": text[text.index("access ="):text.index("read_key =")], "read_key": text[text.index("read_key ="):text.index("write_key =")],
             "write_key": text[text.index("write_key ="):]}
    for key, part in parts.items():
        edit("missing-" + key.replace("_", "-"), f"No {key}.", part, "")
    for name, why, key, value in (
            ("format-2", "Format 2.", "format", "2"), ("format-0", "Format 0.", "format", "0"), ("format-text", "Format as text.", "format", '"1"'),
            ("format-float", "Format as a float.", "format", "1.0"), ("generation-0", "Generation 0.", "generation", "0"),
            ("generation-negative", "A negative generation.", "generation", "-1"), ("generation-text", "Generation as text.", "generation", '"1"'),
            ("generation-float", "Generation as a float.", "generation", "1.0"),
            ("generation-too-high", "Generation 2^53 + 1.", "generation", str(2**53 + 1)), ("epoch-0", "Epoch 0.", "epoch", "0"),
            ("epoch-too-high", "Epoch 2^53 + 1.", "epoch", str(2**53 + 1)), ("epoch-text", "Epoch as text.", "epoch", '"1"')):
        edit(name, why, f"{key} = 1\n", f"{key} = {value}\n")
    edit("read-key-array", "read_key as an array.", parts["read_key"], "read_key = []\n")

    entry, nobody = f'  {{ name = "alice", role = "writer", recipient = "{RECIPIENT["alice"]}" }},\n', RECIPIENT["bob"]
    def access(name, why, entries):
        edit("access-" + name, why, parts["access"], entries if entries.startswith("access") else f"access = [\n{entries}]\n")
    def second(name="bob", role="reader", recipient=nobody, more=""):
        return entry + f'  {{ name = "{name}", role = "{role}", recipient = "{recipient}"{more} }},\n'
    access("empty", "Nobody has access.", "access = []\n")
    access("table", "access is a table.", 'access = { name = "alice" }\n')
    access("text-entry", "An entry is a string.", f'  "{RECIPIENT["alice"]}",\n')
    access("no-writer", "No writer.", entry.replace('"writer"', '"reader"'))
    access("name-twice", "Two entries with the same name.", second(name="alice"))
    access("recipient-twice", "Two entries with the same recipient.", second(recipient=RECIPIENT["alice"]))
    access("role-unknown", "A role that does not exist.", second(role="admin"))
    access("role-capital", "A role with a capital letter.", second(role="Reader"))
    for short, name in (("empty", ""), ("blank", "bob smith"), ("dash-first", "-bob"), ("umlaut", "böb"), ("65", "b" * 65), ("newline", "bob\\n")):
        access("name-" + short, f"A name that is not allowed: {name if len(name) < 60 else '65 characters'!r}.", second(name=name))
    access("unknown-key", "An entry with an unknown key.", second(more=", note = 1"))
    access("no-recipient", "An entry without a recipient.", entry + '  { name = "bob", role = "reader" },\n')
    access("number-name", "A name that is a number.", entry + f'  {{ name = 1, role = "reader", recipient = "{nobody}" }},\n')
    access("257", "257 entries.", entry + "".join(
        f'  {{ name = "r{i}", role = "reader", recipient = "{age_recipient(fixed(f"reader {i}"))}" }},\n' for i in range(256)))
    for short, value in (("profile", "argon2id-2:" + "A" * 22), ("salt-15", "argon2id-1:" + "A" * 20), ("salt-twin", "argon2id-1:" + "A" * 21 + "B"),
                         ("no-salt", "argon2id-1")):
        access("passphrase-" + short, f"A passphrase entry that is not valid: {value}.", second(more=f', passphrase = "{value}"'))
    gone = '{ name = "bob", at = 2025-11-23T18:00:00Z }'
    after("removed-65", "65 entries in `removed`.", "removed = [" + ", ".join(gone.replace("bob", f"b{i}") for i in range(65)) + "]\n")
    after("removed-unknown-key", "An entry of `removed` with an unknown key.", f"removed = [ {gone.replace(' }', ', x = 1 }')} ]\n")
    after("removed-text-date", "An entry of `removed` whose date is text.", 'removed = [ { name = "bob", at = "2025-11-23" } ]\n')
    after("removed-local-date", "An entry of `removed` whose date has no offset.", f"removed = [ {gone.replace('Z', '')} ]\n")
    chain = [Vault(f"limits {i}") for i in range(65)]
    after("handover-65", "65 handovers.", "handover = [" + ", ".join(
        old.handover(i + 1, new) for i, (old, new) in enumerate(zip(chain, chain[1:] + [MINIMAL]))) + "]\n")
    link = OLD_A.handover(1, MINIMAL)
    after("handover-upper-case", "The id of a handover is in upper case.", f"handover = [ {link.replace(OLD_A.id, OLD_A.id.upper())} ]\n")
    after("handover-padded", "The signature of a handover is padded.", f"handover = [ {link.replace(chr(34) + ' }', '==' + chr(34) + ' }')} ]\n")
    after("handover-unknown-key", "A handover with an unknown key.", f"handover = [ {link.replace(' }', ', x = 1 }')} ]\n")
    after("handover-no-generation", "A handover without a generation.", f"handover = [ {link.replace('generation = 1, ', '')} ]\n")

    before("nested-65", "An array nested 65 deep.", "n = " + "[" * 65 + "]" * 65 + "\n")
    before("nested-65-tables", "Arrays and inline tables nested 65 deep.", "n = " + "[{a=" * 32 + "[1]" + "}]" * 32 + "\n")
    before("path-17", "A path of 17 segments.", ".".join("abcdefghijklmnopq") + " = 1\n")
    before("path-1025", "A path of 1025 bytes.", "k" * 1025 + " = 1\n")
    before("path-1025-in-bytes", "A path of 513 characters, 1026 bytes.", '"' + "ü" * 513 + '" = 1\n')
    value = text.split('"')[1]
    def sealed(name, why, new, template='other = "{}"\n'):
        before("sealed-" + name, why, template.format(new))
    sealed("nothing", "A readable string that is only `sealed:`.", "sealed:")
    sealed("words", "A readable string that begins with `sealed:`.", "sealed: by hand")
    sealed("padded", "A sealed value with base64 padding.", value + "=")
    sealed("plain-base64", "A sealed value with a character of standard base64.", value[:20] + "+" + value[21:])
    sealed("twin", "Unused bits of a sealed value's last character are set.", twin(value))
    sealed("cut", "A sealed value without its last three bytes.", "sealed:" + base64url(unsealed(value)[:-3]))
    sealed("cut-short", "A sealed value that is shorter than a nonce and a tag.", "sealed:" + base64url(unsealed(value)[:39]))
    sealed("no-plaintext", "A sealed value with a nonce and a tag, but no ciphertext.", seal_plaintext(MINIMAL, ["other"], b"", fixed("no plaintext", 24)))
    sealed("63", "A plaintext of 63 bytes.", seal_plaintext(MINIMAL, ["other"], value_plaintext("text", 1, b"x")[:63], fixed("63", 24)))
    own = seal(MINIMAL, ["other"], "text", "x")
    sealed("in-array", "A sealed value in an array.", own, 'other = ["{}"]\n')
    sealed("in-table-in-array", "A sealed value in a table in an array.", own, 'list = [ {{ other = "{}" }} ]\n')
    edit("sealed-in-array-of-tables", "A sealed value in an array of tables.", "[bootseal]", f'[[list]]\nother = "{own}"\n\n[bootseal]')
    sealed("words-in-array", "A string that begins with `sealed:` in an array.", "sealed: by hand", 'other = ["{}"]\n')
    before("secret-string", "A readable string that begins with `secret:`.", 'other = "secret:hunter2"\n')
    before("secret-in-array", "A string that begins with `secret:` in an array.", 'other = ["secret:hunter2"]\n')
    edit("secret-in-login", "A string that begins with `secret:` in a login table.", '"${password}"', '"secret:hunter2"', A, ACME)


# --- signed by the writer, but no identity opens the file, or a value does not open -----------------------------------------

def bad_identity():
    row(A, "A stranger's key.", "no-identity", "identity", pin=ACME.id, identity="stranger.key")
    row("good/passphrase-entry.sealed.toml", "A stranger's key, although there is a passphrase entry.", "no-identity", "identity", pin=PASS.id, identity="stranger.key")
    def block(name, why, identity, expect="malformed", **keys):
        table = bootseal_table(ACME, name, [ALICE, APP], 7, 2, **keys)
        bad(name, why, signed(acme_user(ACME).text + table, ACME), expect, "identity", A, identity=identity)
    def wrap(plaintext, *names):
        return age_block(plaintext, [RECIPIENT[n] for n in names], f"{plaintext.hex()} to {names}")
    for size in (31, 33):
        block(f"read-key-{size}-bytes", f"read_key contains {size} bytes.", "payments-app.key",
              read_key=wrap((ACME.data_key + b"\0")[:size], "alice", "payments-app"))
    for size in (32, 63, 65):
        block(f"write-key-{size}-bytes", f"write_key contains {size} bytes.", "alice.key",
              write_key=wrap((ACME.seed + ACME.data_key + b"\0")[:size], "alice"))
    block("write-key-other-seed", "The seed in write_key does not belong to the vault id.", "alice.key",
          write_key=wrap(MALLORY.seed + ACME.data_key, "alice"))
    row("bad/write-key-other-seed.sealed.toml", "The same file, read by a reader, who never opens write_key.", "ok", base=A, pin=ACME.id,
        identity="payments-app.key", generation=7, epoch=2, vault=ACME.id, values=acme_user(ACME).values)
    block("read-key-no-age", "read_key is not an age file.", "payments-app.key", read_key="nothing\n")
    good_block = wrap(ACME.data_key, "alice", "payments-app")
    block("read-key-cut", "read_key lacks its last line.", "payments-app.key", read_key=good_block[:good_block.rindex("-----END")])
    body = good_block.splitlines()[-2]
    block("read-key-payload", "The payload of read_key was changed.", "payments-app.key",
          read_key=good_block.replace(body, ("B" if body[0] == "A" else "A") + body[1:]))
    block("read-key-not-wrapped", "payments-app is in access, but read_key is not wrapped to it.", "payments-app.key", "no-identity",
          read_key=wrap(ACME.data_key, "alice"))


def bad_values():
    def values(name, why, text, expect="moved-value", base=M, vault=MINIMAL, identity="alice.key"):
        bad(name, why, signed(text, vault), expect, "values", base, identity=identity)
    text, acme = text_of(M), text_of(A)
    value = text.split('"')[1]
    values("moved", "A value moved to another name.", changed(text, "password =", "passwort ="))
    values("moved-from-dotted", "The values of acme.user.name and acme.\"user.name\" have exchanged places.",
           swap(acme, '\n"user.name" = ', "\nuser.name = "), base=A, vault=ACME)
    values("moved-to-table", "A value moved to the same name in a table.", "[t]\n" + text)
    accented = "schl\u00fcssel"
    values("moved-unicode", "The name is in another Unicode normalization form; names are compared by bytes.", changed(acme, accented, "schlu\u0308ssel"), base=A, vault=ACME)
    values("foreign-value", "A value pasted in from another vault, under its own name.",
           changed(text, value, seal(MALLORY, ["password"], "text", "chosen by mallory")))
    values("other-data-key", "A value under another data key of the same vault.",
           changed(text, value, seal(Vault("minimal", data_key=fixed("old data key")), ["password"], "text", "hunter1")))
    raw = bytearray(unsealed(value))
    for name, position in (("nonce", 0), ("nonce-gcm", 23), ("ciphertext", 30), ("tag", len(raw) - 1)):
        flipped = bytes(b ^ (i == position) for i, b in enumerate(raw))
        values("flipped-" + name, f"One bit of a sealed value's {name.replace('-gcm', ', in the half that AES-GCM gets,')} was flipped.", changed(text, value, "sealed:" + base64url(flipped)))
    values("block-dropped", "The last 64 bytes of the longer ciphertext were removed; the tag was kept.", drop_block(acme), base=A, vault=ACME)
    other = bootseal_table(ACME, "read-key-other", [ALICE, APP], 7, 2, read_key=age_block(fixed("another"), [ALICE[2], APP[2]], "another data key"))
    values("read-key-other", "read_key contains a different data key from the one that sealed the values.", acme_user(ACME).text + other, base=A, vault=ACME,
           identity="payments-app.key")

    def plaintext(name, why, data):
        values("plaintext-" + name, why, changed(text, value, seal_plaintext(MINIMAL, ["password"], data, fixed("plaintext " + name, 24))), "malformed")
    def head(kind, length, payload=b"hunter2", size=64):
        return (struct.pack("<BQI", kind, SET_AT, length) + payload).ljust(size, b"\0")
    plaintext("length", "The length is one more than the plaintext can contain.", head(1, 52, b"x" * 51))
    plaintext("length-huge", "The length is 2^32 - 1.", head(1, 2**32 - 1))
    plaintext("padding", "The padding's last byte is not zero.", head(1, 7)[:-1] + b"\1")
    plaintext("padding-first", "The length is one less than the payload's.", head(1, 6))
    plaintext("padding-block", "64 bytes too many of padding.", head(1, 7, size=128))
    plaintext("kind-0", "Kind 0.", head(0, 7))
    plaintext("kind-4", "Kind 4.", head(4, 7))
    plaintext("not-utf8", "A text that is not UTF-8.", head(1, 1, b"\xff"))
    for name, payload in (("empty", b""), ("word", b"hunter2"), ("two", b"1\nb = 2"), ("two-values", b"1, 2"), ("not-utf8", b"\xff")):
        plaintext("toml-" + name, f"Kind 3, and {payload!r} is not exactly one TOML value.", head(3, len(payload), payload))


def unsealed(value):
    text = value.removeprefix("sealed:")
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def swap(text, a, b):
    assert text.count(a) == text.count(b) == 1
    return text.replace(a, "\0").replace(b, a).replace("\0", b)


def line_of(text, key):
    return next(line for line in text.splitlines(True) if line.startswith(key + " ="))


def twin(text):
    """The same bytes in base64 that is not canonical: the lowest unused bit is set."""
    order = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    assert order.index(text[-1]) & 3 == 0
    return text[:-1] + order[order.index(text[-1]) | 1]


def drop_block(text):
    value = line_of(text, "of52").split('"')[1]
    raw = unsealed(value)
    return changed(text, value, "sealed:" + base64url(raw[:24 + 64] + raw[-16:]))



"""Searches the memory of a process for secrets.

  scan.py scan    reads a request as JSON from stdin, for example
                  {"pid": 1, "images": ["memory"], "needles": {"password": ["<hex>", …]}}, and prints the findings as JSON
  scan.py prove   plants secrets in a process that it starts, and scans that process; fails if it does not find exactly what it planted

| image          | is                                                                                                     |
|----------------|--------------------------------------------------------------------------------------------------------|
| "memory"       | every mapping, read through /proc/PID/mem; mappings that cannot be read are listed                       |
| "core"         | `gcore -a`: a core dump of all mappings, and of the registers of all threads (in its notes)              |
| "default core" | `gcore`: a core dump as the kernel would write it                                                        |

A core dump is written to an unnamed file in memory, so that no secret gets onto a disk. A needle may have several values, for example the
old and new values of a renewed token. Each value is searched for raw, in base64 (three alignments, both alphabets), in hex (both cases),
percent-escaped, JSON-escaped, and in UTF-16 (both byte orders). Each place counts once: as "full" if it contains the whole value in one
of these spellings, and as "frag" if it contains at least 16 bytes of the raw value, 16 characters of an escaped or base64 spelling, or 32
bytes of hex or UTF-16.

The script uses only the standard library. It needs the right to trace the process, and gdb's `gcore`. Exit status 2: the search failed.
"""
import base64, ctypes, json, mmap, os, platform, re, shutil, struct, subprocess, sys, tempfile, urllib.parse
from array import array
from contextlib import contextmanager

LEAST = 16
PAGE = mmap.PAGESIZE
BLOCK = 64 * 1024
NOTHING = bytes(BLOCK)
ALLOW = "run as root, or allow tracing (in a container: --cap-add SYS_PTRACE; on a host: kernel.yama.ptrace_scope = 0)"
MEMFD_SECRET = 447  # the number of the system call on every architecture that has it


class CannotLook(Exception):
    pass


# ---- What is searched for


def spellings(value):
    """Yields tuples (name, bytes, the number of consecutive bytes that counts as a fragment)."""
    yield "raw", value, LEAST
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + value)
        # Characters at either end that also contain bits of neighbouring bytes are left out.
        own = encoded[(0, 2, 3)[before] : len(encoded) - (0, 3, 2)[(before + len(value)) % 3]]
        yield "base64", own, LEAST
        yield "base64", own.replace(b"+", b"-").replace(b"/", b"_"), LEAST
    yield "hex", value.hex().encode(), 2 * LEAST
    yield "hex", value.hex().upper().encode(), 2 * LEAST
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return
    yield "percent", urllib.parse.quote(text, safe="").encode(), LEAST
    yield "percent", urllib.parse.quote_plus(text).encode(), LEAST
    yield "json", json.dumps(text)[1:-1].encode(), LEAST
    yield "json", json.dumps(text, ensure_ascii=False)[1:-1].replace("/", "\\/").encode(), LEAST
    yield "utf16", text.encode("utf-16-le"), 2 * LEAST
    yield "utf16", text.encode("utf-16-be"), 2 * LEAST


class Search:
    """Finds the patterns in memory.

    Any 16 consecutive bytes contain a whole aligned word of 8 bytes. So each aligned word of the memory is looked up among all words
    that occur in a pattern, and bytes are compared only around a word that is found there."""

    def __init__(self, needles):
        self.patterns = {}
        for name, values in needles.items():
            for value in values:
                if len(value) < LEAST:
                    raise CannotLook(f"{name} has fewer than {LEAST} bytes")
                for spelling, pattern, least in spellings(value):
                    self.patterns.setdefault((name, pattern), (spelling, least))
        self.names = list(needles)
        self.words = {}
        for key in self.patterns:
            for at in range(len(key[1]) - 7):
                word = int.from_bytes(key[1][at : at + 8], sys.byteorder)
                self.words.setdefault(word, []).append((key, at))
        self.known = frozenset(self.words)
        self.hits = []

    def look(self, memory, address, where):
        """Records the patterns in `memory`, which begins at `address`."""
        runs = {}  # (pattern, the position where it would begin) -> the position up to which it was compared
        for start in range(0, len(memory) - 7, BLOCK):
            block = bytes(memory[start : start + BLOCK])
            if block == NOTHING:
                continue
            block = array("Q", block[: len(block) & ~7])
            if self.known.isdisjoint(block):
                continue
            for index, word in enumerate(block):
                for key, at in self.words.get(word, ()):
                    place = start + 8 * index
                    if runs.get((key, place - at), 0) <= place:
                        runs[key, place - at] = self.compare(memory, place, key, at, address, where)

    def compare(self, memory, place, key, at, address, where):
        name, pattern = key
        spelling, least = self.patterns[key]
        first, last = at, at + 8
        begin = place - at
        while first > 0 and begin + first > 0 and memory[begin + first - 1] == pattern[first - 1]:
            first -= 1
        while last < len(pattern) and begin + last < len(memory) and memory[begin + last] == pattern[last]:
            last += 1
        if last - first >= least:
            span = (address + begin + first, address + begin + last)
            self.hits.append((name, *span, last - first == len(pattern), spelling, where(span[0])))
        return begin + last

    def found(self):
        """The findings for each needle. Overlapping hits are one place: UTF-16 after a zero byte, for example, is also UTF-16 in the
        other byte order."""
        result = {name: {"full": 0, "frag": 0, "hits": []} for name in self.names}
        for name, one in result.items():
            places = []
            for begin, end, whole, spelling, where in sorted(hit[1:] for hit in self.hits if hit[0] == name):
                if places and begin < places[-1]["end"]:
                    last = places[-1]
                    last["end"] = max(last["end"], end)
                    if whole and not last["full"]:
                        last.update(full=True, spelling=spelling)
                else:
                    places.append({"begin": begin, "end": end, "full": whole, "spelling": spelling, "place": where})
            one["full"] = sum(place["full"] for place in places)
            one["frag"] = len(places) - one["full"]
            one["hits"] = [
                {"full": hit["full"], "spelling": hit["spelling"], "bytes": hit["end"] - hit["begin"], "place": hit["place"]}
                for hit in places
            ]
        return result


# ---- Where the needles are searched for


def mappings(pid):
    with open(f"/proc/{pid}/maps") as maps:
        for line in maps:
            low, high, access, inode, path = re.match(r"(\w+)-(\w+) (\S+) \S+ \S+ (\d+)\s*(.*)", line).groups()
            yield int(low, 16), int(high, 16), access, inode != "0", path or "anonymous"


def pages(pid, low, high, of_file):
    """Yields the ranges of pages that may contain data: all pages of a file, but only the pages of anonymous memory that were ever
    written. The others are zeros, and each arena of glibc reserves 64 MiB of them."""
    if of_file:
        yield low, high
        return
    with open(f"/proc/{pid}/pagemap", "rb", buffering=0) as pagemap:
        entries = array("Q", os.pread(pagemap.fileno(), (high - low) // PAGE * 8, low // PAGE * 8))
    start = None
    for page, entry in enumerate(entries):
        there = entry >> 62  # nonzero: in memory, or swapped out
        if there and start is None:
            start = page
        elif not there and start is not None:
            yield low + start * PAGE, low + page * PAGE
            start = None
    if start is not None:
        yield low + start * PAGE, high


def look_at_memory(pid, search):
    total, unreadable = 0, []
    memory = os.open(f"/proc/{pid}/mem", os.O_RDONLY)
    try:
        for low, high, access, of_file, path in mappings(pid):
            missed, label = 0, lambda _address: f"{path} {access}"
            # vsyscall is a page of the kernel, at an address that is too large for a file offset.
            for begin, end in pages(pid, low, high, of_file) if path != "[vsyscall]" else ():
                run, run_at = bytearray(), begin
                while begin < end:
                    try:
                        part = os.pread(memory, min(end - begin, 8 << 20), begin)
                    except OSError:
                        part = b""
                    run += part
                    begin += len(part)
                    if not part:  # this page cannot be read; continue after it
                        search.look(run, run_at, label)
                        total += len(run)
                        missed += PAGE
                        begin += PAGE
                        run, run_at = bytearray(), begin
                search.look(run, run_at, label)
                total += len(run)
            if missed:
                unreadable.append({"place": f"{path} {access}", "bytes": missed})
    finally:
        os.close(memory)
    return {"bytes": total, "unreadable": unreadable}


@contextmanager
def core(pid, *options):
    """A core dump of the process, in memory."""
    held = os.memfd_create("core")
    try:
        with tempfile.TemporaryDirectory() as folder:
            os.symlink(f"/proc/{os.getpid()}/fd/{held}", f"{folder}/core.{pid}")
            command = ["gcore", *options, "-o", f"{folder}/core", str(pid)]
            ran = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if ran.returncode != 0 or os.fstat(held).st_size == 0:
            raise CannotLook(f"gcore wrote no core dump: {(ran.stdout + ran.stderr)[-500:]}\nIf it was not permitted: {ALLOW}")
        with mmap.mmap(held, 0, access=mmap.ACCESS_READ) as image:
            yield image
    finally:
        os.close(held)


def look_at_core(pid, search, *options):
    maps, total = list(mappings(pid)), 0
    def label(address):
        inside = (f"{path} {access}" for low, high, access, _, path in maps if low <= address < high)
        return next(inside, "a mapping that no longer exists")
    with core(pid, *options) as image:
        if image[:5] != b"\x7fELF\x02":
            raise CannotLook("the core dump is not a 64-bit ELF file")
        headers, size, count = struct.unpack_from("=Q", image, 32)[0], *struct.unpack_from("=HH", image, 54)
        for number in range(count):
            kind, _, offset, address, _, length = struct.unpack_from("=IIQQQQ", image, headers + number * size)
            notes = kind == 4  # PT_NOTE: the registers of each thread, and other facts about the process
            search.look(image[offset : offset + length], address, (lambda _: "registers") if notes else label)
            total += length
    return {"bytes": total, "unreadable": []}


def scan(pid, images, needles):
    answers = {}
    for image in images:
        search = Search(needles)
        try:
            if image == "memory":
                answers[image] = look_at_memory(pid, search)
            else:
                answers[image] = look_at_core(pid, search, *(["-a"] if image == "core" else []))
        except PermissionError as error:
            raise CannotLook(f"no permission to read the memory of process {pid} ({error}): {ALLOW}") from None
        except (FileNotFoundError, ProcessLookupError) as error:
            raise CannotLook(f"process {pid} no longer exists ({error})") from None
        answers[image]["found"] = search.found()
    return answers


# ---- Whether the scanner finds everything


def hold():
    """The process in which secrets are planted. It receives them XORed, and decodes each one byte by byte at its final place, so that no
    other copy of it exists."""
    libc = ctypes.CDLL(None, use_errno=True)
    places = []
    for plant in json.loads(sys.stdin.readline()):
        if plant["page"] == "secret":
            descriptor = libc.syscall(MEMFD_SECRET, 0)
            if descriptor < 0:
                continue
            os.ftruncate(descriptor, PAGE)
            page = mmap.mmap(descriptor, PAGE)
        else:
            page = mmap.mmap(-1, PAGE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        for at, byte in enumerate(bytes.fromhex(plant["disguised"]), plant["at"]):
            page[at] = byte ^ 0x5A
        places.append(page)
        if plant["page"] == "no access":
            address = ctypes.addressof(ctypes.c_char.from_buffer(page))
            if libc.mprotect(ctypes.c_void_p(address), ctypes.c_size_t(PAGE), 0) != 0:
                raise OSError(ctypes.get_errno(), "mprotect")
    print("planted", flush=True)
    sys.stdin.read()
    os._exit(0)  # no destructor may touch the protected page


def put_into_a_register(pid, value):
    """Leaves `value` in a register, as glibc's memcpy does. It stays there while the process waits in a system call."""
    register = {"x86_64": "$xmm5.v2_int64", "aarch64": "$v5.d.u"}.get(platform.machine())
    if register is None:
        return False
    low, high = struct.unpack("=QQ", value)
    commands = f"set var {register}[0] = {low}\nset var {register}[1] = {high}\ndetach\nquit\n"
    command = ["gdb", "-nx", "-q", "--readnever", "-p", str(pid)]
    subprocess.run(command, input=commands, capture_output=True, text=True, check=True)
    return True


def prove():
    if shutil.which("gcore") is None:
        raise CannotLook("gcore was not found: install gdb, or run `scripts/test`")
    part = lambda: os.urandom(4).hex()
    # Each secret has characters that must be escaped, and shares no 16 consecutive bytes with another one.
    secrets = {name: f'{part()}"{part()}%{part()}ü/{part()}'.encode() for name in ("planted", "no access", "secret", "absent")}
    secrets["register"] = os.urandom(LEAST)
    value = secrets["planted"]
    whole = sorted({pattern for _, pattern, _ in spellings(value)})
    # Each pattern begins one byte further than the last, so that every alignment occurs.
    plants = [{"page": "plain", "at": 13 + at, "bytes": pattern} for at, pattern in enumerate(whole)]
    fragments = [value[5 : 5 + LEAST], value.hex()[7 : 7 + 2 * LEAST].encode(), value.decode().encode("utf-16-le")[3 : 3 + 2 * LEAST]]
    plants += [{"page": "plain", "at": 3, "bytes": part} for part in fragments]
    plants += [{"page": "plain", "at": 3, "bytes": part[:-1]} for part in fragments]  # one byte too short
    plants += [{"page": page, "at": 99, "bytes": secrets[page]} for page in ("no access", "secret")]
    for plant in plants:
        plant["disguised"] = bytes(byte ^ 0x5A for byte in plant.pop("bytes")).hex()

    holder = subprocess.Popen([sys.executable, __file__, "hold"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        holder.stdin.write(json.dumps(plants) + "\n")
        holder.stdin.flush()
        if holder.stdout.readline() != "planted\n":
            raise CannotLook("the process in which secrets are to be planted did not start")
        registers = put_into_a_register(holder.pid, secrets["register"])
        answers = scan(holder.pid, ["memory", "core", "default core"], {name: [value] for name, value in secrets.items()})
    finally:
        holder.stdin.close()
        holder.wait()

    for image, answer in answers.items():
        found = {name: (one["full"], one["frag"]) for name, one in answer["found"].items()}
        full, frag = found["register"]
        found["register"] = (min(full, 1), frag)  # on x86, two notes contain it: the older one, and the one with the wide registers
        expected = {
            "planted": (len(whole), len(fragments)),
            # Some kernels do not let /proc/PID/mem read such pages; then they must be listed as unreadable.
            "no access": (0 if any("---p" in missed["place"] for missed in answer["unreadable"]) else 1, 0),
            "secret": (0, 0),
            "absent": (0, 0),
            "register": (1 if registers and image != "memory" else 0, 0),
        }
        if found != expected:
            raise CannotLook(f"the scanner is not reliable: in {image}, the counts (full, frag) were {found}; expected: {expected}")
    return {"proved": True, "registers": registers}


def main():
    try:
        if sys.argv[1:] == ["hold"]:
            hold()
        elif sys.argv[1:] == ["prove"]:
            print(json.dumps(prove()))
        elif sys.argv[1:] == ["scan"]:
            asked = json.load(sys.stdin)
            needles = {name: [bytes.fromhex(value) for value in values] for name, values in asked["needles"].items()}
            print(json.dumps(scan(asked["pid"], asked["images"], needles)))
        else:
            sys.exit(__doc__)
    except CannotLook as error:
        print(f"scan.py: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()

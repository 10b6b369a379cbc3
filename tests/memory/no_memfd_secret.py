"""Runs a program under a seccomp filter that refuses memfd_secret, as in many containers: no_memfd_secret.py PROGRAM [ARGUMENT …]"""
import ctypes, os, struct, sys

MEMFD_SECRET, EPERM = 447, 1  # the system call has this number on every architecture that has it
PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, SECCOMP_MODE_FILTER = 22, 38, 2
LOAD_WORD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
RET_ALLOW, RET_ERRNO = 0x7FFF0000, 0x00050000

steps = [
    (LOAD_WORD, 0, 0, 0),  # the number of the system call
    (JUMP_IF_EQUAL, 0, 1, MEMFD_SECRET),
    (RETURN, 0, 0, RET_ERRNO | EPERM),
    (RETURN, 0, 0, RET_ALLOW),
]
code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in steps))
program = ctypes.create_string_buffer(struct.pack("@HP", len(steps), ctypes.addressof(code)))

libc = ctypes.CDLL(None, use_errno=True)
for call in [(PR_SET_NO_NEW_PRIVS, 1, 0), (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.addressof(program))]:
    if libc.prctl(*map(ctypes.c_ulong, (*call, 0, 0))) != 0:
        sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")
os.execv(sys.argv[1], sys.argv[1:])

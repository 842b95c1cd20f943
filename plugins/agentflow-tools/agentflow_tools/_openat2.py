"""The system call openat2, which Python does not offer: opens a path and lets Linux forbid the way out of a folder.

Source: openat2(2), Linux 5.6 and later. Checking a path and opening it afterwards is open to races; here the kernel
that walks the path also checks each step of it.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys

_NUMBER = 437
_MACHINES = frozenset({"aarch64", "armv7l", "i686", "ppc64le", "riscv64", "s390x", "x86_64"})
"""Where the call has the number 437; elsewhere (alpha, mips) the number is another one and this is not used."""

_RESOLVE_NO_MAGICLINKS = 0x02
_RESOLVE_BENEATH = 0x08
_ATTEMPTS = 64
"""How often to try again when the folders of a `..` inside a link are being moved at that moment."""


class _OpenHow(ctypes.Structure):
    """``struct open_how``."""

    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


class Openat2:
    """Opens paths beneath a folder by openat2. Links that stay beneath it are followed, absolute ones never.

    Safe to use from several threads at once; the interpreter lock is not held during the call.
    """

    def __init__(self) -> None:
        self._syscall = ctypes.CDLL(None, use_errno=True).syscall
        self._syscall.restype = ctypes.c_long

    def open(self, root: int, names: tuple[bytes, ...], flags: int) -> int:
        """A descriptor of the file that lies `names` below the folder `root`; the caller closes it.

        Raises :class:`OSError`: `EXDEV` when the way leaves the folder, `ELOOP` for a link of /proc or a circle of
        links, `EAGAIN` when the folders kept being moved, and those of open(2).
        """
        how = _OpenHow(flags | os.O_CLOEXEC, 0, _RESOLVE_BENEATH | _RESOLVE_NO_MAGICLINKS)
        path = b"/".join(names) or b"."
        number = 0
        for _ in range(_ATTEMPTS):
            found = self._syscall(
                ctypes.c_long(_NUMBER),
                ctypes.c_int(root),
                ctypes.c_char_p(path),
                ctypes.byref(how),
                ctypes.c_size_t(ctypes.sizeof(how)),
            )
            if found >= 0:
                return int(found)
            number = ctypes.get_errno()
            if number not in {errno.EAGAIN, errno.EINTR}:
                break
        raise OSError(number, os.strerror(number))


def find_openat2(root: int) -> Openat2 | None:
    """The call, if this system has it and lets this process use it on the folder `root`."""
    if sys.platform != "linux" or os.uname().machine not in _MACHINES:
        return None
    call = Openat2()
    try:
        os.close(call.open(root, (), os.O_PATH | os.O_DIRECTORY))
    except OSError as error:
        # a kernel before 5.6, or a sandbox whose filter does not know the call
        if error.errno in {errno.ENOSYS, errno.EPERM, errno.EINVAL}:
            return None
        raise
    return call

"""Who uses what of a store: every process shares locks on what it has read or written, until it ends."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import sys
from pathlib import Path
from weakref import WeakValueDictionary

if sys.platform != "win32":
    import fcntl

_REFUSED = (errno.EACCES, errno.EAGAIN)


class Locks:
    """One byte of a file for each result, so that thousands of locks need one open file; see `locks_of`.

    Where the system or the file system has no such locks, or nothing can be written, nothing is locked.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = -1
        self._shared: set[int] = set()
        self._process = os.getpid()

    def share(self, name: str) -> None:
        """Use something until this process ends; waits while another process removes it."""
        if self._process != os.getpid():  # a fork has no locks
            self._process, self._shared = os.getpid(), set()
        byte = _byte(name)
        if byte not in self._shared and self._open():
            _lock(self._file, byte, shared=True)
            self._shared.add(byte)

    def alone(self, name: str) -> bool:
        """Lock something against all other processes; false, and no lock, if one of them uses it."""
        return not self._open() or _lock(self._file, _byte(name), shared=False)

    def release(self, name: str) -> None:
        """End `alone`; what this process shared before, it shares again."""
        byte = _byte(name)
        if self._open():
            _lock(self._file, byte, shared=True)
            if byte not in self._shared:
                _unlock(self._file, byte)

    def _open(self) -> bool:
        """Open the file, as soon as its folder is there."""
        if self._file < 0:
            with contextlib.suppress(OSError):
                self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
        return self._file >= 0

    def __del__(self) -> None:
        if self._file >= 0:
            os.close(self._file)


_OPEN: WeakValueDictionary[Path, Locks] = WeakValueDictionary()


def locks_of(root: Path) -> Locks:
    """The locks of a store, one object in a process: to close a file ends all locks that the process has on it."""
    path = root.resolve() / "lock"
    return _OPEN.setdefault(path, Locks(path))


def _byte(name: str) -> int:
    return int(hashlib.sha256(name.encode()).hexdigest()[:15], 16)


def _lock(file: int, byte: int, *, shared: bool) -> bool:
    """Wait for a shared lock, or try to get one alone; false if another process has it."""
    if sys.platform != "win32":
        try:
            fcntl.lockf(file, fcntl.LOCK_SH if shared else fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)
        except OSError as error:  # any other one says that this file system has no locks
            return error.errno not in _REFUSED
    return True


def _unlock(file: int, byte: int) -> None:
    if sys.platform != "win32":
        with contextlib.suppress(OSError):
            fcntl.lockf(file, fcntl.LOCK_UN, 1, byte)

"""Claims on epochs, so that two searches with one store do not train an epoch twice.

    claims/<kk>/<key>    owner, host and process of a trial whose newest epoch is this one: JSON

A claim is advice, not a lock. It ends when its process ends, or LIFETIME seconds after it was last
renewed; it is renewed until its epoch is trained or has failed. A claim from the future has ended,
too. On filesystems that cannot create a file exclusively, two trials may claim an epoch in the same
instant, and both train it. The clocks of hosts must agree within LIFETIME / 2. A trial that waits
holds no claim, so waiting always ends.
"""

import json
import os
import socket
import threading
import weakref
from datetime import UTC, datetime
from pathlib import Path

from growsearch.epochs.store import CLAIMS, EpochStore, entry_path

_LONGEST, _PROCESSES = 10_000, 2**31
LIFETIME = 60.0
"""A claim ends this many seconds after its last renewal."""


class Claim:
    """A trial's claim on one epoch at a time. `release` or deleting this object ends it."""

    def __init__(self, store: EpochStore) -> None:
        self._file = _ClaimFile(store)
        weakref.finalize(self, self._file.end)

    def move(self, key: str) -> bool:
        """Claims the epoch of `key` instead of the last one; returns False if another trial has it.

        If the store cannot be written, it returns True without a claim.
        """
        return self._file.move(key)

    def rest(self) -> None:
        """Stops renewing the claim, as the epoch is trained.

        It still holds for LIFETIME, so that the next epoch can begin.
        """
        self._file.renewing = False

    def release(self) -> None:
        """Removes the claim."""
        self._file.move(None)


def holder(store: EpochStore, key: str | None, before: str | None = None) -> str | None:
    """The process of another owner that trains the epoch of `key`, like "process 12 on host".

    A process that claims the epoch `before` it counts too, because it may be about to begin this
    one. None if there is no such process.
    """
    if key is None or store.is_away:
        return None
    return _claimant(store, key) or holder(store, before)


def _claimant(store: EpochStore, key: str) -> str | None:
    path = entry_path(CLAIMS, key)
    try:
        entry = store.files.get_file_info(path)
        if entry.mtime is None:  # there is no claim
            return None
        store.check_path(path)
        with store.files.open_input_file(path) as file:
            owner, host, process = json.loads(file.read(_LONGEST))
            if type(process) is not int or not 0 < process < _PROCESSES:
                raise ValueError(f"{process!r:.50} is no process")
    except OSError:  # the claim has just been removed
        return None
    except (ValueError, TypeError, RecursionError):  # the claim is being written
        owner, host, process = "", "another host", 0
    if owner == store.owner:
        return None
    age = (datetime.now(UTC) - entry.mtime).total_seconds()
    if abs(age) > LIFETIME or (host == socket.gethostname() and _is_gone(process)):
        store.remove(path)
        return None
    return f"process {process} on {host}"


def _is_gone(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except OSError:  # the process is another user's
        return False
    return False


class _ClaimFile:
    """The file of a claim, and the thread that renews it."""

    def __init__(self, store: EpochStore) -> None:
        self.store = store
        self.key: str | None = None
        self.renewing = False
        self.lock = threading.Lock()
        self.ended = threading.Event()
        self.thread: threading.Thread | None = None

    def move(self, key: str | None) -> bool:
        with self.lock:
            passed = self.key
            if key == passed:
                return True
            if key is not None and not self._place(key, new=True):
                if holder(self.store, key):
                    return False
                self._place(key)  # the other claim has ended, or has the same owner
            self.key, self.renewing = key, key is not None
            if passed is not None:
                self.store.remove(entry_path(CLAIMS, passed))
        if self.thread is None and key is not None:
            self.thread = threading.Thread(target=self._renew, daemon=True)
            self.thread.start()
        return True

    def end(self) -> None:
        self.ended.set()
        self.move(None)

    def _renew(self) -> None:
        while not self.ended.wait(LIFETIME / 4):
            with self.lock:
                if self.renewing and self.key is not None:
                    self._place(self.key)

    def _place(self, key: str, new: bool = False) -> bool:
        """Writes the claim; returns False if it must be `new` and there is one."""
        path = entry_path(CLAIMS, key)
        if self.store.is_away:
            return True
        claim = json.dumps([self.store.owner, socket.gethostname(), os.getpid()])
        try:
            self.store.files.create_dir(path.rpartition("/")[0], recursive=True)
            if self.store.is_local:
                self.store.check_path(path)
                with Path(self.store.place, path).open("x" if new else "w") as file:
                    file.write(claim)
            else:
                with self.store.files.open_output_stream(path) as stream:
                    stream.write(claim.encode())
        except FileExistsError:
            return False
        except OSError:  # without a claim, on a full disk say, two trials may train the epoch
            self.store.remove(path)
        return True

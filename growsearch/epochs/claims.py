"""Which epochs are being trained, so that two searches over one store do not train one twice.

    claims/<kk>/<key>    the owner, host and process of a trial whose latest epoch is this one: JSON

A claim is advice, never a lock: it lapses when its process is gone, or LIFETIME seconds after the
epoch or the last sign of life, and where files cannot be created exclusively two that are made in
the same instant cost one epoch trained twice. Hosts' clocks have to agree to within half of
LIFETIME. Nobody waits while holding a claim, so that waiting always ends.
"""

import json
import os
import socket
import threading
import weakref
from datetime import UTC, datetime
from pathlib import Path

from growsearch.epochs.store import EpochStore, entry_path

CLAIMS = "claims"
LIFETIME = 60.0
"""Seconds without renewal after which a claim counts for nothing."""


class Claim:
    """What one trial claims: an epoch at a time, until it is released or this object is gone."""

    def __init__(self, store: EpochStore) -> None:
        self._sign = _Sign(store)
        weakref.finalize(self, self._sign.end)

    def move(self, key: str) -> bool:
        """Claim the epoch of `key`, which begins, instead of the last; False if another was first.

        A store that cannot be written holds no claims, and nobody is first there.
        """
        return self._sign.move(key)

    def rest(self) -> None:
        """The epoch is over: its claim, which covers the way to the next, is renewed no more."""
        self._sign.renewing = False

    def release(self) -> None:
        self._sign.move(None)


def holder(store: EpochStore, key: str | None, before: str | None = None) -> str | None:
    """Who else trains the epoch of `key`, like "process 12 on host"; None if nobody does.

    Who has trained the one `before` it counts too, as it may not have begun the next yet.
    """
    if key is None:
        return None
    return _holder(store, key) or holder(store, before)


def _holder(store: EpochStore, key: str) -> str | None:
    path = entry_path(CLAIMS, key)
    try:
        entry = store.files.get_file_info(path)
        if entry.mtime is None:  # there is none
            return None
        with store.files.open_input_file(path) as file:
            owner, host, process = json.loads(file.read())
    except OSError:  # it has just been removed
        return None
    except ValueError:  # it is just being written
        owner, host, process = "", "another host", 0
    if owner == store.owner:
        return None
    age = (datetime.now(UTC) - entry.mtime).total_seconds()
    if age > LIFETIME or (host == socket.gethostname() and _is_gone(process)):
        store.remove(path)
        return None
    return f"process {process} on {host}"


def _is_gone(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except OSError:  # another user's
        return False
    return False


class _Sign:
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
                self._place(key)  # of the same owner, which has left it
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
        """Write the claim; False if it was to be `new` and there is one."""
        path = entry_path(CLAIMS, key)
        claim = json.dumps([self.store.owner, socket.gethostname(), os.getpid()])
        try:
            self.store.files.create_dir(path.rpartition("/")[0], recursive=True)
            if self.store.is_local:
                with Path(self.store.place, path).open("x" if new else "w") as file:
                    file.write(claim)
            else:
                with self.store.files.open_output_stream(path) as stream:
                    stream.write(claim.encode())
        except FileExistsError:
            return False
        except OSError:  # a full disk, say: an epoch may be trained twice
            self.store.remove(path)
        return True

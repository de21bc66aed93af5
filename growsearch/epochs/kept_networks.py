"""The networks of a trial that stay beside its results: those of its best and of its last epoch.

    networks/<trial>/<key>.safetensors    weights after the epoch of that key

They are there whether or not the trial has an epoch store, and whatever the store drops.
"""

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from torch import nn

from growsearch.epochs.store import EpochStore
from growsearch.machine.files import check_file_name, replacing
from growsearch.machine.mirror import Mirror
from growsearch.machine.saved import SUFFIX, load_tensors, save_tensors, saved_file, saved_files
from growsearch.trial.errors import InputError, one_line
from growsearch.trial.history import History

_LOG = logging.getLogger("growsearch")


class KeptNetworks:
    """The networks of one trial, in `folder`; folders beside it are of the study's other trials.

    After each epoch that the trial trains, its folder has the weights of the last epoch, of the
    best one so far by `quality` (the first of equals), and of the best one before each
    decision: another trial may decide otherwise there, and have the same best epoch. Weights of
    an epoch that another trial has trained are copied from that trial or the store, if one has
    them. A `mirror` of the folder has the same files. A file that cannot be written never stops
    the trial: a warning is logged once.
    """

    def __init__(
        self, folder: Path, facts: Mapping[str, Any], store: EpochStore | None = None,
        mirror: Mirror | None = None,
    ) -> None:  # fmt: skip
        self.folder, self.facts, self.store, self.mirror = folder, facts, store, mirror
        self._missing: set[str] = set()
        """Keys that were looked for in vain."""
        self._warned = False
        if mirror is not None:
            self._kept(mirror.bring)

    def trained(self, history: History, network: nn.Module) -> None:
        """Keeps `network`, which has just been trained in the last epoch of `history`."""
        last = history[-1]
        self._write(last.key, last.architecture, network.state_dict())
        self.complete(history)

    def retrained(self, history: History, epoch: int, network: nn.Module) -> None:
        """Keeps `network`, trained again in `epoch`, if it is the best or last one of `history`."""
        record = history[epoch - 1]
        if epoch in (_best(history) + 1, len(history)) and not self._path(record.key).exists():
            self._write(record.key, record.architecture, network.state_dict())
            self._follow()

    def complete(self, history: History) -> None:
        """Copies the weights of the best and the last epoch, if others have them.

        Removes what is not wanted any more, and what a killed process has left unfinished.
        """
        for i in (_best(history), len(history) - 1):
            key, architecture = history[i].key, history[i].architecture
            if key in self._missing or self._path(key).exists():
                continue
            found = kept_weights(self.folder.parent, key)
            weights = found["network"] if found else None
            if weights is None and self.store is not None:
                state = self.store.state(key)
                weights = state["network"] if state else None
            if weights is None:
                self._missing.add(key)
            else:
                self._write(key, architecture, weights)
        wanted = {self._path(history[i].key).name for i in _wanted(history)}
        for path in saved_files(self.folder, after="*"):
            if path.name not in wanted:
                with suppress(OSError):  # on a read-only disk it stays
                    path.unlink()
        self._follow()

    def _follow(self) -> None:
        if (mirror := self.mirror) is not None:
            names = [path.name for path in saved_files(self.folder)]
            self._kept(lambda: mirror.update(names))
            self._kept(lambda: mirror.remove(mirror.copied - set(names)))

    def _path(self, key: str) -> Path:
        return saved_file(self.folder / f"{key}{SUFFIX}")

    def _write(self, key: str, architecture: str, weights: dict[str, Any]) -> None:
        contents = {
            "architecture": architecture,
            "network": weights,
            "facts": dict(self.facts),
        }

        def write() -> None:
            self.folder.mkdir(parents=True, exist_ok=True)
            with replacing(self.folder / f"{key}{SUFFIX}") as unfinished:
                save_tensors(contents, unfinished)

        self._kept(write)

    def _kept(self, write: Callable[[], object]) -> None:
        """Calls `write`. If it fails, a warning says so once."""
        try:
            write()
        except (OSError, InputError) as error:
            if not self._warned:
                _LOG.warning("a network cannot be kept in %s (%s)", self.folder, one_line(error))
            self._warned = True


def kept_weights(networks: Path, key: str, trial: str = "*") -> dict[str, Any] | None:
    """What a file of that key holds: "architecture", "network" and "facts"; None without one.

    `networks` is the folder of the study. A file that cannot be read counts as none, and a warning
    is logged. Raises InputError for a key or a trial whose name leads out of the folder.
    """
    check_file_name(key, "key")
    if trial != "*":
        check_file_name(trial, "trial")
    for path in saved_files(networks, f"{trial}/{key}"):
        if networks.is_symlink() or path.parent.is_symlink():
            _LOG.warning("%s is a link, or in one, which is not followed", path.parent)
            continue
        try:
            contents = load_tensors(path)
            return {name: contents[name] for name in ("architecture", "network", "facts")}
        except Exception as error:  # of many types
            _LOG.warning("%s cannot be read (%s)", path, one_line(error)[:200])
    return None


def _best(history: History) -> int:
    """The index of the best epoch; `summarize` has the same one."""
    return max(range(len(history)), key=lambda i: history[i].quality)


def _wanted(history: History) -> set[int]:
    """Indices of the last and the best epoch, and of the best one before each decision."""
    wanted, best = {len(history) - 1}, 0
    for i, record in enumerate(history):
        if record.quality > history[best].quality:
            best = i
        if record.decision is not None:
            wanted.add(best)
    return wanted | {best}

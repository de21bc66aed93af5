"""Where the weights of a recorded epoch are found: in the study, or in its epoch store."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from growsearch.epochs.kept_networks import kept_weights
from growsearch.epochs.store import EpochStore, existing
from growsearch.machine.files import is_address
from growsearch.machine.saved import SUFFIX, saved_file
from growsearch.study.folder import NETWORKS_FOLDER, STATE_FILE, STATES_FOLDER, STORE_FOLDER
from growsearch.training.state import read_state
from growsearch.trial.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor


class SavedNetwork(NamedTuple):
    """The weights after an epoch."""

    weights: "dict[str, Tensor]"
    facts: dict[str, Any] | None
    """What Task.facts said of the data, if it was saved too."""


def saved_network(
    folder: Path, info: dict[str, Any], trial: str, epoch: int, key: str, architecture: str
) -> SavedNetwork | None:
    """The weights after the epoch of `key`, or None if no file has them.

    `info` is the study's, `epoch` the number of the epoch in its trial, and `architecture` the one
    that it trained. A state that was saved just after a growth has another architecture, and is
    not the epoch's.
    """
    for contents in _candidates(folder, info, trial, epoch, key):
        if contents.get("architecture") == architecture and "network" in contents:
            facts = contents.get("facts")
            if not isinstance(facts, dict | None):
                continue
            return SavedNetwork(contents["network"], facts)
    return None


def _candidates(
    folder: Path, info: dict[str, Any], trial: str, epoch: int, key: str
) -> Iterator[dict[str, Any]]:
    if not key:  # records of an old growsearch have no keys
        return
    for whose in (trial, "*"):
        if kept := kept_weights(folder / NETWORKS_FOLDER, key, whose):
            yield kept
    for path in (folder / STATES_FOLDER / f"{epoch:05d}{SUFFIX}", folder / STATE_FILE):
        path = saved_file(path)
        if path.is_file() and not path.parent.is_symlink():
            _, history, contents = read_state(path)
            if history and history[-1].key == key:
                yield contents
    store = _store(folder, info)
    if store is not None and (state := store.state(key)):
        yield state


def _store(folder: Path, info: dict[str, Any]) -> EpochStore | None:
    """The epoch store of the study, if it is still there.

    A server that a study names is not asked: the study may be a stranger's, and has its networks.
    Nor is anything removed from a store that it names.
    """
    place = info.get("settings", {}).get("store") or info.get("options", {}).get("store")
    place = str(place or folder / STORE_FOLDER)
    if is_address(place):
        return None
    try:
        return existing(place, mends=False)
    except InputError:
        return None

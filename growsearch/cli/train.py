"""One trial on this machine, shown and written to a study while it trains."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from growsearch.cli.documents import Trained
from growsearch.epochs.store import EpochStore, in_bytes
from growsearch.machine.files import check_links
from growsearch.machine.processes import Ranks, joined
from growsearch.machine.saved import OLD_SUFFIX, SUFFIX, saved_file
from growsearch.searches.resumed import fits
from growsearch.searches.trust import Trust, acts_of, check_trust, remember
from growsearch.stopping.cost import own_numbers
from growsearch.study.console import PlainConsole
from growsearch.study.folder import (
    NETWORKS_FOLDER,
    STATE_FILE,
    STATES_FOLDER,
    STUDY_FILE,
    TRIALS_FOLDER,
    check_folder,
    damaged,
    make_folder,
    read_info,
    write_info,
)
from growsearch.study.plugins import describe, keep_plugins, load_kept
from growsearch.study.results import read_histories, write_trial
from growsearch.study.terminal import EpochDisplay, show_notes, trial_summary
from growsearch.trainer import Trainer
from growsearch.training.state import read_state
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError
from growsearch.trial.history import History
from growsearch.trial.plugins import Plugin
from growsearch.trial.status import Status

INTERRUPTED = "interrupted"
"""In a document of --json, the status of a trial that a signal ended before its end."""
_OPTIONS = {"store": str, "keep_states": str, "state_megabytes": float, "save_every": int}
"""What a study of one trial remembers besides its configuration."""


def begin(
    config: TrialConfig, out: str | Path, options: dict[str, Any], plugins: Sequence[Plugin] = ()
) -> str | None:
    """Train the trial of `config` into the new study `out`; returns why it failed, if it did.

    `options` are "store", "keep_states" and "state_megabytes", as the command line has them, and
    "save_every", after how many epochs states are kept for good; each may be missing. Raises
    InputError for what cannot be, before there is a study.
    """
    check_folder(out)
    every = _every(options)
    with joined() as processes:
        stored = _stored(options)
        config.task.check()
        trainer = Trainer(config, **stored)
        if not processes.first:
            return _follow(trainer, processes)
        if stored:
            options = options | {"store": stored["store"].place}
        info: dict[str, Any] = {
            "command": "train", "searched": [], "trials": 1, "options": options,
            "plugins": describe(plugins), "own_metrics": own_numbers([config]),
        }  # fmt: skip
        folder = make_folder(out)
        keep_plugins(folder, plugins)
        if every:
            (folder / STATES_FOLDER).mkdir()
        remember(acts_of(folder, info, options, draws=False))
        write_info(folder, info)
        return _train(trainer, folder, config.digest, every)


def resume(folder: str | Path, trust: Trust = False) -> str | None:
    """Continue the trial that `begin` left in `folder`, to the records of an undisturbed one.

    `trust` allows what check_trust asks for. Raises InputError if a file is missing or damaged.
    """
    folder = Path(folder)
    info = read_info(folder)
    options = info.get("options", {})
    _check_types(folder / STUDY_FILE, options)
    every = _every(options)
    check_links(folder)
    check_trust(folder, acts_of(folder, info, options, draws=False), trust)
    load_kept(folder, info)
    names = [path.stem for path in (folder / TRIALS_FOLDER).glob("*.parquet")]
    state = saved_file(folder / STATE_FILE)
    if not names or not state.exists():
        raise InputError(f"{str(folder)!r} has no epoch yet to go on from; start the trial again")
    with joined() as processes:
        config, history, contents = read_state(state)
        _check_same(state, history, read_histories(folder)[names[0]])
        trainer = Trainer(config, saved=(history, contents), **_stored(options))
        if not processes.first:
            return _follow(trainer, processes)
        return _train(trainer, folder, names[0], every)


def document(folder: str | Path, reason: str | None) -> Trained:
    """What --json prints of the trial in `folder`, which failed for a reason, or did not."""
    trials = read_histories(folder)
    name, history = next(iter(trials.items()), (None, History()))
    return Trained(
        study=str(folder), trial=name, reason=reason,
        status=str(history[-1].status) if history else "failed",
        records=[record.to_dict() for record in history],
    )  # fmt: skip


def interrupted_document(folder: str | Path, ours: bool) -> Trained:
    """What --json prints of a trial that a signal ended: its epochs until then.

    `ours` says whether `folder` is this trial's; it may not be a study yet.
    """
    try:
        found = document(folder, None) if ours else None
    except InputError:  # it was interrupted before its first epoch
        found = None
    if found is None or not found.records:
        return Trained(study=str(folder), trial=None, status=INTERRUPTED, reason=None, records=[])
    return found if Status(found.status).ended else replace(found, status=INTERRUPTED)


def _check_same(state: Path, saved: History, table: History) -> None:
    """InputError if the saved state is not of the trial in the table, which may be ahead of it."""
    keys = [record.key for record in saved]
    if not keys or keys != [record.key for record in table][: len(keys)]:
        said = "is of no epoch" if not keys else "has other epochs than its table"
        raise InputError(f"{str(state)!r} {said}; restore it from a copy, or start the trial again")


def _check_types(path: Path, options: Mapping[str, Any]) -> None:
    for name, value in options.items():
        if name not in _OPTIONS or not fits(value, _OPTIONS[name]):
            raise damaged(path, f"its option {name:.100}", value)


def _every(options: Mapping[str, Any]) -> int | None:
    """After how many epochs a state is kept for good; None if none is."""
    every: int | None = options.get("save_every")
    if every is not None and every < 1:
        raise InputError(f"save_every={every} is no number of epochs; give 1 or more")
    return every


def _stored(options: dict[str, Any]) -> dict[str, Any]:
    """The trainer's options that say where epochs are remembered."""
    if options.get("store", "none") == "none":
        for name in ("keep_states", "state_megabytes"):
            if options.get(name) is not None:
                raise InputError(
                    f"{name}={options[name]} is for the epochs of a store; give --store, or leave "
                    f"{name} out"
                )
        return {}
    store = EpochStore(options["store"], state_bytes=in_bytes(options.get("state_megabytes")))
    return {"store": store, "keep_states": options.get("keep_states", "forks")}


def _follow(trainer: Trainer, processes: Ranks) -> str | None:
    """As one of several processes, of which the first writes and shows."""
    for _ in trainer:
        pass
    return trainer.reason and f"{trainer.reason} (process {processes.rank})"


def _train(trainer: Trainer, folder: Path, name: str, every: int | None) -> str | None:
    console = PlainConsole()
    trainer.keep_networks(folder / NETWORKS_FOLDER / name)
    show_notes(console, trainer.config.notes)
    try:
        with EpochDisplay(console, trainer.config.epochs) as display:
            for record in trainer:
                write_trial(folder, name, trainer.config, trainer.history)
                if not trainer.recalled or trainer.finished:
                    trainer.save(folder / STATE_FILE)
                    (folder / STATE_FILE).with_suffix(OLD_SUFFIX).unlink(missing_ok=True)
                if every and (record.epoch % every == 0 or trainer.finished):
                    trainer.save(folder / STATES_FOLDER / f"{record.epoch:05d}{SUFFIX}")
                display.show(record, trainer.decision)
    finally:
        if trainer.history:
            lines = [trial_summary(trainer.history), f"results        {folder}"]
            if not trainer.finished:
                lines.append(f"to go on       growsearch resume {folder}")
            console.print("\n" + "\n".join(lines), highlight=False, soft_wrap=True)
    if trainer.reason is not None:
        write_trial(folder, name, trainer.config, trainer.history, trainer.reason)
    return trainer.reason

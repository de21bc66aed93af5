"""A trial of a search as a Ray actor, which the search's driver assigns and hears of."""

import logging
import os
import tempfile
import threading
from pathlib import Path
from typing import Any

from growsearch.epochs.store import reached
from growsearch.machine.file_systems import place_to_write
from growsearch.machine.mirror import Mirror
from growsearch.searches.messages import ELSEWHERE, ActorOptions, Assignment, AwaitedEpoch, Report
from growsearch.study.folder import STUDY_FILE, STUDY_ID, study_id
from growsearch.trainer import Trainer
from growsearch.trial.errors import InputError
from growsearch.trial.history import EpochRecord
from growsearch.tuning.growing_trial import GrowingTrial
from growsearch.tuning.shared_data import Datasets

_LOG = logging.getLogger("growsearch")


class AssignedTrial(GrowingTrial):
    """Tune's configuration is an Assignment as a dict, and each result a Report as a dict.

    Actors are reused for other trials. A trial that starts again continues from the epoch store,
    not from a checkpoint of Tune's. Data sets that are not in `datasets` are loaded here.
    """

    away: tempfile.TemporaryDirectory[str] | None = None
    """Has the networks on a node that does not see the study's folder."""

    def setup(  # type: ignore[override]  # its parameters are other ones
        self, config: dict[str, Any], datasets: Datasets | None = None
    ) -> None:
        assignment = Assignment.from_dict(config)
        trial, given = assignment.trial, assignment.options
        self._prepare_process()
        trial = self._placed(trial)
        if trial.precision == "auto" and given.auto_precision:
            trial = trial.replaced(precision=given.auto_precision)
        self.known, self.timeout = assignment.known, given.epoch_timeout
        options: dict[str, Any] = {"dataset": (datasets or {}).get(trial.task.load_key())}
        if access := given.store:
            store = reached(access.place, access.owner, access.state_bytes)
            if store is not None:
                options |= {"store": store, "keep_states": access.keep_states}
            options["parts"] = assignment.parts
        self.trainer = Trainer(trial, name=assignment.name, **options)
        if given.networks is not None:
            self._keep_networks(Path(given.networks, assignment.name), given)
        if assignment.first not in (None, self.trainer.next_key):
            raise InputError(ELSEWHERE)

    def _keep_networks(self, folder: Path, given: ActorOptions) -> None:
        study = folder.parent.parent
        is_here = (study / STUDY_FILE).exists() and study_id(study).get(STUDY_ID) == given.study
        if given.copy is None or is_here:
            self.trainer.keep_networks(folder)
            return
        try:
            files = place_to_write(given.copy, "copy")
        except InputError as error:  # its server may be away, which never stops a trial
            _LOG.warning("the networks of trial %s are not kept: %s", folder.name, error)
            return
        name = str(folder.relative_to(study))
        self.away = tempfile.TemporaryDirectory(prefix="growsearch-")
        here = Path(self.away.name, name)
        self.trainer.keep_networks(here, Mirror(here, files, name))

    def cleanup(self) -> None:
        super().cleanup()
        if self.away is not None:
            self.away.cleanup()

    def step(self) -> dict[str, Any]:
        return self._report().to_dict()

    def _report(self) -> Report:
        remembered: list[EpochRecord] = []
        while True:
            if awaited := self.trainer.awaited:
                before, steps = len(self.trainer.history), self.trainer.steps
                epoch = AwaitedEpoch(awaited[0], before, steps)
                return Report(awaits=epoch, remembered=tuple(remembered))
            with _Watchdog(self.timeout):
                trained = self._next_record()
            # memory that runs out after a growth ends the trial with the epoch before
            record = trained or self.trainer.history[-1]
            if self.trainer.finished or not self.trainer.recalled:
                reason = self.trainer.reason
                return Report(record=record, remembered=tuple(remembered), reason=reason)
            if record.epoch > self.known:
                remembered.append(record)

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
        return {}  # for Tune's own schedulers that pause

    def load_checkpoint(self, checkpoint: Any) -> None:
        pass


class _Watchdog:
    """Ends this process if what it guards takes longer than `seconds`."""

    def __init__(self, seconds: float | None) -> None:
        self.timer = threading.Timer(seconds, os._exit, (1,)) if seconds else None

    def __enter__(self) -> None:
        if self.timer:
            self.timer.daemon = True
            self.timer.start()

    def __exit__(self, *raised: object) -> None:
        if self.timer:
            self.timer.cancel()

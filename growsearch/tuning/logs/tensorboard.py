"""TensorBoard."""

import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from growsearch.searches.kinds import Log, LogWriter
from growsearch.trial.components import register
from growsearch.tuning.log_writer import CallbackWriter, logged

if TYPE_CHECKING:
    from growsearch.searches.ledger import SearchTrial
    from growsearch.tuning.ray_private import LoggedTrial


@register("log", "tensorboard")
@dataclass(frozen=True, kw_only=True)
class TensorBoard(Log):
    """Event files in a folder for each trial, below the study's folder "tensorboard"."""

    package = "tensorboardX"

    def writer(self, folder: Path, owner: str) -> LogWriter:
        return _Events(folder, owner)


class _Events(CallbackWriter):
    def __init__(self, folder: Path, owner: str) -> None:
        from ray.tune.logger import TBXLoggerCallback

        super().__init__(folder / "tensorboard", owner)
        self.callback = TBXLoggerCallback()

    def run(self, trial: "SearchTrial") -> "LoggedTrial":
        return logged(trial, trial.name, self.folder / trial.name)

    def forget(self, run: "LoggedTrial") -> None:
        shutil.rmtree(run.local_path, ignore_errors=True)

    def start(self, run: "LoggedTrial") -> None:
        # a file is named by its second, and opened anew it would be emptied
        while any(Path(run.local_path).glob(f"*.tfevents.{int(time.time())}.*")):
            time.sleep(0.1)
        super().start(run)

    def rest(self, run: "LoggedTrial") -> bool:
        self.end(run, failed=False)  # each that is open is a thread
        return True

    def close(self, unfinished: list["LoggedTrial"]) -> None:
        for run in unfinished:
            self.end(run, failed=False)

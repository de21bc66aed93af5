"""A file of events in the folder of an experiment of Tune, which survives with the experiment."""

import json
from typing import Any, TextIO

from ray.tune.experiment import Trial

from growsearch.tuning.ray_private import StoredFile


class ExperimentLog:
    """Events, one JSON line each. The first line has the writer's `name`.

    Tune copies the file to the experiment's storage with each snapshot of its own state, so both
    are of about the same moment. `earlier` are the events that the storage has of this writer, as
    it has after `Tuner.restore`; they are in the new file as well. Another writer's are dropped.
    """

    def __init__(self, trial: Trial, file_name: str, name: str) -> None:
        stored = StoredFile(trial, file_name)
        lines: list[dict[str, Any]] = []
        for text in stored.read().splitlines():
            try:
                lines.append(json.loads(text))
            except json.JSONDecodeError:  # it was copied while this line was written
                break
        header = {"writer": name}
        self.earlier = lines[1:] if lines[:1] == [header] else []
        self._file: TextIO = stored.replace()
        for line in (header, *self.earlier):
            self._write(line)
        self._file.flush()

    def write(self, event: str, **values: Any) -> None:
        """Add an event, of plain values."""
        self._write({"event": event, **values})
        self._file.flush()

    def _write(self, line: dict[str, Any]) -> None:
        self._file.write(json.dumps(line) + "\n")

"""A file of events in the folder of an experiment of Tune, which survives with the experiment."""

import json
from typing import Any

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
        self._path = stored.local
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text("".join(map(_line, [header, *self.earlier])), encoding="utf-8")

    def write(self, event: str, **values: Any) -> None:
        """Add an event, of plain values."""
        # Tune does not tell schedulers when to close a file
        with self._path.open("a", encoding="utf-8") as file:
            file.write(_line({"event": event, **values}))


def _line(values: dict[str, Any]) -> str:
    return json.dumps(values) + "\n"

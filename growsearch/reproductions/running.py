"""Running a definition: the plan, the training, and from a study the table and the figure."""

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from growsearch.reproductions.comparison import ReproductionResult, compare
from growsearch.reproductions.definition import Reproduction, Scale
from growsearch.searches.plan import Plan, plan_search
from growsearch.study.folder import STUDY_FILE
from growsearch.study.results import read_study
from growsearch.trial.errors import InputError
from growsearch.trial.history import EpochRecord

_LOG = logging.getLogger("growsearch")
STORE = "epochs"
"""The store that all definitions share, in the folder of their results."""


@dataclass(frozen=True)
class Places:
    """Where a definition's files are at one scale; `root` is the folder that all share."""

    root: Path
    name: str
    definition: Reproduction
    scale_name: str

    @property
    def results(self) -> Path:
        """The folder of the table and the figure."""
        return self.root / f"{self.name}-{self.scale_name}"

    @property
    def _study(self) -> str:
        return f"{self.definition.study or self.name}-{self.scale_name}"

    @property
    def trained(self) -> Path:
        """The folder of the study that `train` makes; definitions with the same trials share it."""
        return self.root / "studies" / self._study

    @property
    def recorded(self) -> Path:
        """The folder of the study that ships with growsearch, if there is one."""
        return _recorded_studies() / self._study

    def study(self, given: str | None = None) -> Path:
        """The study to read: the one given, the one trained here, or the recorded one.

        Raises InputError, with the command that trains it, if there is none.
        """
        if given is not None:
            return Path(given)
        for place in (self.trained, self.recorded):
            if (place / STUDY_FILE).is_file():
                return place
        raise InputError(
            f"no study of {self.name} at scale {self.scale_name} is recorded; train it: growsearch "
            f"reproduce {self.name} --scale {self.scale_name} --train"
        )


def _recorded_studies() -> Path:
    package = Path(__file__).parent.parent
    packaged = package / "reproduced"
    # of the wheel, or of the clone
    return packaged if packaged.is_dir() else package.parent / "analysis/studies/reproduced"


def plan(scale: Scale) -> Plan:
    """The trials and epochs of a scale, before any is trained."""
    return plan_search([config for *_, config in scale.trials()])


def first_epochs(scale: Scale) -> Iterator[tuple[str, str, EpochRecord]]:
    """Group, row and first epoch of the first trial of each group, over images that are made."""
    from growsearch.reproductions.one_epoch import one_epoch

    begun = set()
    for group, row, _, config in scale.trials():
        if group not in begun:
            begun.add(group)
            yield group, row, one_epoch(config)


def train(places: Places, **options: Any) -> None:
    """Train what is missing of the study, as `growsearch search` does; it may be interrupted.

    `options` are those of `growsearch.search`: settings, like max_concurrent, and data_dir. By
    default all definitions in `places.root` share one epoch store.
    """
    from growsearch.tuning.search import search
    from growsearch.tuning.study import Study

    if (places.trained / STUDY_FILE).is_file():
        if (data_dir := options.pop("data_dir", None)) is not None:
            _LOG.warning(
                "data_dir=%s is not used: study %s goes on with the folder that it began with; "
                "choose another --out to train from other files", data_dir, places.trained,
            )  # fmt: skip
        Study(places.trained).resume(**options)
        return
    definition = _owner(places.definition)
    places.trained.parent.mkdir(parents=True, exist_ok=True)
    search(
        definition.scale(places.scale_name).spaces(),
        out=places.trained,
        **{"store": str(places.root / STORE), "from_scratch": definition.from_scratch, **options},
    )


def _owner(definition: Reproduction) -> Reproduction:
    """The definition whose study has the trials."""
    from growsearch.reproductions.catalogue import definition as named

    return definition if definition.study is None else named(definition.study)


def reproduce(places: Places, study: str | None = None) -> ReproductionResult:
    """Compare the study with the paper; writes table.md, result.json and figure.png.

    Raises InputError if there is no study, or none of its trials belongs to the definition.
    """
    from growsearch.reproductions.figures import draw

    epochs = read_study(places.study(study))
    comparison = compare(places.name, places.definition, places.scale_name, epochs)
    places.results.mkdir(parents=True, exist_ok=True)
    (places.results / "table.md").write_text(comparison.to_markdown(), encoding="utf-8")
    text = json.dumps(comparison.to_dict(), indent=2) + "\n"
    (places.results / "result.json").write_text(text, encoding="utf-8")
    draw(comparison, epochs).savefig(places.results / "figure.png", dpi=120)
    return comparison

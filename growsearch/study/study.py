"""A study on disk: its tables, its best trial, its networks."""

import logging
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from growsearch import __version__
from growsearch.stopping.cost import Metric
from growsearch.study.best import (
    Choice,
    choose,
    cost_column,
    first_cost,
    noted_metric,
    study_cost,
    study_metric,
)
from growsearch.study.choices import BEST, EPOCHS, FORMATS
from growsearch.study.folder import read_info
from growsearch.study.pareto import is_pareto_optimal
from growsearch.study.plugins import config_in, plugin_files
from growsearch.study.results import read_study
from growsearch.study.retraining import (
    arithmetic,
    given_options,
    recorded_options,
    train_command,
)
from growsearch.study.summary import summarize
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError
from growsearch.trial.options import Value, suggestion
from growsearch.trial.trial_options import flat

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure
    from torch import nn

    from growsearch.study.network_spec import NetworkSpec
    from growsearch.study.programs import Inputs


_LOG = logging.getLogger("growsearch")


@dataclass(frozen=True)
class Best(Choice):
    """The best configuration of a study; `trials` are its seeds, and the first is the best."""

    study: "StoredStudy" = field(repr=False, compare=False)
    options: dict[str, Value]
    """The first trial's options that are not defaults, or all if a plugin is not loaded."""
    command: str
    """Trains the first trial again."""

    @property
    def trial(self) -> str:
        return self.trials[0]

    @property
    def config(self) -> TrialConfig:
        """The first trial's configuration; InputError if a plugin that it needs is not loaded."""
        return self.study.config(self.trial)

    def to_dict(self) -> dict[str, Any]:
        """In JSON's types."""
        row = self.study._row(self.trial)
        values = {name: flat(value) for name, value in recorded_options(row.to_dict()).items()}
        found = {n: v for n, v in vars(self).items() if n not in ("study", "options")}
        return {"trial": self.trial, **found, "meets": not self.misses, "config": values}


class StoredStudy:
    """The study in `folder`, which a search or `growsearch train --out` wrote.

    Tables are read when they are first used; a new Study sees what a running search has added.
    No code of the study is run: load the plugins that its trials need with
    `growsearch.load_plugins`. Raises InputError if `folder` is not a study.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.info = read_info(folder)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.folder)!r})"

    @cached_property
    def epochs(self) -> "pd.DataFrame":
        """Every epoch of every trial: `read_study`."""
        return read_study(self.folder)

    @cached_property
    def trials(self) -> "pd.DataFrame":
        """A row a trial: `summarize`."""
        return summarize(self.epochs)

    @property
    def metric(self) -> str:
        """The metric of its search, or the one that its trials have: accuracy, else loss."""
        return self._own_metric.name

    @cached_property
    def _own_metric(self) -> Metric:
        """The metric of its search; a warning, once, if another stands for it."""
        metric, notes = noted_metric(self.info, self.trials)
        for note in notes:
            _LOG.warning(note)
        return metric

    def _metric(self, name: str | None = None) -> Metric:
        return self._own_metric if name is None else study_metric(self.info, self.trials, name)

    @property
    def cost(self) -> str:
        """The first cost that its search compares; "ppe" if it names none."""
        return first_cost(self.info)

    def front(self, cost: str | None = None, metric: str | None = None) -> "pd.DataFrame":
        """The rows of `trials` that no completed trial dominates, cheapest first.

        `cost` and `metric` are names of components (`growsearch list cost`), or the metric a number
        of the task's own, like "val_perplexity"; without, they are the study's. Raises InputError
        if the study does not have them.
        """
        price, quality = cost_column(self.trials, cost or self.cost), self._metric(metric)
        optimal = is_pareto_optimal(self.trials, price, quality.column, quality.minimized)
        return self.trials[optimal].sort_values([price, "trial_id"])

    def best(
        self, *, max_ppe: float | None = None, min_accuracy: float | None = None,
        cost: str | None = None, max_cost: float | None = None, metric: str | None = None,
    ) -> Best:  # fmt: skip
        """The best configuration, as `choose` says: under a PPE, and under a cost of any name.

        `cost` and `metric` are the study's if they are not given. Without `misses` it meets the
        constraints; else none does, and it is the nearest.
        """
        cost = cost or self.cost
        at_most = {"ppe": max_ppe}
        if max_cost is not None:
            if cost == "ppe" and max_ppe is not None:
                raise InputError(
                    f"max_ppe={max_ppe:g} and max_cost={max_cost:g} both limit ppe; leave one out"
                )
            at_most[cost] = max_cost
        found = choose(self.trials, cost, self._metric(metric), at_most, min_accuracy)
        trial = found.trials[0]
        return Best(
            **vars(found), study=self, options=self._options(trial), command=self.command(trial)
        )

    def config(self, trial: str = BEST) -> TrialConfig:
        """The configuration of a trial.

        Raises InputError if a plugin that it needs is not loaded.
        """
        return config_in(self.folder, self.info, self._row(trial))

    @property
    def plugins(self) -> list[str]:
        """Paths of the study's copies of its plugins."""
        return plugin_files(self.folder, self.info)

    def command(self, trial: str = BEST) -> str:
        """`growsearch train` that trains the trial again, in the arithmetic that it had."""
        return train_command(self._options(trial, same_arithmetic=True), self.plugins)

    def _options(self, trial: str, same_arithmetic: bool = False) -> dict[str, Value]:
        """The fewest options that make the trial, or all if a plugin is not loaded.

        With `same_arithmetic`, precision and compile are what "auto" stood for.
        """
        row = self._row(trial)
        changes = arithmetic(row.to_dict()) if same_arithmetic else {}
        try:
            config = self.config(trial)
        except InputError:
            if not self.plugins:
                raise
            return recorded_options(row.to_dict()) | changes
        return given_options(config.replaced(**changes))

    def network(self, trial: str = BEST, epoch: str = "last") -> "nn.Module":
        """The network of a trial after its last or its best epoch, on the CPU, to evaluate.

        For image classification it takes normalized images, float32 [batch, channels, height,
        width], and gives logits [batch, classes]. Raises InputError if its weights are not there
        any more.
        """
        return self._built(trial, epoch)[0]

    def export(
        self, out: str | Path, trial: str = BEST, epoch: str = "last", format: str = FORMATS[0]
    ) -> Path:
        """Writes the network of a trial to the new file `out`, in one of FORMATS.

        A program is loaded and compared with the network before the file gets its name. Raises
        InputError if it cannot be written, or the weights are not there any more.
        """
        from growsearch.study import model_file

        if format not in FORMATS:
            raise InputError(f"unknown format {format!r}{suggestion(format, FORMATS)}")
        path = Path(out)
        if path.exists() or not path.parent.is_dir():
            problem = "exists" if path.exists() else "is in a folder that does not exist"
            raise InputError(f"{str(path)!r} {problem}; choose another --out")
        network, spec, about = self._built(trial, epoch)
        if format == FORMATS[0]:
            model_file.write_model(path, network, spec, about)
            return path
        from growsearch.study import programs

        text = model_file.metadata_text(network, spec, about)
        write = programs.write_onnx if format == "onnx" else programs.write_torch_export
        write(path, network, self._inputs(spec, trial), text)
        return path

    def _inputs(self, spec: "NetworkSpec", trial: str) -> "Inputs":
        """Gives inputs of the network for a number of examples."""
        import torch

        if "image_shape" in spec.facts:
            draw = torch.Generator().manual_seed(0)
            return lambda n: torch.randn(n, *spec.facts["image_shape"], generator=draw)
        task = self.config(trial).task
        batch = next(iter(task.batches("val", 0, 0)))
        if not (isinstance(batch, tuple | list) and isinstance(batch[0], torch.Tensor)):
            raise InputError(
                f"a program takes one tensor, but the batches of task {task.name!r} do not begin "
                "with one; choose format 'safetensors'"
            )
        return lambda n: batch[0][torch.arange(n) % len(batch[0])]

    def _built(self, trial: str, epoch: str) -> "tuple[nn.Module, NetworkSpec, dict[str, Any]]":
        """The network, what it is made of, and what else is known of it."""
        from growsearch.study.network_spec import NetworkSpec, rebuilt
        from growsearch.study.saved_networks import saved_network

        record, config = self._epoch(trial, epoch), self.config(trial)
        name, number = record["trial_id"], int(record["epoch"])
        architecture = record["architecture"]
        saved = saved_network(
            self.folder, self.info, name, number, _plain(record["key"]) or "", architecture
        )
        if saved is None:
            raise InputError(
                f"the weights of trial {name} after epoch {number} are not in {str(self.folder)!r} "
                f"or its store any more; train it again and export that: {self.command(name)} "
                "--out NEW"
            )
        facts = config.task.facts() if saved.facts is None else saved.facts
        spec = NetworkSpec.of(config, architecture, facts)
        # the folder of the data is a matter of this machine
        options = {n: v for n, v in config.to_flat().items() if v is not None and n != "data_dir"}
        about = {
            "growsearch": __version__,
            "task": config.task.name,
            "dataset": config.dataset.name if config.dataset is not None else None,
            "class_names": facts.get("class_names"),
            "padded": config.values().get("image_size") is not None,
            "trial": name,
            "config": options,
            **{n: _plain(record[n]) for n in _RECORDED},
        }
        return rebuilt(spec, saved.weights), spec, about

    def _row(self, trial: str) -> "pd.Series":
        """The row of `trials` of that name, or of the best one."""
        trials, names = self.trials, list(self.trials["trial_id"])
        if trial == BEST:
            trial = names[0] if len(names) == 1 else choose(trials, metric=self._metric()).trials[0]
        if trial not in names:
            shown = suggestion(trial, names) if len(names) <= 20 else "; its report lists them"
            raise InputError(f"the study has no trial {trial!r}{shown}")
        return trials.iloc[names.index(trial)]

    def _epoch(self, trial: str, epoch: str) -> "pd.Series":
        if epoch not in EPOCHS:
            raise InputError(f"unknown epoch {epoch!r}{suggestion(epoch, EPOCHS)}")
        row = self._row(trial)
        number = row["epochs"] if epoch == "last" else row["best_epoch"]
        epochs = self.epochs
        found = epochs[(epochs["trial_id"] == row["trial_id"]) & (epochs["epoch"] == number)]
        return found.iloc[0]

    def figure(self, metric: str | None = None) -> "Figure":
        """A metric, by default the study's, against its search's first cost: `front_figure`."""
        from growsearch.study.figures import front_figure

        chosen, cost = self._metric(metric), study_cost(self.info, self.trials)
        return front_figure(self.trials, cost.column, chosen.column, minimized=chosen.minimized)

    def report(self, metric: str | None = None) -> Path:
        """Writes the report into the study, and returns the path of its page."""
        from growsearch.study.report import write_report

        return write_report(self.folder, metric).page


_RECORDED = (
    "epoch", "phase", "parameters", "ppe", "precision", "val_loss", "val_accuracy",
    "test_accuracy",
)  # fmt: skip


def _plain(value: Any) -> Any:
    """A cell of a table in JSON's types; pandas makes NaN of None."""
    value = value.item() if hasattr(value, "item") else value
    return value if value == value else None

"""Searches, fronts and reports by a number that a task measures of its own."""

import json
from dataclasses import dataclass
from typing import ClassVar

import pytest
from conftest import record, run
from rich.console import Console

from growsearch import InputError, Study, Task, Trainer, TrialConfig, register
from growsearch.searches.ledger import Ledger
from growsearch.searches.messages import Report
from growsearch.stopping.cost import named_metric, search_metric
from growsearch.stopping.judge import ParetoStopping
from growsearch.study.folder import create_study
from growsearch.study.results import write_trial
from growsearch.trial.history import History
from growsearch.trial.status import Status
from growsearch.tuning.progress import SearchProgress
from growsearch.tuning.search_space import usual_front

PLUGIN = """
from dataclasses import dataclass
import torch
from torch import nn
from growsearch import Task, generator, register

class Model(nn.Module):
    def __init__(self, depth):
        super().__init__()
        self.blocks = nn.ModuleList(nn.Linear(4, 4) for _ in range(depth))
    def forward(self, x):
        for block in self.blocks:
            x = x + torch.relu(block(x))
        return x

@register("task", "measured")
@dataclass(frozen=True, kw_only=True)
class Measured(Task):
    '''Predict the signs.'''
    stacks = ("blocks",)
    own_metrics = {"signs": "higher", "distance": "lower"}
    proposals = {"policy": "none", "lr": 0.1}
    def build(self, architecture):
        return Model(architecture.blocks[0])
    def batches(self, split, seed, epoch):
        draw = generator(seed, epoch, split) if split == "train" else generator(0, 0, split)
        for _ in range(3):
            x = torch.randn(16, 4, generator=draw)
            yield x, x.sign()
    def loss(self, model, batch):
        return nn.functional.mse_loss(model(batch[0]), batch[1])
    def evaluate(self, model, split):
        pairs = list(self.batches(split, 0, 0))
        losses = [self.loss(model, pair).item() for pair in pairs]
        right = [(model(x).sign() == y).float().mean().item() for x, y in pairs]
        return {"loss": sum(losses) / 3, "signs": 100 * sum(right) / 3, "distance": max(losses)}
"""


@pytest.fixture
def measured(own_registry):
    exec(PLUGIN, {"__name__": "measured_task"})
    return TrialConfig(task="measured", epochs=2, compile="off", device="cpu")


def test_a_search_takes_a_number_that_the_task_says_it_has(measured):
    for name in ("val_signs", "metric/val_signs"):
        metric = search_metric(name, [measured])
        assert (metric.name, metric.minimized, metric.value(3.0)) == ("metric/val_signs", False, 3)
    distance = search_metric("val_distance", [measured])
    assert distance.minimized and distance.value(3.0) == -3
    last = list(Trainer(measured))[-1]
    assert distance.of(last) == last.metrics["val_distance"]
    assert last.to_result()["metric/val_distance"] == last.metrics["val_distance"]


def test_a_search_that_is_told_nothing_compares_by_what_its_task_usually_has(own_registry):
    front = 'usual_cost, usual_metric = "flops", "val_signs"\n    proposals'
    exec(PLUGIN.replace("proposals", front, 1), {"__name__": "measured_task"})
    ours, images = {"task": "measured"}, {"task": "image-classification"}
    assert usual_front([ours]) == {"costs": ("flops",), "metric": "val_signs"}
    # of tasks that differ, what all have
    assert usual_front([ours, images]) == {"costs": ("ppe",), "metric": "val_loss"}
    assert usual_front([images, {}]) == {"costs": ("ppe",), "metric": "val_accuracy"}


@pytest.mark.parametrize("name", ["val_sign", "signs", "test_signs", "metric/val_loss"])
def test_a_metric_that_there_is_not_is_one_line_that_lists_what_there_is(measured, name):
    with pytest.raises(InputError, match="unknown metric") as error:
        search_metric(name, [measured])
    assert "val_signs" in str(error.value) or "metric/val_distance" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_task_that_does_not_have_the_metric_is_told(measured):
    with pytest.raises(InputError, match="is of another task than 'image-classification'"):
        search_metric("val_signs", [measured, TrialConfig()])
    with pytest.raises(InputError, match="has none; choose metric val_loss"):
        search_metric("val_accuracy", [measured])


def test_mistakes_in_own_metrics_are_told(own_registry):
    @dataclass(frozen=True, kw_only=True)
    class Better(Task):
        """Says what there is not."""

        stacks = ("blocks",)
        own_metrics: ClassVar = {"signs": "more"}

        def build(self, architecture): ...

        def batches(self, split, seed, epoch): ...

    with pytest.raises(InputError, match="say 'lower' or 'higher'"):
        register("task", "better")(Better)


def test_an_evaluation_without_the_number_is_told(own_registry):
    exec(PLUGIN.replace('"distance": max', '"farthest": max'), {"__name__": "measured_task"})
    with pytest.raises(InputError, match="returned no 'distance', but the task has it in own_"):
        next(Trainer(TrialConfig(task="measured", epochs=2, compile="off", device="cpu")))


@pytest.mark.parametrize(("better", "stops"), [("lower", True), ("higher", False)])
def test_safe_stopping_and_racing_compare_by_the_number_in_its_direction(better, stops):
    """The new trial has 50 where those of the same cost ended with 1: bad if lower is better."""
    metric = named_metric("val_distance", {"val_distance": better})
    judge = ParetoStopping(metric=metric, alpha=0.5, audit=0, racing=2)
    config = TrialConfig(policy="none", epochs=4, architecture="2-2-2")

    def history(value):
        return History(
            record(n, metrics={"val_distance": value}, status="completed" if n == 4 else "running")
            for n in range(1, 5)
        )

    for k in range(8):
        assert not judge.ended(f"done{k}", config, history(1.0 + k / 100))
    new = History(history(50.0)[:3])
    new = new.revised(reused=True)  # so it is not raced
    verdict = judge.verdict("new", config, new)
    assert (verdict is not None and verdict.status is Status.STOPPED) == stops
    if stops:
        assert "bound/metric/val_distance" in verdict.stop
    else:
        judge.rest("new")
        assert judge.next_to_resume(["new"]) == "new"


@pytest.fixture
def study(tmp_path):
    """Without its plugin: the deeper trial has more signs right, and a larger distance."""
    numbers = {"val_signs": "higher", "val_distance": "lower"}
    folder = create_study(
        tmp_path / "study", searched=["lr"], own_metrics=numbers,
        settings={"metric": "metric/val_signs"},
    )  # fmt: skip
    for name, ppe, signs, distance in (("one", 1e5, 60.0, 1.5), ("two", 2e5, 80.0, 2.5)):
        metrics = {"val_signs": signs, "val_distance": distance}
        last = record(1, ppe=ppe, val_accuracy=None, metrics=metrics, status="completed")
        write_trial(folder, name, TrialConfig(lr=signs), [last])
    return folder


def test_a_stored_study_knows_which_of_its_numbers_are_better_higher(study):
    found = Study(study)
    assert found.metric == "metric/val_signs"
    assert list(found.front()["trial_id"]) == ["one", "two"]
    assert list(found.front(metric="val_distance")["trial_id"]) == ["one"]
    assert found.best().trial == "two"
    assert found.best(metric="val_distance").trial == "one"
    assert found.best().mean["metric/val_signs"] == 80.0


def test_the_commands_take_the_number_and_list_what_there_is(study, capsys):
    code, out, _ = run(capsys, "best", study, "--metric", "val_distance", "--json")
    assert code == 0 and json.loads(out)["trial"] == "one"
    code, out, _ = run(capsys, "report", study, "--metric", "val_distance")
    assert code == 0 and "val distance" in out and "1.5000" in out and "2.5000" not in out
    assert '"minimized":true' in (study / "report.html").read_text()
    code, out, _ = run(capsys, "report", study)
    assert code == 0 and "60.0000" in out and "80.0000" in out
    for command in ("best", "report"):
        code, _, err = run(capsys, command, study, "--metric", "recall")
        assert code == 2 and err.count("\n") == 1
        assert "val_loss, metric/val_distance, metric/val_signs" in err


@pytest.mark.parametrize(
    ("name", "shown"),
    [("val_accuracy", "61.00"), ("val_loss", "0.2500"), ("metric/val_f1", "0.7500")],
)
def test_the_table_of_a_running_search_shows_its_metric(tmp_path, name, shown):
    ledger = Ledger(create_study(tmp_path / "study", searched=["lr"]))
    trial = ledger.add(TrialConfig(lr=0.3))
    ledger.start(trial.name)
    last = record(1, val_accuracy=61.0, val_loss=0.25, metrics={"val_f1": 0.75})
    ledger.enter(trial.name, Report(record=last))
    metric = named_metric(name, {"val_f1": "higher"})
    console = Console(width=120)
    with console.capture() as seen:
        console.print(SearchProgress(ledger, ["lr"], metric=metric)._render())
    assert shown in seen.get()
    title = "val. acc." if name == "val_accuracy" else metric.title
    assert title in seen.get()


@pytest.mark.long
@pytest.mark.parametrize(
    "options", [["--sampler", "tpe"], ["--scheduler", "asha", "--epochs", "6"]]
)
def test_a_search_by_the_number_ends_with_its_front(tmp_path, capsys, ray, own_registry, options):
    (tmp_path / "measured.py").write_text(PLUGIN)
    (tmp_path / "space.py").write_text(
        "from ray import tune\nparam_space = {'task': 'measured', 'lr': tune.uniform(0.01, 0.5),\n"
        "    'epochs': 3, 'precision': 'float32', 'compile': 'off'}\n"
    )
    code, out, err = run(
        capsys, "search", tmp_path / "space.py", "--plugin", tmp_path / "measured.py", "--trials",
        3, "--metric", "val_signs", "--out", tmp_path / "study", *options,
    )  # fmt: skip
    assert code == 0, err
    assert "val signs" in out
    study = Study(tmp_path / "study")
    done = study.trials[study.trials["status"] == "completed"]
    assert study.best().mean["metric/val_signs"] == done["metric/val_signs"].max()
    assert study.metric == "metric/val_signs"

from pathlib import Path

import pytest
from conftest import ROOT, first_quick, run

from growsearch.checks.outcome import CheckStatus
from growsearch.checks.run import check_task
from growsearch.checks.target import find_target
from growsearch.trial.components import components, forgetting
from growsearch.trial.errors import InputError

TASK = '''
import random
import time
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from growsearch import Task, generator, option

KEPT = {}


class Block(nn.Module):
    def __init__(self, index, depth, width):
        super().__init__()
        self.index, self.depth = index, depth
        self.layer, self.norm = nn.Linear(width, width), nn.BatchNorm1d(width)
        self.dropout = nn.Dropout(0.1)

    def forward(self, x):
        return x + self.dropout(torch.relu(self.norm(self.layer(x))))


class Net(nn.Module):
    def __init__(self, depth, width):
        super().__init__()
        self.first = nn.Linear(3, width)
        self.blocks = nn.ModuleList(Block(i, depth, width) for i in range(depth))
        self.last = nn.Linear(width, 4)

    def forward(self, x):
        x = self.first(x)
        for block in self.blocks:
            x = block(x)
        return self.last(x)


@dataclass(frozen=True, kw_only=True)
class Mine(Task):
    """How many of three numbers are above zero."""

    stacks = ("blocks",)
    proposals = {"lr": 0.05}
    units: int = option(8, "units of a layer", least=1)

    def build(self, architecture):
        return Net(architecture.blocks[0], self.units)

    def batches(self, split, seed, epoch):
        draw = generator(seed, epoch, split) if split == "train" else generator(0, 0, split)
        for i in range(3):
            x = torch.randn(16, 3, generator=draw)
            y = (x > 0).sum(dim=1)
            yield x, y
'''
"""A task in which all checks hold; it does not register itself."""
DRAW = "x = torch.randn(16, 3, generator=draw)\n"
END = "            yield x, y\n"


def loss(body: str) -> list[tuple[str, str]]:
    return [(END, f"{END}\n    def loss(self, model, batch):\n        {body}\n")]


def evaluate(body: str) -> list[tuple[str, str]]:
    return [(END, f"{END}\n    def evaluate(self, model, split):\n        {body}\n")]


def optimizer(body: str) -> list[tuple[str, str]]:
    return [(END, f"{END}\n    def optimizer(self, model):\n        {body}\n")]


CROSS_ENTROPY = "F.cross_entropy(model(batch[0]), batch[1])"

QUICK = {
    "a model that reads the number of epochs": (
        [("        self.last =",
          "        self.dropout = nn.Dropout(1 / epochs)\n        self.last ="),
         ("def __init__(self, depth, width):\n        super().__init__()\n        self.first",
          "def __init__(self, depth, width, epochs):\n        super().__init__()\n"
          "        self.first"),
         ("self.units)", "self.units, self.trial.epochs)")],
        "decisions", "build depends on the trial's epochs, and trials that differ", "def build",
    ),
    "a curriculum over all epochs": (
        [(DRAW, f"{DRAW}            if split == 'train':\n"
          "                x *= epoch / self.trial.epochs\n")],
        "decisions", "batches depends on the trial's epochs", "def batches",
    ),
    "a loss that reads the policy": (
        loss(f"return {CROSS_ENTROPY} * (1 + self.trial.policy.grows)"),
        "decisions", "loss depends on the trial's policy", "def loss",
    ),
    "an evaluation that reads the policy": (
        evaluate("return {'loss': 1.0 + self.trial.policy.grows}"),
        "decisions", "evaluate depends on the trial's policy", "def evaluate",
    ),
    "modules that are used again": (
        [("(Block(i, depth, width) for", "(KEPT.setdefault(i, Block(i, depth, width)) for")],
        "builds", "module 'blocks.0' of architecture 2 is one object in two builds", "def build",
    ),
    "a tensor that is used again": (
        [("        self.last =", "        self.first.bias = KEPT.setdefault(0, self.first.bias)\n"
          "        self.last =")],
        "builds", "'first.bias' of architecture 2 has the memory of an earlier", "def build",
    ),
    "a build that ignores the depth": (
        [("Net(architecture.blocks[0],", "Net(2,")],
        "builds", "made 2 blocks in 'blocks' for architecture '3'", "def build",
    ),
    "a seed in build": (
        [("        return Net", "        torch.manual_seed(0)\n        return Net")],
        "builds", "two seeds build the same weights", "def build",
    ),
    "a random tensor that is not saved": (
        [("        self.last =", "        self.shift = torch.randn(3)\n        self.last =")],
        "builds", "tensor 'shift' is drawn at random and is not in the state dict", "def build",
    ),
    "an error in build": (
        [("        return Net", "        assert architecture.blocks[0] < 3  # here\n"
          "        return Net")],
        "builds", "AssertionError", "# here",
    ),
    "a stack that is no list": (
        [('("blocks",)', '("first",)')], "builds", "stack 'first' of task 'mine' is a Linear",
        "def build",
    ),
    "blocks without parameters of their own": (
        [("        self.last =", "        for block in self.blocks:\n"
          "            block.layer, block.norm = self.blocks[0].layer, self.blocks[0].norm\n"
          "        self.last =")],
        "builds", "each block must have its own", "def build",
    ),
    "batches from the global generator": (
        [(DRAW, "x = torch.randn(16, 3)\n")],
        "batches", "batches('train', seed=0, epoch=1) depends on the global random state: batch 0 "
        "in batch[0]", "def batches",
    ),
    "batches of the time": (
        [(DRAW, f"{DRAW}            x[-1, -1] = random.Random(time.time_ns()).random()\n")],
        "batches", "differs between two calls: batch 0 in batch[0]", "def batches",
    ),
    "batches that count calls": (
        [(DRAW, f"{DRAW}            KEPT[0] = KEPT.get(0, 0) + 1\n            x += KEPT[0]\n")],
        "batches", "differs between two calls: batch 0 in batch[0]", "def batches",
    ),
    "validation batches of the seed": (
        [("generator(0, 0, split)", "generator(seed, 0, split)")],
        "batches", "batches('val', ...) depends on seed or epoch", "def batches",
    ),
    "epochs of other lengths": (
        [("range(3)", "range(3 + epoch if split == 'train' else 3)")], "steps",
        "epochs 1, 2, 3 have 4, 5, 6 training batches", "def batches",
    ),
    "other steps than batches": (
        [(END, f"{END}\n    def steps(self):\n        return 4\n")], "steps",
        "steps() is 4, but an epoch has 3 training batches", "def steps",
    ),
    "NaN in data": (
        [(END, f"            x[3, 1] = x[3, 1].log() if i else x[3, 1] / 0 * 0\n{END}")],
        "values", "batch 0 of 'train' has NaN in batch[0], first in row 3", "def batches",
    ),
    "labels out of range": (
        [(END, END.replace("x, y", "x, y + 1"))], "values",
        "batch 0 of 'train' has labels from 1 to 4, but the logits have 4 classes", "def batches",
    ),
    "tensors of other lengths": (
        [(END, END.replace("x, y", "x, y[:5]"))], "values",
        "other first dimensions (batch[0] [16, 3], batch[1] [5])", "def batches",
    ),
    "a loss that is no scalar": (
        loss("return F.cross_entropy(model(batch[0]), batch[1], reduction='none')"),
        "loss", "loss of task 'mine' has shape (16,)", "def loss",
    ),
    "a loss without gradient": (
        loss(f"return {CROSS_ENTROPY}.detach()"), "loss", "has no gradient", "def loss",
    ),
    "an error in the loss": (
        loss("return model(batch['x'])"), "loss", "TypeError", "batch['x']",
    ),
    "evaluation in training mode": (
        evaluate("model.train()\n        return {'loss': 1.0}"),
        "evaluation", "evaluate leaves module 'the model' in another training mode on 'val'",
        "def evaluate",
    ),
    "evaluation that changes buffers": (
        evaluate("model.train()(torch.ones(2, 3))\n        model.eval()\n"
                 "        return {'loss': 1.0}"),
        "evaluation", "evaluate changes tensor 'blocks.0.norm.running_mean' on 'val'",
        "def evaluate",
    ),
    "evaluation that counts": (
        evaluate("KEPT[0] = KEPT.get(0, 0) + 1\n        return {'loss': KEPT[0]}"),
        "evaluation", "evaluate gives loss 1.0 on 'val', and 2.0 once more", "def evaluate",
    ),
    "evaluation without a loss": (
        evaluate("return {'perplexity': 3.0}"),
        "evaluation", "evaluate of task 'mine' returned {'perplexity': 3.0}", "def evaluate",
    ),
    "a missing parameter group": (
        optimizer("return torch.optim.SGD([{'params': model.blocks.parameters()}], lr=0.1)"),
        "optimizer", "parameter 'first.weight' in no group", "def optimizer",
    ),
    "a parameter in two groups": (
        optimizer("groups = [{'params': model.parameters()}, {'params': [model.last.bias]}]\n"
                  "        return torch.optim.SGD(groups, lr=0.1)"),
        "optimizer", "some parameters appear in more than one parameter group", "SGD(groups",
    ),
    "an optimizer of another model": (
        optimizer("KEPT[model] = list(model.parameters())\n"
                  "        return torch.optim.SGD(sum(KEPT.values(), []), lr=0.1)"),
        "optimizer", "that is no parameter of the model of architecture 4", "def optimizer",
    ),
}  # fmt: skip
"""Faults that are found before anything is trained: edits of the task, the check that fails, what
it says, and the line that it names."""

SLOW = {
    "a stale number": (
        [("index, depth\n", "index, KEPT.setdefault(index, depth)\n")],
        "constants", "attribute 'blocks.0.depth' of the grown network is 2, and of one in a new "
        "process of its depth 4", "def build",
    ),
    "a stale index in a buffer": (
        [("        self.dropout =", "        self.register_buffer('place', torch.tensor(index))\n"
          "        self.dropout =")],
        "constants", "tensor 'blocks.2.place' of the grown network is 1, inherited from "
        "'blocks.1.place', and of a new one 2: a stale constant", "def build",
    ),
    "a shape that depends on the depth": (
        [("nn.Linear(3, width)", "nn.Linear(3, width, bias=depth < 3)")],
        "inherits", "nothing in the grown network inherits tensor 'first.bias'", "def build",
    ),
    "a buffer that is not saved": (
        [("        self.dropout =", "        self.register_buffer('sum', torch.zeros(1), "
          "persistent=False)\n        self.dropout ="),
         ("        return x +",
          "        self.sum += x.mean().detach() * self.training\n        return x +")],
        "inherits", "training changes buffer 'blocks.0.sum', which is not in the state dict",
        "def build",
    ),
    "state in the task": (
        loss("self.__dict__.setdefault('calls', [1]).extend([1] * model.training)\n"
             f"        return {CROSS_ENTROPY} * (1 + len(self.calls) * model.training / 9)"),
        "resumes", "as the task keeps 'calls'", "@dataclass(",
    ),
    "state in a global": (
        loss("KEPT[0] = KEPT.get(0, 0) + model.training\n"
             f"        return {CROSS_ENTROPY} * (1 + KEPT[0] * model.training / 9)"),
        "resumes", "keep nothing between epochs outside of the model's", "@dataclass(",
    ),
    "a digest of the time": (
        [(END, f"{END}\n    def data_digest(self):\n        return str(time.time_ns())\n")],
        "resumes", "it cannot be continued after epoch 1: the data of task 'mine' have changed",
        "def data_digest",
    ),
    "state in a module": (
        [("        self.dropout =", "        self.calls = 0\n        self.dropout ="),
         ("        return x +",
          "        self.calls += self.training\n        return self.calls % 7 * x +")],
        "resumes", "straight through, and continued after epoch 1", "@dataclass(",
    ),
    "an order of strings": (
        [("for i in range(3):", "for i, name in enumerate({'a', 'b', 'c', 'd', 'e', 'f'}):"),
         (END, f"            x[0, 0] = ord(name)\n{END}")],
        "alone", "batches('train', ...) differs in a new process", "def batches",
    ),
}  # fmt: skip


@pytest.fixture(autouse=True)
def _forgets():
    with forgetting():
        yield


def written(folder, edits=()) -> str:
    text = TASK
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    (folder / "mine.py").write_text(text)
    return str(folder / "mine.py")


def row_of(target: str, check: str):
    """The check's row; those before it hold, and those after it are not run."""
    name, plugin = find_target(target)
    for row in check_task(name, (plugin,)):
        if row.name == check:
            return row
        assert row.status in (CheckStatus.OK, CheckStatus.WARNING), row
    raise AssertionError(f"there is no check {check}")


def check_fault(folder, fault) -> None:
    edits, check, said, line = fault
    target = written(folder, edits)
    lines = Path(target).read_text().splitlines()
    (number,) = [n for n, text in enumerate(lines, start=1) if line in text]
    row = row_of(target, check)
    assert row.status is CheckStatus.FAILED
    assert said in row.said and "\n" not in row.said
    assert row.said.endswith(f"({target}:{number})")


@pytest.mark.parametrize("fault", QUICK.values(), ids=QUICK)
def test_a_fault_is_found_and_its_line_named(tmp_path, fault):
    check_fault(tmp_path, fault)


@pytest.mark.parametrize("fault", first_quick([*SLOW.values()], 0, slow=1), ids=SLOW)
def test_a_fault_of_training_is_found_and_its_line_named(tmp_path, fault):
    check_fault(tmp_path, fault)


@pytest.mark.slow
def test_a_task_without_faults_passes_each_check_and_names_what_it_found(tmp_path, capsys):
    code, out, err = run(capsys, "check-task", f"{written(tmp_path)}:Mine", "--units", 6)
    assert (code, err) == (0, "")
    assert out.startswith("Task mine: a trial of 3 epochs that grows after epoch 2, with at most 8")
    assert "all 15 checks hold" in out
    assert "3 training batches in each epoch" in out
    sizes = [3 * 6 + 6 + n * (6 * 6 + 6 + 12) + 6 * 4 + 4 for n in (2, 3, 4)]
    assert f"depths 2, 3, 4: {sizes[0]}, {sizes[1]}, {sizes[2]} parameters" in out


OURS = [
    ["image-classification", "--train-size", "100"],
    ["examples/mlp.py:Rings"],
    ["examples/own_script.py"],
    ["--plugin", "examples/mlp.py", "--task", "rings"],
    ["vision-transformer", "--train-size", "100"],
    ["examples/vit.py"],
    ["examples/gpt.py", "--data-dir", "README.md"],
]


@pytest.mark.parametrize("arguments", first_quick(OURS, 0, slow=1), ids=" ".join)
def test_tasks_of_our_own_pass(capsys, monkeypatch, own_registry, arguments):
    monkeypatch.chdir(ROOT)
    code, out, err = run(capsys, "check-task", *arguments)
    assert (code, err) == (0, "")
    assert "all 15 checks hold" in out


@pytest.mark.long
def test_a_trial_inside_a_search_on_ray_has_the_records_that_it_has_alone(tmp_path, capsys, ray):
    code, out, _ = run(capsys, "check-task", written(tmp_path), "--search")
    assert code == 0
    assert "two trials of 3 epochs on Ray; the records alone are the same" in " ".join(out.split())


@pytest.mark.slow
def test_the_command_ends_with_1_and_shows_what_failed_and_what_could_not_be_checked(
    tmp_path, capsys
):
    fault = QUICK["a build that ignores the depth"]
    code, out, err = run(capsys, "check-task", written(tmp_path, fault[0]))
    assert (code, err) == (1, "")
    assert "made 2 blocks in 'blocks' for architecture '3'" in " ".join(out.split())
    (resumes,) = [line.split() for line in out.splitlines() if line.startswith("resumes")]
    assert resumes == ["resumes", "not", "checked", "needs", "builds"]


@pytest.mark.slow
def test_a_source_that_workers_do_not_have_is_named(tmp_path, monkeypatch):
    (tmp_path / "beside_my_task.py").write_text("UNITS = 8\n")
    monkeypatch.syspath_prepend(tmp_path)
    target = written(tmp_path, [("import random\n", "import random\nimport beside_my_task\n")])
    name, plugin = find_target(target)
    rows = {row.name: row for row in check_task(name, (plugin,))}
    said = rows["importable"].said
    assert rows["importable"].status is CheckStatus.FAILED
    assert "does not run in line 3: ModuleNotFoundError: No module named 'beside_my_task'" in said
    assert rows["alone"].status is CheckStatus.UNCHECKED


@pytest.mark.parametrize(
    ("edits", "check", "said"),
    [
        (
            [("self.last = nn.Linear(width, 4)", "self.last = nn.Linear(width, 4)\n"
              "        self.idle = nn.Linear(width, 4)")],
            "loss", "no gradient comes to 'idle.bias', 'idle.weight'",
        ),
        (
            evaluate("return {'loss': torch.rand(())}"),
            "evaluation", "draws from the global generator of torch",
        ),
    ],
)  # fmt: skip
def test_what_may_be_a_mistake_is_a_warning(tmp_path, edits, check, said):
    row = row_of(written(tmp_path, edits), check)
    assert row.status is CheckStatus.WARNING
    assert said in row.said


def test_what_cannot_be_asked_for_is_one_line(tmp_path, capsys):
    target = written(tmp_path)
    for arguments, said in (
        (
            [f"{target}:Yours"],
            "has no task 'Yours'; give mine.py:CLASS with one of its tasks (Mine)",
        ),
        ([target, "--epochs", "9"], "epochs=9 is chosen by check-task"),
        ([], "no task was given; give my_task.py:MyTask"),
        (["nothing"], "unknown task 'nothing'"),
        (["nowhere.py:Mine"], "plugin 'nowhere.py' cannot be read"),
        ([target, "--units", "0"], "units must be at least 1, but got 0"),
        ([target, "--task", "image-classification"], "is task 'mine', and --task says"),
    ):
        code, out, err = run(capsys, "check-task", *arguments)
        assert (code, out) == (2, "")
        assert said in err and err.count("\n") == 1


def test_data_that_cannot_be_loaded_are_one_line(tmp_path, capsys):
    load = (END, f"{END}\n    def load(self, data_dir):\n        return open(data_dir).read()\n")
    target = written(tmp_path, [load])
    code, _, err = run(capsys, "check-task", target, "--data-dir", "nowhere.txt")
    line = 1 + Path(target).read_text().splitlines().index("        return open(data_dir).read()")
    assert code == 2
    assert "FileNotFoundError" in err and f"({target}:{line})" in err and err.count("\n") == 1


def test_checking_a_task_leaves_none_with_few_batches_behind(tmp_path):
    before = dict(components("task"))
    name, plugin = find_target(written(tmp_path))
    next(rows := check_task(name, (plugin,)))
    rows.close()
    assert set(components("task")) == {*before, "mine"}


def test_a_class_is_registered_once_and_several_must_be_named(tmp_path):
    assert find_target(written(tmp_path))[0] == "mine"
    assert find_target(written(tmp_path) + ":Mine")[0] == "mine"
    assert find_target(written(tmp_path) + ":mine")[0] == "mine"
    two = f"{TASK}\n\n@dataclass(frozen=True, kw_only=True)\nclass Other(Mine):\n    pass\n"
    (tmp_path / "two.py").write_text(two)
    with pytest.raises(InputError, match=r"has several tasks; give two.py:CLASS .*\(Mine, Other\)"):
        find_target(str(tmp_path / "two.py"))

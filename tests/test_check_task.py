from pathlib import Path

import pytest

from growsearch.checks.outcome import Status
from growsearch.checks.run import check_task
from growsearch.checks.target import find_target
from growsearch.trial.components import forgetting

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
        loss("return model(batch['x'])"), "values", "TypeError", "batch['x']",
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
        "optimizer", "that is no parameter of the model of architecture 2", "def optimizer",
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
        "inherits", "'first.bias'", "def build",
    ),
    "a buffer that is not saved": (
        [("        self.dropout =", "        self.register_buffer('sum', torch.zeros(1), "
          "persistent=False)\n        self.dropout ="),
         ("    def forward(self, x):\n        return x +",
          "    def forward(self, x):\n        self.sum += x.mean().detach()\n        return x +")],
        "inherits", "training changes buffer 'blocks.0.sum', which is not in the state dict",
        "def build",
    ),
    "state in the task": (
        loss("self.__dict__.setdefault('calls', []).append(1)\n"
             f"        return {CROSS_ENTROPY} * (1 + len(self.calls) / 100)"),
        "resumes", "of epoch 2 is", "def batches",
    ),
    "state in a module": (
        [("        self.dropout =", "        self.calls = 0\n        self.dropout ="),
         ("    def forward(self, x):\n        return x +",
          "    def forward(self, x):\n        self.calls += 1\n        return self.calls % 7 * x +")],
        "resumes", "straight through, and continued after epoch 1", "def batches",
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
        assert row.status in (Status.OK, Status.WARNING), row
    raise AssertionError(f"there is no check {check}")


def check_fault(folder, fault) -> None:
    edits, check, said, line = fault
    target = written(folder, edits)
    lines = Path(target).read_text().splitlines()
    (number,) = [n for n, text in enumerate(lines, start=1) if line in text]
    row = row_of(target, check)
    assert row.status is Status.FAILED
    assert said in row.said and "\n" not in row.said
    assert row.said.endswith(f"({target}:{number})")


@pytest.mark.parametrize("fault", QUICK.values(), ids=QUICK)
def test_a_fault_is_found_and_its_line_named(tmp_path, fault):
    check_fault(tmp_path, fault)


@pytest.mark.slow
@pytest.mark.parametrize("fault", SLOW.values(), ids=SLOW)
def test_a_fault_of_training_is_found_and_its_line_named(tmp_path, fault):
    check_fault(tmp_path, fault)

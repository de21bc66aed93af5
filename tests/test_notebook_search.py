"""Searches whose components are defined in the cells of a notebook."""

import nbformat
import pytest
from nbclient import NotebookClient

TASK = """
from dataclasses import dataclass
import growsearch
import torch
from ray import tune
from torch import nn
from growsearch import Cost, Study, Task, generator, option, register
SIZE = 16
"""
HELPER = """
def inputs(draw):
    return torch.randn(SIZE, 2, generator=draw)
"""
CLASS = '''
@register("task", "signs")
@dataclass(frozen=True, kw_only=True)
class Signs(Task):
    """Whether two numbers have one sign."""

    stacks = ("1",)
    proposals = {"policy": "fixed", "growth_epochs": (1,), "lr": 0.05}
    units: int = option(4, "units of a layer", least=1)

    def build(self, architecture):
        layer = lambda: nn.Sequential(nn.Linear(self.units, self.units), nn.ReLU())
        blocks = nn.Sequential(*(layer() for _ in range(architecture.blocks[0])))
        return nn.Sequential(nn.Linear(2, self.units), blocks, nn.Linear(self.units, 2))

    def batches(self, split, seed, epoch):
        draw = generator(seed, epoch, split) if split == "train" else generator(0, 0, split)
        for _ in range(3):
            x = inputs(draw)
            yield x, (x.prod(dim=1) > 0).long()
'''
SEARCH = """
@register("cost", "blocks")
@dataclass(frozen=True, kw_only=True)
class Blocks(Cost):
    unit = "blocks"

    def of_epoch(self, work, record):
        return float(work.architecture)

space = {"units": tune.grid_search([4, 8]), "epochs": 2}
study = growsearch.search(space, task=Signs, trials=2, out="study", cost=Blocks)
assert list(study.trials["status"]) == ["completed"] * 2, study.trials
assert study.cost == "blocks" and (study.trials["cost/blocks"] > 2).all(), study.trials
"""
RESUME = """
def unrelated(x):
    return x + 1
"""
CHECK = """
again = Study("study").resume()
assert len(again.trials) == 2 and again.network().training is False
before = Signs.plugin
assert len(again.plugins) == 0
"""
CHANGED = """
SIZE = 8
study = growsearch.search({"epochs": 2}, task=Signs, trials=1, out="other")
assert Signs.plugin != before
"""


@pytest.mark.long
def test_a_task_of_cells_is_searched_and_resumed_and_its_keys_know_what_it_uses(tmp_path):
    """A later cell that it does not use changes nothing; a constant that it uses does."""
    cells = [TASK, HELPER, CLASS, SEARCH, RESUME, CHECK, CHANGED]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    resources = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=300, resources=resources).execute()

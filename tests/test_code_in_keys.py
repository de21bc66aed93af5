"""What of the user's own code is in the keys of epochs: sources, and the values that it names."""

import importlib
import linecache
import sys
from argparse import Namespace
from itertools import count
from pathlib import Path
from types import ModuleType

import pytest

from growsearch.epochs.keys import keyed
from growsearch.trial.components import forgetting
from growsearch.trial.config import TrialConfig
from growsearch.trial.options import Role
from growsearch.trial.plugins import load_plugins, session_plugins

HEADER = """
from dataclasses import dataclass
import functools
import torch
from growsearch import NewBlocks, register
"""
CLASS = (
    HEADER
    + """
@register("initializer", "coded")
@dataclass(frozen=True, kw_only=True)
class Coded(NewBlocks):
    {}def initialize(self, block, *, new, step, draw):
        {}
"""
)
NUMBERS = count()


@pytest.fixture
def cell(monkeypatch):
    """Runs a cell of a notebook."""
    main = ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", main)

    def run(text):
        name = f"<a cell {next(NUMBERS)}>"
        lines = text.splitlines(keepends=True)
        monkeypatch.setitem(linecache.cache, name, (len(text), None, lines, name))
        exec(compile(text, name, "exec"), vars(main))

    with forgetting():
        yield run


def key():
    return keyed(TrialConfig(policy="fixed", growth_epochs=1, initializer="coded"), Role.GROWTH)


def test_any_value_that_code_in_a_notebook_names_is_in_its_keys(cell):
    """Whatever its type, as soon as its cell has run again."""
    values = [
        "0.1", "0.2", "(1, 2)", "[1, 2]", "[1, 3]", "{'a': 1}", "{'a': 2}", "{'a', 'b'}",
        "torch.ones(2)", "torch.ones(2).double()", "torch.zeros(2)", "torch.ones(2).numpy()",
        "torch.nn.Linear(1, 1, bias=False).requires_grad_(False)", "b'1'", "torch.float16",
        "functools.partial(max, 1)", "functools.partial(max, 2)",
    ]  # fmt: skip
    cell(CLASS.format("", "block.factor = VALUE"))
    seen = []
    for value in values:
        cell(f"torch.manual_seed(0); VALUE = {value}")
        seen.append(key())
        cell(f"torch.manual_seed(0); VALUE = {value}")
        assert key() == seen[-1], value
    assert len({str(found) for found in seen}) == len(values)
    session_plugins()  # as a search does: the class then has the same hash
    assert key() == seen[-1]


def test_a_value_that_cannot_be_pickled_is_in_keys_that_no_other_has(cell):
    cell(CLASS.format("", "LOCK.acquire()"))
    cell("import threading; LOCK = threading.Lock()")
    before = key()
    assert key() == before
    cell("LOCK = threading.Lock()")
    assert key() != before


def test_values_that_code_does_not_name_are_in_no_key(cell):
    """Nor one that has the name of an attribute, or that the code assigns itself."""
    cell(CLASS.format("", "global CALLS; CALLS += block.scale"))
    cell("scale, other, CALLS = 1, 1, 0")
    before = key()
    cell("scale, other, CALLS = 2, 2, 5")
    assert key() == before


@pytest.mark.parametrize(
    ("helper", "decorator", "body"),
    [
        ("def helper(x): return {}", "@torch.no_grad()\n    ", "helper(block)"),
        ("helper = functools.lru_cache(lambda x: {})", "", "helper(block)"),
        ("HELPERS = [lambda x: {}]", "", "HELPERS[0](block)"),
        ("class Helper:\n    def __call__(self, x): return {}\nhelper = Helper()", "", "helper(1)"),
    ],
)
def test_functions_that_decorators_wrap_and_that_values_hold_are_in_keys(
    cell, helper, decorator, body
):
    cell(HEADER + helper.format(1))
    cell(CLASS.format(decorator, body))
    before = key()
    assert key() == before
    cell(helper.format(2))
    assert key() != before


def test_defaults_and_values_of_a_decorator_are_in_keys(cell):
    keys = []
    for at_default, of_decorator in ((1, 1), (2, 1), (1, 2), (1, 1)):
        cell(HEADER + f"A, B = {at_default}, {of_decorator}")
        cell("def scaled(by):\n    return lambda f: lambda *a, **k: f(*a, **k) and by")
        text = CLASS.format("@scaled(B)\n    ", "return a").replace("draw)", "draw, a=A)")
        cell(text)
        keys.append(str(key()))
    assert keys[3] == keys[0] and len(set(keys)) == 3


def test_a_module_counts_as_it_was_loaded_not_as_its_file_has_become(cell, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    module = tmp_path / "own_reloaded.py"
    module.write_text("FACTOR = 1\n")
    cell("import own_reloaded")
    cell(CLASS.format("", "block.factor = own_reloaded.FACTOR"))
    before = key()
    module.write_text("FACTOR = 2  # longer\n")
    assert key() == before
    importlib.reload(sys.modules["own_reloaded"])
    after = key()
    assert after != before
    sys.modules["own_reloaded"].FACTOR = 3
    assert key() not in (before, after)


def test_constants_of_a_file_that_come_from_elsewhere_are_in_its_keys(tmp_path, monkeypatch):
    """Like arguments of the command line; not what code may fill while it runs."""
    file = tmp_path / "scripted.py"
    text = "FACTOR, ARGS, CACHE = 1, None, {}\n" + CLASS.format("", "FACTOR, ARGS, CACHE")
    file.write_text(text)
    with forgetting():
        [plugin] = load_plugins([str(file)])
        module = sys.modules[plugin.module_name]
        before = key()
        module.CACHE["filled"] = 1
        assert key() == before
        seen = [before]
        for name, value in (("FACTOR", 2), ("ARGS", Namespace(lr=[1])), ("ARGS", Namespace(lr=2))):
            monkeypatch.setattr(module, name, value)
            seen.append(key())
            assert seen[-1]["initializer.plugin"] == before["initializer.plugin"]
    monkeypatch.delitem(sys.modules, plugin.module_name)
    assert len({str(found) for found in seen}) == 4


def test_data_are_loaded_again_once_a_constant_of_load_has_changed(cell):
    example = Path(__file__).parents[1] / "examples/mlp.py"
    load_plugins([str(example)])
    cell("""
from dataclasses import dataclass
from growsearch import register
from growsearch.trial.components import component

SIZE = 1

@register("task", "loading")
@dataclass(frozen=True, kw_only=True)
class Loading(component("task", "rings")):
    def load(self, data_dir):
        return SIZE
""")
    config = TrialConfig(task="loading", policy="none")
    assert config.task.read() == 1
    cell("SIZE = 2")
    assert config.task.read() == 2

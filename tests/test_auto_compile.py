import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest
from conftest import task_of

from growsearch.trainer import Trainer
from growsearch.training import auto_compile
from growsearch.trial.config import TrialConfig

# torch hides this warning, except where warnings are errors
pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The folder of measurements; a trial of two steps already counts as long."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(auto_compile, "MIN_STEPS", 2)
    monkeypatch.setattr(auto_compile, "MIN_SECONDS", 0.0)
    return tmp_path / "growsearch"


@pytest.fixture
def config():
    return TrialConfig(
        train_size=136, epochs=10, lr=0.1, architecture="1-1-1", policy="none",
        precision="float32",
    )  # fmt: skip


def decided(config: TrialConfig) -> str:
    return auto_compile.auto_compile(task_of(config))


def remembered(cache, what):
    (answer,) = (cache / what).iterdir()
    return answer


def test_a_short_trial_is_not_measured_and_not_compiled(config, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert decided(config) == "off"
    assert not list(tmp_path.iterdir())


def test_for_a_trial_of_many_quick_steps_nothing_is_compiled(config, cache, monkeypatch):
    monkeypatch.setattr(auto_compile, "MIN_SECONDS", 600.0)
    assert decided(config) == "off"
    assert [path.name for path in cache.iterdir()] == ["steps"]


@pytest.mark.long
def test_what_is_measured_once_decides_for_each_trial_by_its_length(config, cache):
    """Compiling takes 2 s and must pay twice: 40 steps that save 0.15 s each do this, 20 do not."""
    decided(config)
    written, compiled = (remembered(cache, what) for what in ("steps", "compiled-steps"))
    for answer in (written, compiled):
        assert [seconds > 0 for seconds in json.loads(answer.read_text())] == [True, True]
    written.write_text("[0.2, 0.2]")
    compiled.write_text("[2.05, 0.05]")
    assert decided(config) == "off"
    assert decided(replace(config, epochs=20)) == "on"
    compiled.write_text("[2.25, 0.25]")
    assert decided(replace(config, epochs=2000)) == "off"


@pytest.mark.slow
def test_a_trial_that_auto_compiles_is_the_one_with_compile_on(config, cache):
    """Only AutoGrow's fine-tuning epochs are certain, so only they count as the length."""
    grows = TrialConfig(
        train_size=136, policy="periodic", interval=1, patience=1, epochs=12, finetune_epochs=2,
        max_architecture="1-1-2", precision="float32",
    )  # fmt: skip
    decided(grows)
    remembered(cache, "steps").write_text("[0.2, 0.2]")
    remembered(cache, "compiled-steps").write_text("[0.35, 0.1]")
    assert decided(grows) == "off"
    remembered(cache, "compiled-steps").write_text("[0.25, 0.1]")
    records = list(Trainer(grows))
    assert all(record.compiled for record in records)
    assert records == list(Trainer(replace(grows, compile="on")))


DECIDES = """
from growsearch import Trainer, TrialConfig
from growsearch.training import auto_compile

auto_compile.MIN_STEPS, auto_compile.MIN_SECONDS = 2, 0.0
trial = TrialConfig(train_size=136, epochs=1, lr=0.1, architecture="1-1-1", policy="none")
print(next(Trainer(trial)).compiled)
"""


@pytest.mark.long
def test_where_compiling_fails_auto_says_so_once_and_does_not(tmp_path):
    """The compiler is `false`, which always fails."""
    environment = os.environ | {
        "CXX": shutil.which("false"), "XDG_CACHE_HOME": str(tmp_path),
        "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "inductor"),
    }  # fmt: skip
    command = [sys.executable, "-c", DECIDES]
    once, again = (
        subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        for _ in range(2)
    )
    assert once.stdout == again.stdout == "False\n"
    assert "steps cannot be compiled here" in once.stderr
    assert not again.stderr


def test_without_a_compiler_auto_does_not(config, cache, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert decided(config) == "off"
    assert not cache.exists()

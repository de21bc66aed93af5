import gc
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import fields, replace
from pathlib import Path
from threading import Event, Thread

import numpy as np
import pytest
import torch
from hypothesis import settings

from growsearch.trial.components import forgetting
from growsearch.trial.config import TrialConfig
from growsearch.trial.history import EpochRecord, History

settings.register_profile("any machine", deadline=None)  # busy ones too
settings.load_profile("any machine")

ROOT = Path(__file__).parent.parent

os.environ["GROWSEARCH_PRECISION"] = "float32"  # also in processes that a test starts
os.environ["OMP_NUM_THREADS"] = "1"  # likewise: more threads would wait for busy cores
# Ray's name; at its usual niceness of 15 actors starve beside the tests of other files
os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112

WAYS_TO_GROW = [
    {"policy": "hand-tuned", "initializer": "zero", "architecture": "1-1-1"},
    {"policy": "fixed", "growth_epochs": (2, 4), "growth_architectures": "2-3-2 3-3-5"},
    {
        "policy": "hand-tuned",
        "initializer": "partial",
        "lr_schedule": "cosine-restarts",
        "architecture": "1-1-1",
    },
    {
        "policy": "hand-tuned",
        "initializer": "default",
        "network": "preact3resnet",
        "architecture": "1-1-1",
    },
    {"policy": "hand-tuned", "scaling": "step-size", "record_lipschitz": "layers"},
    {"policy": "lipschitz-subnetworks", "rtol": 1.01, "window": 1, "baseline": "first-epoch"},
    {
        "policy": "lipschitz",
        "window": 1,
        "initializer": "gaussian",
        "momentum_on_growth": "carry",
    },
    {"policy": "periodic", "interval": 2, "patience": 2, "finetune_epochs": 1},
    {"policy": "periodic", "interval": 1, "finetune_epochs": 3, "initializer": "adam"},
    {"policy": "convergent", "interval": 1, "tau": 99, "finetune_epochs": 2},
    {"policy": "periodic", "interval": 1, "finetune_epochs": 3, "network": "plain3net"},
]
"""Fields of trials of six epochs, one for each way to grow; those of the quick lane first."""


def first_quick(cases: list, quick: int = 2, slow: int | None = None) -> list:
    """The cases of a test: the first ones quick, so many slow (or all), the rest long."""
    end = len(cases) if slow is None else quick + slow
    marks = [pytest.mark.slow] * (end - quick) + [pytest.mark.long] * (len(cases) - end)
    others = zip(cases[quick:], marks, strict=True)
    return [*cases[:quick], *(pytest.param(case, marks=mark) for case, mark in others)]


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    """Tests with this process's Ray are slow. Files that start Ray come first, then those of many
    tests: they would else be waited for."""
    fixtures = {item: set(getattr(item, "fixturenames", ())) for item in items}
    for item in items:
        if "ray" in fixtures[item]:
            item.add_marker(pytest.mark.slow)
    yield  # tests of other lanes leave
    on_ray = {item.path for item in items if fixtures[item] & {"ray", "own_ray"}}
    tests = Counter(item.path for item in items)
    items.sort(key=lambda item: (item.path not in on_ray, -tests[item.path]))


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop() -> Iterator[None]:
    """Collections of garbage would visit all modules and tests again and again."""
    gc.freeze()
    ran = yield
    gc.unfreeze()  # or libraries report at the exit that they leak
    return ran


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """A trial of a search has one thread; equal thread counts make records comparable."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="module")
def _own_components() -> Iterator[None]:
    """What the tests of a file register is not there for those of the next file."""
    with forgetting():
        yield
    _forget_plugins()


@pytest.fixture(scope="module")
def ray():
    """Ray on this machine, which stays for the next module that wants it."""
    from growsearch.tuning.cluster import start_ray

    return start_ray()[0]


def environment_of_own_ray() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if k != "RAY_ADDRESS"}


@pytest.fixture
def own_ray() -> dict[str, str]:
    """The environment of a process with a Ray of its own."""
    return environment_of_own_ray()


@pytest.fixture(autouse=True, scope="session")
def _ray_ends():
    yield
    if "ray" in sys.modules:
        sys.modules["ray"].shutdown()


@pytest.fixture
def own_handlers():
    """What Python does: a search of an earlier test leaves Tune's handler of Ctrl-C, and a process
    that was started in the background of a shell or by nohup ignores SIGHUP."""
    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGHUP: signal.SIG_DFL}
    before = {number: signal.signal(number, handler) for number, handler in usual.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium for the tests of a file."""
    from browser import Browser

    browser = Browser()
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def paper() -> dict:
    return json.loads((ROOT / "tests/reference/lipgrow.json").read_text())


@pytest.fixture(scope="session")
def autogrow() -> dict:
    return json.loads((ROOT / "tests/reference/autogrow.json").read_text())


@pytest.fixture
def small() -> dict:
    """Fields of a trial that trains in about a second and grows twice."""
    return {
        "train_size": 200, "epochs": 6, "lr": 0.1, "policy": "fixed", "growth_epochs": (2, 4)
    }  # fmt: skip


def check_resumed_and_stored(trial: TrialConfig, folder: Path) -> None:
    """That a trial of four epochs has the same bits if it is resumed, or comes from a store."""
    from growsearch.epochs.store import EpochStore
    from growsearch.trainer import Trainer

    def same(one: Trainer, other: Trainer) -> bool:
        mine, others = one.state.network.state_dict(), other.state.network.state_dict()
        return mine.keys() == others.keys() and all(torch.equal(mine[n], others[n]) for n in mine)

    alone = Trainer(trial)
    records = list(alone)
    for stop in (1, 2, 3):
        first = Trainer(trial)
        for _ in range(stop):
            next(first)
        first.save(folder / "state.safetensors")
        second = Trainer.load(folder / "state.safetensors")
        list(second)
        assert second.history == alone.history
        assert same(second, alone)
    for recalled in (False, True):
        stored = Trainer(trial, store=EpochStore(str(folder / "store")))
        assert [replace(record, key="") for record in stored] == [
            replace(record, key="") for record in records
        ]
        assert all(record.reused is recalled for record in stored.history)
        assert same(stored, alone)


def task_of(config: TrialConfig):
    """The trial's task on the processor."""
    return config.task.on(torch.device("cpu"))


def record(epoch: int = 1, **changes: object) -> EpochRecord:
    values = {
        "epoch": epoch, "phase": "training", "architecture": "2-2-2", "parameters": 100,
        "param_epochs": 100 * epoch,
        "ppe": 100.0, "macs": 1000, "train_flops": 6e6 * epoch, "lr": 0.1, "train_loss": 1.0,
        "train_accuracy": 50.0, "val_loss": 1.0, "val_accuracy": 50.0,
        "test_accuracy": 50.0, "lipschitz": 1.0, "lipschitz_subnetworks": (1.0, 1.0, 1.0),
        "lipschitz_blocks": None, "lipschitz_layers": None, "grew": False,
        "grown_val_loss": None, "grown_val_accuracy": None, "temporal_error": None,
        "functional_difference": None, "temporal_bound": None, "seconds": 1.0,
        "train_seconds": 0.5, "eval_seconds": 0.3, "lipschitz_seconds": 0.2,
        "growth_seconds": 0.0, "reused": False, "key": "k", "decision": None,
        "status": "running",
    }  # fmt: skip
    return EpochRecord(**{**values, **changes})


def run_policy(config: TrialConfig, lipschitz: list[float]) -> History:
    """The history of a trial; `lipschitz` gives its constants, counted from the last growth."""
    from growsearch.trial.path import decide

    history, architecture, since = History(), config.architecture, 0
    for epoch in range(1, config.epochs + 1):
        new = record(epoch, architecture=architecture, lipschitz=lipschitz[since])
        decision = decide(config, history.plus(new))
        history = history.plus(replace(new, grew=decision is not None))
        since += 1
        if decision is not None:
            architecture, since = str(decision.architecture), 0
    return history


def recorded(name):
    """Configurations and histories of a recorded study, as if no trial had taken another's epochs.

    The parts of `name` are those of its folder in analysis/studies.
    """
    from growsearch.study.results import config_of, read_histories, read_study

    folder = ROOT / "analysis/studies" / name
    histories = read_histories(folder)
    for trial, rows in read_study(folder).groupby("trial_id"):
        history = histories[trial]
        yield config_of(rows.iloc[0]), History(replace(epoch, reused=False) for epoch in history)


def driver(*arguments, stderr=subprocess.DEVNULL, group=False):
    """A growsearch process with its own Ray, independent of this process's Ray.

    With `group`, its process is the first of a group of its own, to which signals can be sent.
    """
    command = [sys.executable, "-c", "from growsearch.cli import main; raise SystemExit(main())"]
    return subprocess.Popen(
        [*command, *map(str, arguments)], env=environment_of_own_ray(), stdout=subprocess.DEVNULL,
        stderr=stderr, process_group=0 if group else None,
    )  # fmt: skip


def until_remembered(place, epochs, process):
    while len(list(Path(place, "records").glob("*/*"))) < epochs and process.poll() is None:
        time.sleep(0.05)
    assert process.poll() is None


@contextmanager
def once(holds, act):
    """Calls `act` in a thread beside the block, once `holds()`; fails if that does not come."""
    acted, ended = Event(), Event()

    def watch() -> None:
        while not holds():
            if ended.wait(0.01):
                return
        act()
        acted.set()

    watcher = Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
    assert acted.is_set()


@contextmanager
def files_of_at_most(size):
    """What is written beyond `size` bytes of a file fails, as on a full disk."""
    _, hard = before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def plain(value):
    """Makes lists comparable: numpy arrays (parquet) and tuples (records) become exact hex text."""
    is_list = isinstance(value, tuple | np.ndarray)
    return " ".join(float(item).hex() for item in value) if is_list else value


RECORD = [f.name for f in fields(EpochRecord) if f.compare and f.name != "metrics"]
"""Fields of records that are equal where training was, and columns of tables."""


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def actors():
    """The processes of trials in a Ray that this process has started, by their raylets."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # the process just ended
            pid, command = int(path.parent.name), path.read_bytes()
            # The command line of a trial has one of these names.
            is_trial = b"AssignedTrial" in command or b"ResourceTrainable" in command
            if is_trial and parent(raylet := parent(pid)) == os.getpid():
                found[pid] = raylet
    return found


def run(capsys, *arguments: object) -> tuple[int, str, str]:
    """The exit code of growsearch, what it printed, and its errors."""
    from growsearch.cli import main

    try:
        code = main([str(argument) for argument in arguments])
    except SystemExit as stop:
        code = stop.code
    out, err = capsys.readouterr()
    return code, out, err


def farthest_first(n, first, distance):
    """By all pairs: always the farthest from all before it; of equals the one listed first."""
    order = [first]
    while len(order) < n:
        rest = [i for i in range(n) if i not in order]
        order.append(max(rest, key=lambda i: min(distance(i, j) for j in order)))
    return order


def _forget_plugins() -> None:
    """A plugin that is loaded again then registers again."""
    for name in [name for name in sys.modules if name.startswith("growsearch_plugin_")]:
        del sys.modules[name]


@pytest.fixture
def own_registry(monkeypatch):
    """What a test registers is gone after it."""
    from growsearch.trial import components as registry

    for kind in registry.EVERY_KIND:
        registry.components(kind)
    known = {kind: dict(found) for kind, found in registry._REGISTRY.items()}
    monkeypatch.setattr(registry, "_REGISTRY", known)
    yield
    _forget_plugins()

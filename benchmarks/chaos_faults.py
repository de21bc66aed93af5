"""The faults of the chaos suite: where they hit, and what they do there; see chaos.py.

The task of its search (chaos_task.py) calls `watch` in the driver and in each actor, which wraps
the functions in POINTS. So a fault happens exactly there, and growsearch itself has no hooks.
"""

import os
import random
import signal
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import wraps
from importlib import import_module
from pathlib import Path

PLAN = "GROWSEARCH_CHAOS"
"""Environment variable: the folder of a search's plan."""
FIRST_SECOND = "in the first second"
POINTS = {
    FIRST_SECOND: ("", "", "", 1),  # the driver's, after a time that is drawn
    "Ray has started": ("driver", "tuning.tuner:reserve", "before", 1),
    "trials join the ledger": ("driver", "searches.ledger:replacing", "within", 1),
    "before study.json": ("driver", "tuning.tuner:write_info", "before", 1),
    "in an epoch": ("actor", "", "", 3),  # see `trains`
    "publishing a state": ("actor", "", "states", 3),
    "between state and record": ("actor", "epochs.store:EpochStore.remember", "before", 3),
    "publishing a record": ("actor", "", "records", 3),
    "after publishing": ("actor", "epochs.store:EpochStore.remember", "after", 3),
    "keeping a network": ("actor", "epochs.kept_networks:replacing", "within", 3),
    "before a line of the ledger": ("driver", "searches.ledger:Ledger._log", "before", 3),
    "after a line of the ledger": ("driver", "searches.ledger:Ledger._log", "after", 3),
    "in growth": ("actor", "training.growth:initialize", "before", 1),
    "writing a table": ("driver", "study.results:replacing", "within", 2),
    "gathering tables": ("driver", "study.ended:replacing", "within", 1),
    "before the report": ("driver", "study.report:write_report", "before", 1),
}
"""In the order of a search, by point: the process that reaches it, the function of growsearch,
whether the fault comes before it, after it, within its block, or before a file of that kind gets
its name in the store, and at which time at most."""
FAULTS = {
    ("SIGKILL", "driver"): 6, ("SIGKILL", "actor"): 6, ("SIGKILL", "raylet"): 2,
    ("SIGKILL", "gcs"): 1, ("SIGKILL", "agent"): 1, ("SIGTERM", "driver"): 3,
    ("SIGINT", "driver"): 2, ("SIGHUP", "driver"): 2, ("SIGTERM", "actor"): 2,
    ("SIGTERM", "raylet"): 1, ("away", "store"): 2, ("away", "study"): 1, ("full", "disk"): 2,
    ("second driver", "store"): 1, ("slow", "node"): 1, ("clocks apart", "files"): 2,
}  # fmt: skip
"""Kinds of fault, what they hit, and how often they are drawn."""
RAY = {"raylet": "raylet/raylet", "gcs": "gcs_server", "agent": "::DashboardAgent"}
"""Ray's processes, by what their command lines have."""


@dataclass(frozen=True)
class Fault:
    """It happens when its point is reached for the `hit`-th time."""

    number: int
    kind: str
    target: str
    point: str
    hit: int
    share: float
    """Between 0 and 1: when in the first second, or which way clocks go."""

    @classmethod
    def drawn(cls, seed: int, number: int) -> "Fault":
        """The fault that depends on `seed` and `number` only."""
        draw = random.Random(f"{seed} {number}")
        kind, target = draw.choices(list(FAULTS), list(FAULTS.values()))[0]
        fit = [point for point, (process, *_) in POINTS.items() if process]
        if target in ("actor", "agent"):  # Ray starts its agent last
            fit = [point for point in fit if POINTS[point][0] == "actor"]
        elif target == "driver":
            fit.append(FIRST_SECOND)
        point = draw.choice(fit)
        return cls(number, kind, target, point, draw.randint(1, POINTS[point][-1]), draw.random())

    @property
    def signal(self) -> signal.Signals | None:
        return signal.Signals[self.kind] if self.kind.startswith("SIG") else None


def armed(plan: Path) -> Fault | None:
    """The first fault of the plan, lines of seed and number, that has not happened yet."""
    with suppress(FileNotFoundError):
        for line in (plan / "faults").read_text().splitlines():
            fault = Fault.drawn(*map(int, line.split()))
            if not (plan / f"happened-{fault.number}").exists():
                return fault
    return None


def processes_of(ray_folder: str) -> dict[int, str]:
    """The command lines of Ray's processes that have files of this folder open, by id."""
    found = {}
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has just ended
            files = list((place / "fd").iterdir())
            if int(place.name) != os.getpid() and any(_is_in(f, ray_folder) for f in files):
                found[int(place.name)] = (place / "cmdline").read_bytes().decode()
    return found


def _is_in(file: Path, folder: str) -> bool:
    with suppress(OSError):  # it was closed
        return os.readlink(file).startswith(folder)
    return False


def reached(point: str) -> None:
    """The armed fault happens, if `point` is its point and this is its hit."""
    plan = Path(os.environ.get(PLAN, "/nowhere"))
    fault = armed(plan)
    if fault is None or fault.point != point:
        return
    with (plan / f"hits-{fault.number}").open("a") as hits:
        hits.write(".")
    if (plan / f"hits-{fault.number}").stat().st_size < fault.hit:
        return
    victim = os.getpid()
    if fault.target == "driver":
        victim = int((plan / "driver").read_text())
    elif fault.target in RAY:
        ray = processes_of(os.environ["RAY_TMPDIR"])
        victim = next((pid for pid, line in ray.items() if RAY[fault.target] in line), 0)
    with suppress(FileExistsError):  # another process was as far
        if victim:
            (plan / f"happened-{fault.number}").touch(exist_ok=False)
            _act(fault, Path((plan / "root").read_text()), victim)


def _act(fault: Fault, root: Path, victim: int) -> None:
    if fault.signal is not None:
        os.kill(victim, fault.signal)
        if fault.kind == "SIGKILL" and victim == os.getpid():
            signal.pause()
    elif fault.kind == "away":
        (root / fault.target).rename(root / f"away-{fault.target}")
        (root / fault.target).write_text("")
    elif fault.kind == "full":
        with suppress(OSError), (root / "filler").open("wb", buffering=0) as file:
            while True:
                file.write(bytes(2**12))
    elif fault.kind == "clocks apart":
        moved = time.time() + (3600 if fault.share < 0.5 else -3600)
        for path in root.rglob("*"):
            with suppress(OSError):  # another process has just removed it
                os.utime(path, (moved, moved))


def _wrap(place, wrapper):
    """Puts what `wrapper` makes of it in the place of a function, "module:Class.function"."""
    module, _, path = place.partition(":")
    owner = import_module(f"growsearch.{module}")
    *classes, name = path.split(".")
    for part in classes:
        owner = getattr(owner, part)
    setattr(owner, name, wraps(getattr(owner, name))(wrapper(getattr(owner, name))))


def _around(point, when):
    """What wraps the function of a point."""

    def wrapper(inner):
        def outer(*given, **named):
            reached(point if when == "before" else "")
            result = inner(*given, **named)
            reached(point if when == "after" else "")
            return result

        @contextmanager
        def block(*given):
            with inner(*given) as value:
                yield value
                reached(point)

        return block if when == "within" else outer

    return wrapper


class _Files:
    """A store's file system. A file that gets its name is a point."""

    def __init__(self, files):
        self.files = files

    def __getattr__(self, name):
        return getattr(self.files, name)

    def move(self, source, target):
        for point, (_, _, kind, _) in POINTS.items():
            reached(point if kind == target.partition("/")[0] else "")
        self.files.move(source, target)


def watch() -> None:
    """Wraps the functions of POINTS that this process reaches."""
    own = "actor" if "default_worker" in sys.argv[0] else "driver"
    for point, (process, place, when, _) in POINTS.items():
        if process == own and place:
            _wrap(place, _around(point, when))

    def opened(inner):
        def outer(store, *given, **named):
            inner(store, *given, **named)
            store.files = _Files(store.files)

        return outer

    _wrap("epochs.store:EpochStore.__init__", opened)
    import_module("growsearch.study.copying").SECONDS_BETWEEN = 0.2  # its searches take seconds


def trains() -> None:
    """The task calls this once in each epoch that is trained."""
    with Path(os.environ[PLAN], "trained").open("a") as trained:
        trained.write(".")
    reached("in an epoch")

"""Chaos suite: faults hit a search, which goes on and ends with the rows of the undisturbed one.

    python benchmarks/chaos.py --kills 200 --seed 0     # as root; each start takes seconds
    python benchmarks/chaos.py --seed 0 --only 17       # the fault of that number alone

Each fault depends on the seed and its number (chaos_faults.py). Up to A_SEARCH faults hit a search,
one after the other in the order of their points. The same command, `growsearch search ...
--resume`, starts it again until it ends; after one fault of four without the study's folder, so
from its copy. After each run the rows of study and copy are those of the undisturbed search, no
process is left, and the exit code is as documented. In the end all rows and files are there, and
nothing is locked or left over. Full disks need root, which mounts small ones; without it they are
left out.
"""

import argparse
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from datetime import date
from pathlib import Path

import pandas as pd
from chaos_faults import FIRST_SECOND, PLAN, POINTS, RAY, Fault, armed, processes_of
from heading import heading

from growsearch import __version__, read_study
from growsearch.searches.ledger import Ledger

HERE = Path(__file__).parent
SPACE = """
from ray import tune

param_space = {
    "task": "chaos", "policy": "fixed", "growth_epochs": tune.grid_search([[2], [3, 6]]),
    "lr": tune.grid_search([0.1, 0.05]), "epochs": 12, "architecture": "1", "compile": "off",
    "precision": "float32", "initializer": "copy",
}
"""
OPTIONS = ("--resume", "--max-concurrent", "2", "--max-failures", "99")
SCHEDULERS = ("none", "pareto --alpha 0.001", "branches --alpha 0.001")
"""Of searches in turn. With this alpha they judge trials and stop none, so that all rows stay."""
WORKERS, LONGEST, AWAY, A_SEARCH, LEAST = 2, 600.0, 0.3, 8, 8
"""Trials at a time; seconds that a run may take; seconds without storage; faults of a search;
faults that must be done within --seconds."""
BEFORE = list(POINTS)[: list(POINTS).index("in an epoch")]
"""Points before the first trial."""
BUSY = "import time; end = time.monotonic() + 3\nwhile time.monotonic() < end: pass"


class Broken(Exception):
    """What is not as it should be after a fault."""


def check(holds: bool, what: str) -> None:
    if not holds:
        raise Broken(what)


def rows(study: Path) -> pd.DataFrame:
    """The rows of a study as exact text, by trial and epoch, without what clocks say.

    Which of two trials that run at once has trained what they share depends on clocks too.
    """
    found = read_study(study)
    names = [name for name in found if "seconds" not in name and name != "reused"]
    text = found[names].map(lambda value: repr(getattr(value, "tolist", lambda: value)()))
    return text.set_index([found["trial_id"], found["epoch"]])


class Search:
    """A search on a disk of its own, and the faults that have hit it."""

    def __init__(self, seed: int, faults: list[Fault]) -> None:
        self.faults = sorted(faults, key=lambda fault: list(POINTS).index(fault.point))
        self.happened: list[Fault] = []
        self.base = Path(tempfile.mkdtemp(prefix="chaos", dir="/tmp"))  # short, for Ray's sockets
        self.root, self.plan = self.base / "root", self.base / "plan"
        self.study, self.store = self.root / "study", self.root / "store"
        self.copy, self.lost = self.root / "copy", 0
        for folder in (self.root, self.plan):
            folder.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", "size=48m", "chaos", str(self.root)]
        self.mounted = subprocess.run(mount, stderr=subprocess.DEVNULL).returncode == 0
        numbers = [fault.number for fault in faults]
        scheduler = SCHEDULERS[min(numbers, default=0) % len(SCHEDULERS)]
        self.options = [*OPTIONS, "--scheduler", *scheduler.split()]
        (self.base / "space.py").write_text(SPACE)
        (self.plan / "root").write_text(str(self.root))
        (self.plan / "faults").write_text("".join(f"{seed} {f.number}\n" for f in self.faults))

    def remove(self) -> None:
        self._end_processes()
        if self.mounted:
            subprocess.run(["umount", "--lazy", str(self.root)], check=True)
        shutil.rmtree(self.base)

    def start(self, out: Path, plan: Path) -> subprocess.Popen[bytes]:
        """A driver of this search, which writes what it says beside its plan."""
        environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
        environment |= {PLAN: str(plan), "RAY_TMPDIR": str(plan), "OMP_NUM_THREADS": "1"}
        environment["PYTHONPATH"] = f"{HERE}:{HERE.parent}"
        environment["RAY_worker_niceness"] = "0"  # Ray's own 15 starves on a busy machine
        command = [sys.executable, "-m", "growsearch", "search", str(self.base / "space.py")]
        command += ["--plugin", str(HERE / "chaos_task.py"), "--out", str(out)]
        command += ["--store", str(self.store), *self.options]
        if out == self.study:
            command += ["--copy-to", str(self.copy)]
        with (plan / "said").open("w") as said:
            return subprocess.Popen(
                command, env=environment, stdout=said, stderr=said, start_new_session=True
            )

    def run(self) -> int:
        """Starts the search or goes on with it; returns its exit code once it has ended."""
        before, others, began, away = len(self.happened), [], time.monotonic(), 0.0
        driver = self.start(self.study, self.plan)
        (self.plan / "driver").write_text(str(driver.pid))
        fault = armed(self.plan)
        if fault is not None and fault.point == FIRST_SECOND:
            time.sleep(fault.share)
            (self.plan / f"happened-{fault.number}").touch()
            driver.send_signal(fault.signal or 0)
        while driver.poll() is None or self._next():
            if (fault := self._next()) is not None:
                self.happened.append(fault)
                others += self._beside(fault)
                away = time.monotonic()
                continue
            # a study that is away ends the search; a store or room comes back before
            if away and time.monotonic() - away > AWAY and self.happened[-1].target != "study":
                self._mend()
            if time.monotonic() - began > LONGEST:
                driver.kill()
            time.sleep(0.02)
        self._mend()
        check(time.monotonic() - began < LONGEST, "the run was not over in time")
        check(not any(other.wait(LONGEST) for other in others), "what ran beside it has failed")
        self._check_processes()
        self._check_code(driver.returncode, self.happened[before:])
        return driver.returncode

    def _next(self) -> Fault | None:
        """The first fault that has happened and is not in `happened` yet."""
        new = [fault for fault in self.faults if fault not in self.happened]
        return next((f for f in new if (self.plan / f"happened-{f.number}").exists()), None)

    def _beside(self, fault: Fault) -> list[subprocess.Popen[bytes]]:
        """The processes that a fault starts beside the driver."""
        if fault.kind == "slow":
            return [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(4)]
        if fault.kind == "second driver":
            plan = self.base / f"plan{fault.number}"
            plan.mkdir()
            return [self.start(plan / "study", plan)]
        return []

    def _mend(self) -> None:
        """Gives back what faults have taken: room on the disk, and what was renamed."""
        (self.root / "filler").unlink(missing_ok=True)
        for away in self.root.glob("away-*"):  # both store and study may be
            place = self.root / away.name.removeprefix("away-")
            place.unlink()
            away.rename(place)

    def _check_processes(self) -> None:
        """Waits for all processes but Ray's agents, which end a minute after Ray was killed."""
        end = time.monotonic() + 60
        while (left := self._processes()) and time.monotonic() < end:
            time.sleep(0.1)
        self._end_processes()
        check(not left, f"processes are left: {[line[:60] for line in left.values()]}")

    def _processes(self) -> dict[int, str]:
        found = processes_of(str(self.base))
        return {pid: line for pid, line in found.items() if "Agent" not in line}

    def _end_processes(self) -> None:
        for pid in processes_of(str(self.base)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _check_code(self, code: int, happened: list[Fault]) -> None:
        said, codes, fails = (self.plan / "said").read_text(), set(), False
        if any(fault.target in RAY for fault in happened):
            return  # without Ray, the run only has to end
        for fault in happened:
            if fault.target == "driver" and fault.signal:
                codes |= {128 + fault.signal}
                if fault.kind == "SIGKILL":
                    codes = {-fault.signal}
                elif fault.point == FIRST_SECOND:  # before growsearch handles signals
                    codes |= {-fault.signal, 1}
            elif fault.target == "store" and fault.point in BEFORE:
                codes |= {0, 2}  # a search does not begin before its store is back
            elif fault.target == "study":
                codes, fails = codes | {2}, True
            elif fault.kind == "full":
                codes, fails = codes | {0, 1, 2}, True
        check(code in (codes or {0}), f"exit code {code} instead of {codes or 0}")
        if happened and happened[0].point == FIRST_SECOND:
            return
        check("Traceback" not in said, "there is a traceback")
        fails = fails or "cut short" in said  # after 25 s, on a busy machine
        if code > 128 and not fails and any(self.study.glob("trials/*.parquet")):
            found = rows(self.study).groupby(level="trial_id").size()
            told = dict(Ledger(self.study).results())  # after a full disk it may lack the latest
            lost = [name for name, epochs in told.items() if found.get(name, 0) < epochs]
            check(not lost, f"results of {lost} are in no table")
            made = (self.study / "report.html").exists() or "report is not written" in said
            check(made, "there is no report")

    def check_rows(self, whole: pd.DataFrame) -> None:
        """The rows so far are among those of the undisturbed search, and so are the copy's."""
        for study in (self.study, self.copy):
            if (study / "study.json").exists() and any(study.glob("trials/*.parquet")):
                found = rows(study).drop(columns=["status", "reason"])  # a trial's end sets them
                check(found.equals(whole.loc[found.index, list(found)]), f"rows of {study} differ")

    def lose(self) -> None:
        """After one fault of four the study is lost, and goes on from its copy if it has one."""
        if self.happened and self.happened[-1].share < 0.25 and (self.copy / "study.json").exists():
            shutil.rmtree(self.study)
            self.lost += 1

    def check_end(self, whole: pd.DataFrame, names: set[str], usual: int) -> int:
        """All is as in the undisturbed search, which has trained `usual` epochs.

        Returns how many were trained again: at most one for each trial that a kill hits, WORKERS
        for a driver's. Storage that fails loses more: what could not be stored is trained again.
        """
        for study in (self.study, self.copy, *self.base.glob("plan*/study")):
            check(rows(study).equals(whole), f"the rows of {study} differ")
        with (self.study / "search.lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        kept = not any(fault.kind in ("away", "full") for fault in self.happened)
        now = self.names()
        lost = {name for name in names - now if kept or not name.startswith("store")}
        left = {name for name in now - names if not name.startswith("store/states")}
        check(not lost, f"files are missing: {sorted(lost)[:5]}")
        check(not left, f"files are left: {sorted(left)[:5]}")
        kills = [fault.target for fault in self.happened if fault.signal]
        most = sum(1 if target == "actor" else WORKERS for target in kills)
        again = self.trained() - usual
        check(again <= most or not kept, f"{again} epochs were trained again")
        return again

    def names(self) -> set[str]:
        """The files of study and store an hour later, but for those that Tune names by the time,
        and networks, of which a trial keeps more if it has trained what it shares.
        """
        for path in self.store.rglob("*"):
            os.utime(path, (time.time() - 7200,) * 2)
        clean = [sys.executable, "-m", "growsearch", "store", "gc", "--state-megabytes", "99"]
        subprocess.run([*clean, str(self.store)], check=True, stdout=subprocess.DEVNULL)
        files = (path for path in self.root.rglob("*") if path.is_file())
        names = {str(path.relative_to(self.root)) for path in files}
        drawn = ("study/tune/", "study/networks/", "copy/networks/")
        return {n for n in names if not n.startswith(drawn) or n.endswith(".unfinished")}

    def trained(self) -> int:
        """How many epochs have been trained."""
        return sum(file.stat().st_size for file in self.base.glob("plan*/trained"))


def main() -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--kills", type=int, default=200, metavar="N", help="number of faults")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, nargs="+", metavar="N", help="numbers of the faults")
    parser.add_argument(
        "--seconds", type=float,
        help=f"start no other search after so long; fewer than {LEAST} faults are a failure",
    )  # fmt: skip
    parser.add_argument("--keep", action="store_true", help="keep the files of broken searches")
    given = parser.parse_args()
    for number in (signal.SIGHUP, signal.SIGINT):  # in the background drivers would ignore them
        signal.signal(number, signal.SIG_DFL)
    began, again, lost, broken = time.monotonic(), 0, 0, list[str]()
    undisturbed = Search(given.seed, [])
    check(undisturbed.run() == 0, "the undisturbed search has failed")
    whole, names, usual = rows(undisturbed.study), undisturbed.names(), undisturbed.trained()
    undisturbed.remove()
    waiting = [Fault.drawn(given.seed, n) for n in given.only or range(given.kills)]
    if not undisturbed.mounted:
        possible = [fault for fault in waiting if fault.kind != "full"]
        print(f"{len(waiting) - len(possible)} full disks are left out: root may mount small disks")
        waiting = possible
    counts: Counter[tuple[str, str]] = Counter()
    while waiting and time.monotonic() - began < (given.seconds or float("inf")):
        search = Search(given.seed, waiting[:A_SEARCH])
        try:
            while search.run() != 0:
                search.check_rows(whole)
                search.lose()
            check(bool(search.happened), f"nothing reached {search.faults[0].point!r}")
            again += search.check_end(whole, names, usual)
            wrong = ""
        except Exception as error:  # whatever it is, the other faults come next
            wrong = f"{type(error).__name__}: {error}"
        lost += search.lost
        done = search.happened or search.faults[:1]
        waiting = [fault for fault in waiting if fault not in done]
        counts.update((f"{fault.kind} {fault.target}", fault.point) for fault in done)
        numbers = " ".join(str(fault.number) for fault in done)
        line = f"--seed {given.seed} --only {numbers}: {wrong or 'held'}"
        print(line, flush=True)
        if wrong:
            broken.append(line)
            print(*done, (search.plan / "said").read_text()[-3000:], sep="\n  ", flush=True)
        if not (wrong and given.keep):
            search.remove()
    print(heading(f"growsearch {__version__}, {date.today()}, seed {given.seed}"))
    if counts:
        table = pd.Series(counts).unstack(fill_value=0).reindex(list(POINTS), axis=1).dropna(axis=1)
        print(table.assign(all=table.sum(axis=1)).T.astype(int).to_string())
    asked = counts.total() + len(waiting)
    print(f"{counts.total()} of {asked} faults in {time.monotonic() - began:.0f} s", end=", ")
    print(
        f"{lost} studies lost, {again} epochs trained again, {len(broken)} searches broken",
        *broken,
        sep="\n",
    )
    if too_few := shortfall(counts.total(), asked):
        print(too_few)
    return 1 if broken or too_few else 0


def shortfall(done: int, asked: int) -> str:
    """What is wrong if too few faults were done before the time was over; "" if enough were."""
    if done >= min(LEAST, asked):
        return ""
    return (
        f"{done} of {asked} faults say too little: {min(LEAST, asked)} are needed; raise --seconds"
    )


if __name__ == "__main__":
    sys.exit(main())

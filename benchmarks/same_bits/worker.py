"""Runs cases with the growsearch that PYTHONPATH names, and writes what they come to.

    python worker.py CASES RESULTS [--over KEPT]

Several workers share CASES: whoever creates a case's claim first runs it. With --over, the cases
run over the stores and saved states that another revision has kept. Only the public interface of
growsearch is used, so that a worker runs with revisions of any inner structure.
"""

import argparse
import contextlib
import io
import json
import os
import re
import shutil
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import torch
from plain import Tree, plain, saved_state, store_contents, without_times

import growsearch
from growsearch import InputError, Trainer, TrialConfig, found_networks, read_study, summarize
from growsearch.cli import main

REFUSED = {"refused": True}
Spec = dict[str, Any]


def run_configs(spec: Spec, kept: Path, over: Path | None) -> Tree:
    """Which configurations are accepted, and what they are in full."""
    return {"configs": {name: _config(given) for name, given in spec["configs"].items()}}


def _config(given: dict[str, Any]) -> Tree:
    try:
        config = TrialConfig(**given)
    except InputError:
        return REFUSED
    return {"flat": plain(config.to_flat()), "digest": config.digest}


def run_train(spec: Spec, kept: Path, over: Path | None) -> Tree:
    """One trial in Python."""
    trainer = Trainer(TrialConfig(**spec["config"]))
    return {"trials": [_finished(trainer)]}


def run_resume(spec: Spec, kept: Path, over: Path | None) -> Tree:
    """A trial that is saved after some epochs and goes on in another trainer."""
    path = kept / "part.pt"
    if over is None:
        trainer = Trainer(TrialConfig(**spec["config"]))
        for _ in range(spec["at"]):
            next(trainer)
        trainer.save(path)
    else:
        shutil.copy(over / "part.pt", path)
    return {"trials": [_finished(Trainer.load(path))]}


def _finished(trainer: Trainer) -> Tree:
    records = {}
    for record in trainer:
        records[str(record.epoch)] = plain(without_times(asdict(record)))
    trainer.save("state.pt")
    saved = saved_state(Path("state.pt"))
    return saved | {"digest": trainer.config.digest, "epochs": saved["epochs"] | records}


def run_store(spec: Spec, kept: Path, over: Path | None) -> Tree:
    """Trials over one epoch store by the command line, and then `later` ones over what is there."""
    store = Path("store")
    if over is not None:
        shutil.copytree(over / "store", store)
    trials: list[Tree] = []
    for i, step in enumerate(spec["trials"]):
        trials.append(_step(step, f"out{i}", store, trials))
    contents = store_contents(store)
    shutil.copytree(store, kept / "store")
    later = [_step(step, f"later{i}", store, trials) for i, step in enumerate(spec["later"])]
    result = {"trials": trials, "store": contents, "later": later}
    return result | {"later_store": store_contents(store), "study": _study()}


def _step(step: Spec, out: str, store: Path, before: list[Tree]) -> Tree:
    """One call of the command line; the trial that it leaves, if it trains one."""
    if "command" in step:
        return {"exit": _command(step["command"])}
    config = dict(step["config"])
    if "architecture_of" in step:
        epochs = before[step["architecture_of"]]["epochs"]
        config["architecture"] = epochs[str(len(epochs))]["architecture"]
    stored = ["--store", str(store)] if step.get("stored", True) else []
    code = _command(["train", "--out", out, *stored, *step.get("options", []), *_options(config)])
    if code == 2:
        return REFUSED
    if "rewind" in step:
        (state,) = Path(out, "states").glob(f"{step['rewind']:05d}.*")
        shutil.copy(state, Path(out, "state").with_suffix(state.suffix))
        code = _command(["resume", out])
    (state,) = Path(out).glob("state.*")  # its suffix depends on the revision
    return saved_state(state) | {"exit": code}


def _options(config: dict[str, Any]) -> list[str]:
    arguments = []
    for name, value in config.items():
        values = value if isinstance(value, list) else [value]
        arguments += [f"--{name.replace('_', '-')}", *map(str, values)]
    return arguments


def _study() -> Tree:
    """The results of all steps as one study: its table of trials, and that of found networks."""
    outs = sorted(Path().glob("*/study.json"))
    study = outs[0].parent
    for out in outs[1:]:
        for path in out.parent.glob("trials/*.parquet"):
            table = pq.read_table(path).replace_schema_metadata(None)  # which names its study
            pq.write_table(table, study / "trials" / path.name)
    trials = summarize(read_study(study))
    tables = {"trials": trials, "found": found_networks(trials)}
    rows = {name: table.to_dict("records") for name, table in tables.items()}
    return {
        name: {row["trial_id"]: plain(without_times(row)) for row in table}
        for name, table in rows.items()
    }


def run_plan(spec: Spec, kept: Path, over: Path | None) -> Tree:
    """The numbers that `growsearch plan` prints."""
    Path("space.py").write_text(spec["space"])
    printed = io.StringIO()
    code = _command(["plan", "space.py", *spec["arguments"]], printed)
    return {"exit": code, "numbers": re.findall(r"\d[\d,.]*", printed.getvalue())}


def _command(arguments: list[str], printed: io.StringIO | None = None) -> int:
    with contextlib.redirect_stdout(printed or io.StringIO()):
        try:
            return main(arguments)
        except SystemExit as error:  # argparse's way to refuse
            return int(error.code or 0)


RUNNERS: dict[str, Callable[[Spec, Path, Path | None], Tree]] = {
    "configs": run_configs,
    "train": run_train,
    "resume": run_resume,
    "store": run_store,
    "plan": run_plan,
}


def run_case(case: Spec, kept: Path, over: Path | None) -> Tree:
    """What a case comes to; an error that is no InputError is noted, and its trace printed."""
    try:
        return RUNNERS[case["kind"]](case["spec"], kept, over)
    except InputError:
        return REFUSED
    except Exception as error:
        print(case["name"])
        traceback.print_exc()
        return {"crashed": f"{type(error).__name__}: {error}"}


def work(cases: list[Spec], results: Path, over: Path | None) -> None:
    """Run each case that has no result and that no other worker has claimed."""
    folder = Path.cwd()
    for case in cases:
        target = results / f"{case['id']}.json"
        scratch = folder / "scratch" / case["id"]
        if target.exists():
            continue
        try:
            scratch.mkdir(parents=True)  # this is the claim
        except FileExistsError:
            continue
        (scratch / "data").symlink_to(folder / "data")
        kept = results / "kept" / case["id"]
        shutil.rmtree(kept, ignore_errors=True)
        kept.mkdir(parents=True)
        os.chdir(scratch)
        started = time.process_time()
        result = run_case(case, kept, over and over / "kept" / case["id"])
        os.chdir(folder)
        _empty(scratch)
        seconds = time.process_time() - started
        unfinished = target.with_suffix(".unfinished")
        unfinished.write_text(json.dumps({"cpu_seconds": seconds, "result": result}))
        os.replace(unfinished, target)


def _empty(folder: Path) -> None:
    """Remove what is in `folder`; the folder itself stays, as the claim."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("cases", type=Path)
    parser.add_argument("results", type=Path)
    parser.add_argument("--over", type=Path)
    given = parser.parse_args()
    expected = Path(os.environ["PYTHONPATH"]).resolve()
    found = Path(growsearch.__file__).resolve()
    assert found.is_relative_to(expected), f"growsearch is {found}, not below {expected}"
    torch.set_num_threads(1)
    work(json.loads(given.cases.read_text()), given.results, given.over)

"""Files of strangers, made by studies.py: no command that reads them does anything else."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import studies
from conftest import ROOT

MEGABYTES, SECONDS = 300, 60


@pytest.mark.slow
def test_what_a_stranger_sends_is_read_or_refused_and_nothing_else_happens(tmp_path):
    """Beside what the commands say, Python's audit events, memory, time, and all files elsewhere,
    among them an epoch store of the user's, before and after each command."""
    folder = tmp_path / "files"
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("reading.py"), folder],
        env=os.environ | dict.fromkeys(("XDG_CACHE_HOME", "MPLCONFIGDIR"), str(folder / "cache")),
        capture_output=True, text=True, timeout=500, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    results = [json.loads(line) for line in done.stdout.splitlines()]
    by_name: dict[str, list[dict]] = {}
    for result in results:
        by_name.setdefault(result["name"], []).append(result)
        shown = {name: value for name, value in result.items() if name != "said"}
        assert not result["failed"], result["failed"]
        if result["name"] == "honest":
            continue
        assert not result["seen"], shown
        assert result["megabytes"] < MEGABYTES, shown
        assert result["seconds"] < SECONDS, shown
        assert "\x1b" not in result["said"], shown
    assert sorted(by_name) == sorted([*studies.HOSTILE, "honest"])
    for name, made in studies.HOSTILE.items():
        said = {result["command"]: result["said"] for result in by_name[name]}
        refusal = said.pop("resume", "")
        assert made.resume in refusal, (name, refusal)
        assert any(made.says in text for text in said.values()), (name, said)
    assert not (folder / "proof").exists()
    assert (folder / "outside/precious").read_text() == "precious"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["files"]
    for page in folder.glob("*/study/report.html"):
        assert "<script>alert" not in page.read_text(), page


DOES = """
import os, sys
from pathlib import Path
from pyarrow import fs
from watch import Watch, changes, tree

folder = Path(sys.argv[1])
watch, before = Watch(folder / "theirs"), tree(folder, but=["theirs"])
with watch.watching() as seen:
    os.rename(folder / "theirs/a", folder / "theirs/b")
    os.remove(folder / "theirs/b")
    assert not seen, seen
    os.rename(folder / "theirs/c", folder / "mine/c")
    os.remove(folder / "mine/a")
    fs.LocalFileSystem().delete_file(str(folder / "mine/b"))
print(*(line.split()[0] for line in seen), *changes(before, tree(folder, but=["theirs"])), sep=",")
"""


def test_what_is_changed_elsewhere_is_seen_though_it_is_done_in_another_language(tmp_path):
    for name in ("theirs/a", "theirs/c", "mine/a", "mine/b", "mine/kept"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    done = subprocess.run(
        [sys.executable, "-c", DOES, tmp_path], text=True, stdout=subprocess.PIPE, check=True,
        env=os.environ | {"PYTHONPATH": f"{Path(__file__).parent}:{ROOT}"},
    )  # fmt: skip
    assert done.stdout.strip().split(",") == [
        "os.rename", "os.remove", "changes 'mine/a'", "changes 'mine/b'", "changes 'mine/c'",
    ]  # fmt: skip

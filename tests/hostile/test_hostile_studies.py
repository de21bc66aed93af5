"""Files of strangers, made by studies.py: no command that reads them does anything else."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import studies
from conftest import first_quick

QUICK = [
    "a-network-that-is-unpickled", "a-state-that-is-unpickled", "a-network-of-a-trillion-blocks",
    "arrays-that-are-unpickled",
]  # fmt: skip
OTHERS = [name for name in studies.HOSTILE if name not in QUICK]
MEGABYTES, SECONDS = 300, 60


@pytest.mark.parametrize("names", first_quick([QUICK, OTHERS], quick=1), ids=["quick", "others"])
def test_what_a_stranger_sends_is_read_or_refused_and_nothing_else_happens(names, tmp_path):
    """Beside what the commands say, Python's audit events, memory, time and files elsewhere."""
    folder = tmp_path / "files"
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("reading.py"), folder, *names],
        env=os.environ | {"XDG_CACHE_HOME": str(folder / "cache"), "MPLCONFIGDIR": str(folder)},
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
    assert sorted(by_name) == sorted([*names, "honest"])
    for name in names:
        made = studies.HOSTILE[name]
        said = {result["command"]: result["said"] for result in by_name[name]}
        refusal = said.pop("resume", "")
        assert made.resume in refusal, (name, refusal)
        assert any(made.says in text for text in said.values()), (name, said)
    assert not (folder / "proof").exists()
    assert (folder / "precious").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["files"]
    for page in folder.glob("*/study/report.html"):
        assert "<script>alert" not in page.read_text(), page

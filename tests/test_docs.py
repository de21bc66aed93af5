"""README and docs/: their Python blocks run, their commands exist, their links lead somewhere.

The Python blocks of a page are one program. `<!-- setup ... -->` in a page holds lines of it that
readers do not see, and `<!-- slow -->` or `<!-- long -->` marks a page whose test is.
"""

import re
import runpy
import shlex
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from itertools import takewhile
from pathlib import Path

import pytest
from conftest import ROOT

import growsearch
from growsearch.trial.components import EVERY_KIND, registered
from growsearch.trial.config import TrialConfig
from growsearch.trial.own_options import trial_options

MADE = {"reference", "project"}  # generated, or another file
PAGES = [
    ROOT / "README.md",
    *(path for path in sorted((ROOT / "docs").rglob("*.md")) if path.parent.name not in MADE),
]


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def program(path: Path) -> str:
    """The Python blocks of a page, with the lines that readers do not see."""
    found = re.findall(r"<!-- setup\n(.*?)-->|```python\n(.*?)```", path.read_text(), re.DOTALL)
    return "\n".join(setup or shown for setup, shown in found)


def commands(path: Path) -> list[list[str]]:
    """The arguments of each growsearch command that stands in a block of the page."""
    text = path.read_text()
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    blocks += re.findall(r"(?m)(?:^    .*\n)+", re.sub(r"(?s)```.*?```|<!--.*?-->", "", text))
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    split = [shlex.split(line, comments=True) for line in lines if "growsearch " in line]
    found = [words[words.index("growsearch") + 1 :] for words in split if "growsearch" in words]
    return [list(takewhile(lambda word: word not in (">", "|"), words)) for words in found]


LANES = [pytest.mark.slow, pytest.mark.long]
RUN = [
    pytest.param(
        path, id=name(path), marks=[m for m in LANES if f"<!-- {m.name} -->" in path.read_text()]
    )
    for path in PAGES
    if program(path)
]


@pytest.mark.parametrize("path", RUN)
def test_the_python_blocks_of_a_page_run(path, tmp_path, monkeypatch, own_registry, own_ray):
    """Those of a slow page as a program of its own: the processes of searches read its file."""
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "page.py"
    file.write_text(f"from pathlib import Path\nROOT = Path({str(ROOT)!r})\n{program(path)}")
    if "<!-- slow -->" not in path.read_text():
        runpy.run_path(str(file), run_name="__main__")
        return
    ran = subprocess.run(
        [sys.executable, str(file)], env=own_ray | {"PYTHONPATH": str(ROOT)},
        capture_output=True, text=True,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-3000:]


@pytest.mark.parametrize("path", [path for path in PAGES if commands(path)], ids=name)
def test_the_commands_of_a_page_exist_with_their_options(path, monkeypatch, capsys, own_registry):
    from growsearch.checks.target import find_target, targets_in
    from growsearch.cli.options import chosen_options
    from growsearch.cli.parser import _parser, _plugin_names
    from growsearch.trial.plugins import load_plugins

    monkeypatch.chdir(ROOT)
    for arguments in commands(path):
        load_plugins(_plugin_names(arguments))
        for target in targets_in(arguments[1:]) if arguments[0] == "check-task" else ():
            find_target(target)
        try:
            parsed = _parser().parse_args(arguments)
        except SystemExit:
            pytest.fail(f"growsearch {' '.join(arguments)}: {capsys.readouterr().err}")
        if parsed.command == "train":
            TrialConfig(**chosen_options(parsed))
        if parsed.command in ("search", "plan") and parsed.space != "my_space.py":
            assert (ROOT / f"search_spaces/{parsed.space}.py").is_file()


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_the_links_of_a_page_lead_to_files(path):
    """Those into the reference lead to pages that the generator makes."""
    for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", path.read_text()):
        if "reference/" not in target:
            assert (path.parent / target).exists(), target


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_the_tests_that_a_page_names_exist(path):
    """After the name of a file, in that file."""
    there = {
        name(file): set(re.findall(r"def (test_\w+)", file.read_text()))
        for file in (ROOT / "tests").rglob("*.py")
    }
    for line in path.read_text().splitlines():
        file = ""
        for found in re.findall(r"`((?:T|tests)/[\w/]+\.py|test_\w+)`", line):
            if found.endswith(".py"):
                file = found.replace("T/", "tests/", 1)
                assert file in there, found
            else:
                assert any(found in there[f] for f in ([file] if file else there)), found


def test_the_readme_is_short_and_its_pictures_are_there():
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) < 130
    assert re.findall(r"\((docs/\w+\.png)\)", text)


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """The generated pages, by name."""
    spec = spec_from_file_location("generate", ROOT / "docs/generate.py")
    generate = module_from_spec(spec)
    spec.loader.exec_module(generate)
    folder = tmp_path_factory.mktemp("reference")
    generate.write(folder)
    return {str(p.relative_to(folder).with_suffix("")): p.read_text() for p in folder.rglob("*.md")}


def test_the_reference_has_every_command_and_option(reference):
    from growsearch.cli.parser import _parser

    page = reference["commands"]
    (found,) = [a for a in _parser()._actions if hasattr(a, "choices") and a.choices]
    for command, parser in found.choices.items():
        assert f"\n## growsearch {command}\n" in page
        for action in parser._actions:
            for option in action.option_strings[-1:]:
                assert option == "--help" or f"`{option}`" in page, (command, option)


def test_the_reference_has_every_component_with_its_options(reference):
    for cls in registered():
        page = reference[f"components/{cls.kind}"]
        assert f"\n## {cls.name}\n" in page
        assert all(f"`--{option.replace('_', '-')}`" in page for option in cls.options())
    assert set(EVERY_KIND) == {
        p.partition("/")[2] for p in reference if p.startswith("components/")
    }
    assert all(f"`--{o.replace('_', '-')}`" in reference["components"] for o in trial_options())


def test_the_reference_has_every_public_name_and_column(reference):
    from growsearch.study.schema import schema

    assert all(f"\n## {public}\n" in reference["python"] for public in growsearch.__all__)
    assert all(f"`{column}`" in reference["files"] for column in schema().names)

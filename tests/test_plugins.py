"""Components of a user's own: from files, modules, search-space files and installed packages."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, first_quick, record, run

from growsearch import InputError, Study, TrialConfig
from growsearch.cli import main
from growsearch.searches.recorded import read_recording
from growsearch.study.folder import create_study
from growsearch.study.plugins import describe, keep_plugins
from growsearch.study.recording import record_study
from growsearch.study.results import write_trial
from growsearch.trial import components as registry
from growsearch.trial.components import component, components, registering
from growsearch.trial.plugins import Plugin, find_plugin, load_plugins
from growsearch.tuning.tuner import resume_search

EXAMPLES = {
    "plateau.py": ("policy", "plateau", {"epochs": 4, "patience_epochs": 1, "doublings": 1}),
    "scaled_down.py": (
        "initializer", "scaled-down",
        {"epochs": 3, "policy": "fixed", "growth_epochs": "1", "residual_scale": 0.2},
    ),
    "stripes.py": ("dataset", "stripes", {"epochs": 2, "policy": "none", "noise": 0.1}),
    "slim.py": ("network", "slim2resnet", {"epochs": 2, "policy": "none", "architecture": "1-2"}),
    "inverse_root.py": ("lr_schedule", "inverse-root", {"epochs": 3, "policy": "none", "flat": 1}),
    "rmsprop.py": ("optimizer", "rmsprop", {"epochs": 2, "policy": "none", "smoothing": 0.9}),
}  # fmt: skip
"""Each example: the kind and name of its component, and options of a trial that uses it."""
FAST = {"train_size": 100, "lr": 0.01, "precision": "float32", "compile": "off", "device": "cpu"}


@pytest.fixture(autouse=True)
def _registry_as_it_was():
    """What a test registers is forgotten after it."""
    for kind in registry.EVERY_KIND:
        components(kind)
    before = {kind: dict(known) for kind, known in registry._REGISTRY.items()}
    yield
    registry._REGISTRY.clear()
    registry._REGISTRY.update(before)
    for name in [name for name in sys.modules if name.startswith("growsearch_plugin_")]:
        del sys.modules[name]


def written(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


POLICY = """
from dataclasses import dataclass
from growsearch import Policy, option, register

@register("policy", "{name}")
@dataclass(frozen=True, kw_only=True)
class Never(Policy):
    '''Never grow.'''
    {option}

    def decide(self, trial, history):
        {body}
"""


def policy(name="never", option='spare: int = option(1, "nothing")', body="return None"):
    return POLICY.format(name=name, option=option, body=body)


@pytest.mark.parametrize("example", first_quick([*EXAMPLES], 2))
def test_each_example_trains_by_the_command_line_and_its_option_is_a_column(example, tmp_path):
    """The same trial by the class in Python has the same records."""
    from growsearch import Trainer, read_study

    kind, name, options = EXAMPLES[example]
    given = {kind: name, **FAST, **options}
    flags = [part for n, v in given.items() for part in (f"--{n.replace('_', '-')}", str(v))]
    plugin = str(ROOT / "examples" / example)
    assert main(["train", "--plugin", plugin, *flags, "--out", str(tmp_path / "one")]) == 0
    study = read_study(tmp_path / "one")
    assert set(study[f"config/{kind}"]) == {name}
    for option in component(kind, name).options().keys() & options.keys():
        assert set(study[f"config/{option}"]) == {options[option]}
    records = list(Trainer(TrialConfig(**given)))
    assert [r.val_loss for r in records] == study["val_loss"].tolist()
    assert [r.key for r in records] == study["key"].tolist()


def test_the_plateau_policy_grows_where_the_loss_has_not_fallen():
    """By hand: the loss falls, then twice it does not."""
    from conftest import record

    from growsearch import History

    load_plugins([str(ROOT / "examples/plateau.py")])
    trial = TrialConfig(policy="plateau", patience_epochs=2, epochs=20)
    losses = [3.0, 2.0, 2.5, 2.2]
    history = History(record(n, val_loss=loss) for n, loss in enumerate(losses, start=1))
    assert trial.policy.decide(trial, History(history[:3])) is None
    assert str(trial.policy.decide(trial, history).architecture) == "4-4-4"


def test_the_energy_of_an_example_is_the_tables_power_times_the_seconds(tmp_path):
    from growsearch import read_study

    plugin = str(ROOT / "examples/energy.py")
    flags = "--policy none --architecture 3-3-3 --epochs 2 --train-size 60 --precision float32"
    arguments = ["train", "--plugin", plugin, *flags.split(), "--compile", "off"]
    assert main([*arguments, "--out", str(tmp_path / "one")]) == 0
    study = read_study(tmp_path / "one")
    assert study["cost/energy"].tolist() == pytest.approx(
        (14.0 * study["seconds"].cumsum()).tolist()
    )


@pytest.mark.slow
def test_a_plugin_is_loaded_by_the_actors_of_a_search_and_the_study_keeps_it(tmp_path, ray):
    space = written(
        tmp_path / "space.py",
        "from ray import tune\nparam_space = {'policy': 'plateau', 'epochs': 3, 'train_size': 60,\n"
        "    'lr': 0.05, 'patience_epochs': tune.grid_search([1, 2]), 'precision': 'float32'}\n",
    )
    plugin, out = str(ROOT / "examples/plateau.py"), tmp_path / "study"
    one = ["--max-concurrent", "1"]
    assert main(["search", space, "--plugin", plugin, *one, "--out", str(out)]) == 0
    info = json.loads((out / "study.json").read_text())
    (listed,) = info["plugins"]
    kept = out / "plugins" / listed["file"]
    assert kept.read_text() == Path(plugin).read_text()
    kept.write_text(kept.read_text() + "\n# changed\n")
    with pytest.raises(InputError, match=r"plateau-.*was changed since the study began; restore"):
        resume_search(out)


@pytest.mark.slow
def test_reading_a_study_does_not_load_its_plugin(tmp_path):
    """In a process of its own, where the plugin's file is gone."""
    plugin = written(tmp_path / "never.py", policy())
    flags = [
        "--policy",
        "never",
        "--spare",
        "3",
        "--epochs",
        "1",
        "--train-size",
        "60",
        "--precision",
        "float32",
    ]
    assert main(["train", "--plugin", plugin, *flags, "--out", str(tmp_path / "one")]) == 0
    Path(plugin).unlink()
    code = (
        "from growsearch import read_study, summarize\n"
        f"trials = summarize(read_study({str(tmp_path / 'one')!r}))\n"
        "print(trials['config/policy'][0], trials['config/spare'][0])\n"
        "from growsearch.cli import main\n"
        f"raise SystemExit(main(['report', {str(tmp_path / 'one')!r}]))"
    )
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert made.stdout.startswith("never 3\n")


@pytest.mark.slow
def test_a_record_keeps_the_plugins_that_its_errors_name(tmp_path):
    plugin = find_plugin(written(tmp_path / "never.py", policy()))
    plugin.load()
    folder = create_study(tmp_path / "study", searched=[], plugins=describe([plugin]))
    keep_plugins(folder, [plugin])
    last = record(1, status="completed", key="one")
    write_trial(folder, "00000", TrialConfig(policy="never"), [last])
    del registry._REGISTRY["policy"]["never"]
    recorded = tmp_path / "recorded"
    for _ in range(2):  # again, in place of the old one
        record_study(folder, recorded)
    (copy,) = (recorded / "plugins").iterdir()
    assert copy.read_text() == policy()
    for read in (Study(recorded).config, lambda: read_recording(recorded)):
        with pytest.raises(InputError, match=re.escape(f"add --plugin {copy} (in Python")):
            read()


@pytest.mark.slow
def test_the_best_trial_is_found_without_its_plugin_and_its_command_trains_it_again(tmp_path):
    """In a process of its own. The command loads the study's copy of the plugin."""
    from growsearch import read_study

    text = policy(option='spare: tuple[int, ...] = option((1,), "nothing")')
    plugin, out, again = written(tmp_path / "never.py", text), tmp_path / "one", tmp_path / "again"
    flags = ["--policy", "never", "--spare", "3", "4", "--epochs", "2", "--train-size", "60"]
    assert main(["train", "--plugin", plugin, *flags, "--lr", "0.05", "--out", str(out)]) == 0
    Path(plugin).unlink()

    def growsearch(*arguments: str) -> str:
        command = [sys.executable, "-m", "growsearch", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return done.stdout

    found = json.loads(growsearch("best", str(out), "--json"))
    assert (found["config"]["spare"], found["config"]["lr"]) == ("3 4", 0.05)
    assert "policy=never" in growsearch("best", str(out))
    _, *words = shlex.split(found["command"])
    assert "plugins" in words[2]
    growsearch(*words, "--out", str(again))
    assert read_study(again)["key"].tolist() == read_study(out)["key"].tolist()


def test_components_of_a_search_space_file_are_its_plugin(tmp_path):
    from growsearch.tuning.search_space import load_spaces, space_plugins

    text = policy("of-the-space") + "\nparam_space = {'policy': 'of-the-space', 'epochs': 2}\n"
    space = written(tmp_path / "space.py", text)
    assert load_spaces(space) == [{"policy": "of-the-space", "epochs": 2}]
    assert [plugin.source for plugin in space_plugins(space)] == [text]


def test_the_hash_of_an_initializers_source_is_in_the_keys_of_growths_alone():
    """A policy's is in no key: what it decides is."""
    from growsearch.epochs.keys import keyed
    from growsearch.trial.options import Role

    load_plugins([str(ROOT / "examples/scaled_down.py"), str(ROOT / "examples/plateau.py")])
    trial = TrialConfig(policy="plateau", initializer="scaled-down")
    digest = find_plugin(str(ROOT / "examples/scaled_down.py")).digest
    assert keyed(trial, Role.GROWTH)["initializer.plugin"] == digest
    assert not [name for name in keyed(trial, Role.NETWORK, Role.EPOCH) if "plugin" in name]


def test_modules_that_a_plugin_imports_are_in_its_keys(tmp_path, monkeypatch):
    """Directly, through another one, within a function, for a constant, from a package, and as
    the home of a base class; not what is installed.
    """
    from growsearch.epochs.keys import keyed
    from growsearch.trial import sources
    from growsearch.trial.options import Role

    monkeypatch.syspath_prepend(tmp_path)
    for name, text in {
        "own_deep": "WIDTH = 4\n",
        "own_model": "import own_deep\n\ndef made(depth):\n    return own_deep.WIDTH * depth\n",
        "own_base": "from growsearch.growth.new_blocks import NewBlocks\n\n"
        "class Base(NewBlocks):\n    pass\n",
        "own_settings": "SHARE = 0.5\n",
        "own_late": "from own_folder import inner\n\nVALUE = inner.VALUE\n",
        "own_folder/__init__": "",
        "own_folder/inner": "from .innermost import VALUE\n",
        "own_folder/innermost": "VALUE = 1\n",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        written(tmp_path / f"{name}.py", text)
    text = """
from dataclasses import dataclass
import torch
from growsearch import register
from own_base import Base
from own_model import made
from own_settings import SHARE

@register("initializer", "importing")
@dataclass(frozen=True, kw_only=True)
class Importing(Base):
    def initialize(self, block, *, new, step, draw):
        from own_late import VALUE

        made(SHARE * VALUE)
"""
    load_plugins([written(tmp_path / "importing.py", text), str(ROOT / "examples/scaled_down.py")])

    def keys():
        return keyed(TrialConfig(initializer="importing"), Role.GROWTH)

    before = keys()
    assert keys() == before
    for path in sorted(tmp_path.rglob("own_*.py")) + sorted(tmp_path.glob("own_folder/*.py")):
        name = path.stem
        was = path.read_text()
        path.write_text(was + "# changed\n")
        sources._READ.clear()
        assert {n for n in before if keys()[n] != before[n]} == {"initializer.imports"}, name
        path.write_text(was)
    sources._READ.clear()
    assert keys() == before
    alone = keyed(TrialConfig(initializer="scaled-down"), Role.GROWTH)
    assert "initializer.plugin" in alone and "initializer.imports" not in alone


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (policy(name="lipschitz"), "policy 'lipschitz' is taken by growsearch.policies.lipgrow"),
        (policy(option='rtol: int = option(1, "x")'), "option 'rtol' of policy 'never' is also"),
        (policy(option="spare: int = 1"), "field 'spare' states no help, rule and role"),
        (policy(option='spare: list = option(1, "x")'), "annotate it str, int or float"),
        (policy(option='spare: int = option(0, "x", least=1)'), "spare must be at least 1"),
        (policy().replace("def decide", "def decides"), "'never' (growsearch_plugin_"),
        (policy().replace("Never(Policy)", "Never"), "is no component; derive it"),
        (policy().replace("@dataclass(frozen=True, kw_only=True)\n", ""), "decorate it with @data"),
        (policy().replace('"policy"', '"polcy"'), "unknown kind 'polcy'; did you mean 'policy'"),
        (policy().replace('"policy"', '"optimizer"'), "registered as optimizer, but its base"),
        (policy(name="my policy"), "cannot be called 'my policy'; use letters"),
        (policy(option="reads = ('acuracy',)"), "reads 'acuracy'; did you mean 'accuracy'"),
        (policy(option="reads = 'accuracy'"), "says reads = 'accuracy'; write ('accuracy',)"),
        (
            policy(option='spare: int = option(1, "x", role="epochs")'),
            "option 'spare' has the role 'epochs'; did you mean 'epoch'",
        ),
        ("import nothing_like_it", "in line 1: ModuleNotFoundError"),
        ("\nx = = 1", "in line 2: SyntaxError"),
        ("raise SystemExit(3)", "in line 1: SystemExit: 3"),
    ],
)
def test_a_plugin_that_cannot_be_used_is_one_line_and_registers_nothing(tmp_path, text, named):
    plugin, before = find_plugin(written(tmp_path / "mine.py", text)), dict(components("policy"))
    with pytest.raises(InputError) as caught:
        plugin.load()
    assert named in str(caught.value) and "mine.py" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert components("policy") == before


def test_a_plugin_that_was_edited_after_it_was_loaded_says_to_start_python_again(tmp_path):
    file = written(tmp_path / "mine.py", policy())
    load_plugins([file])
    written(tmp_path / "mine.py", policy() + "# edited\n")
    told = "mine.py was changed since its policy 'never' was loaded from it; start Python again"
    with pytest.raises(InputError, match=told):
        load_plugins([file])
    other = written(tmp_path / "other.py", policy() + "# another\n")
    with pytest.raises(InputError, match=r"is taken by .*mine\.py; register that of .*other\.py"):
        load_plugins([other])


def test_a_plugin_that_registers_nothing_is_told_on_the_command_line(tmp_path, capsys):
    file = written(tmp_path / "mine.py", policy().replace('@register("policy", "never")\n', ""))
    assert main(["train", "--plugin", file, "--epochs", "1"]) == 2
    told = "registers no component; decorate Never with @register('policy', NAME)"
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "--data-dir", "--plugin={}", "--epochs", "1"],
        ["train", "--epochs", "--plugin", "{}"],
        ["best", "study", "--cost", "--plugin={}"],
        ["best", "study", "--", "--plugin={}"],
        ["report", "--plugin={}"],
        ["store", "ls", "--plugin", "{}"],
        ["--plugin", "{}", "train"],
    ],
    ids=" ".join,
)
def test_what_is_no_option_of_the_command_loads_no_plugin(tmp_path, capsys, arguments):
    ran = tmp_path / "ran"
    file = written(tmp_path / "mine.py", f"open({str(ran)!r}, 'w')")
    code, _, err = run(capsys, *(argument.format(file) for argument in arguments))
    assert code == 2 and err
    assert not ran.exists()


def test_the_command_line_names_a_plugin_that_is_not_there(capsys):
    assert main(["train", "--plugin", "nowhere.py", "--epochs", "1"]) == 2
    assert "plugin 'nowhere.py' cannot be read" in capsys.readouterr().err
    assert main(["list", "--plugin", "no_such_module"]) == 2
    assert "neither a file nor a module" in capsys.readouterr().err


def test_an_entry_point_that_fails_names_its_package(monkeypatch):
    from importlib.metadata import EntryPoint

    from growsearch.trial import installed

    point = EntryPoint("x", "not_installed_anywhere", installed.GROUP)
    monkeypatch.setattr(installed, "entry_points", lambda group: [point])
    with pytest.raises(InputError, match="'not_installed_anywhere' offers growsearch components"):
        installed.load_installed(registering)

    monkeypatch.setattr(
        installed,
        "entry_points",
        lambda group: [EntryPoint("x", "no_package.parts", installed.GROUP)],
    )
    with pytest.raises(InputError, match=r"'no_package\.parts' offers growsearch components"):
        installed.load_installed(registering)


def test_an_entry_point_that_fails_is_told_each_time(tmp_path):
    about = tmp_path / "broken-1.0.dist-info"
    about.mkdir()
    written(about / "METADATA", "Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    written(about / "entry_points.txt", "[growsearch]\nparts = nowhere_at_all\n")
    script = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from growsearch import InputError, TrialConfig\n"
        "for _ in range(2):\n"
        "    try:\n        TrialConfig()\n"
        "    except InputError as error:\n        print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.count("package 'broken' offers growsearch components that cannot be") == 2


INITIALIZER = """
from dataclasses import dataclass
from growsearch import register
from growsearch.growth.new_blocks import NewBlocks
{more}
@register("initializer", "elsewhere")
@dataclass(frozen=True, kw_only=True)
class Elsewhere(NewBlocks):
    def initialize(self, block, *, new, step, draw):
        pass
"""


def hashes_in_a_new_process(folder: Path, load: str) -> list[str]:
    """What keys hold of the source of initializer "elsewhere", once `load` has registered it."""
    script = (
        f"import json, sys; sys.path.insert(0, {str(folder)!r})\n"
        "from growsearch.trial.components import component\n"
        "from growsearch.trial.sources import imported_digest\n"
        f"{load}\n"
        "found = component('initializer', 'elsewhere')\n"
        "print(json.dumps([found.plugin, imported_digest(found)]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return json.loads(done.stdout)


def test_the_module_that_a_plugin_has_its_component_from_is_in_its_keys(tmp_path):
    written(tmp_path / "my_parts.py", INITIALIZER.format(more=""))
    plugin = written(tmp_path / "plugin.py", "import my_parts\n")
    load = f"from growsearch.trial.plugins import load_plugins; load_plugins([{plugin!r}])"
    before = hashes_in_a_new_process(tmp_path, load)
    assert hashes_in_a_new_process(tmp_path, load) == before
    written(tmp_path / "my_parts.py", INITIALIZER.format(more="STEP = 2"))
    assert hashes_in_a_new_process(tmp_path, load) != before


def test_every_file_of_an_installed_package_is_in_the_keys_of_its_components(tmp_path):
    """As of a distribution in site-packages."""
    site = tmp_path / "site-packages"
    (site / "some_parts").mkdir(parents=True)
    about = site / "some_parts-1.dist-info"
    about.mkdir()
    written(about / "METADATA", "Metadata-Version: 2.1\nName: some-parts\nVersion: 1\n")
    written(about / "entry_points.txt", "[growsearch]\nparts = some_parts\n")
    written(site / "some_parts/__init__.py", "from some_parts import initializers\n")
    written(site / "some_parts/sizes.py", "STEP = 1\n")
    written(site / "some_parts/initializers.py", INITIALIZER.format(more=""))
    before = hashes_in_a_new_process(site, "")
    assert hashes_in_a_new_process(site, "") == before
    for name in ("initializers", "sizes"):
        was = (site / f"some_parts/{name}.py").read_text()
        written(site / f"some_parts/{name}.py", was + "# changed\n")
        assert hashes_in_a_new_process(site, "") != before, name
        written(site / f"some_parts/{name}.py", was)
    assert hashes_in_a_new_process(site, "") == before


def test_a_module_of_a_package_may_import_its_neighbours_relatively(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_package").mkdir()
    written(tmp_path / "own_package/__init__.py", "")
    written(tmp_path / "own_package/names.py", "STEP = 1\n")
    text = INITIALIZER.format(more="from .names import STEP")
    written(tmp_path / "own_package/parts.py", text)
    load_plugins(["own_package.parts"])
    assert TrialConfig(initializer="elsewhere").initializer.name == "elsewhere"


def test_a_module_that_has_changed_since_the_study_began_is_noticed(tmp_path, monkeypatch):
    from growsearch.study.plugins import describe, find_kept, keep_plugins, load_kept

    monkeypatch.syspath_prepend(tmp_path)
    written(tmp_path / "own_module.py", policy("kept"))
    plugin = find_plugin("own_module")
    study = tmp_path / "study"
    study.mkdir()
    keep_plugins(study, [plugin])
    info = {"plugins": describe([plugin])}
    assert [kept for _, kept in find_kept(study, info)] == [plugin]
    written(tmp_path / "own_module.py", policy("kept") + "# changed\n")
    with pytest.raises(InputError, match="plugin 'own_module' was changed since the study began"):
        load_kept(study, info)


def test_list_shows_kinds_names_options_and_sources(capsys):
    assert main(["list", "policy"]) == 0
    shown = capsys.readouterr().out
    assert "lipschitz-subnetworks" in shown and "LipGrow, section 4.2" in shown
    assert main(["list", "policy", "periodic"]) == 0
    assert "--patience" in (shown := capsys.readouterr().out) and "decision only" in shown
    assert main(["list"]) == 0
    shown = capsys.readouterr().out
    assert all(f"{kind}: " in shown for kind in registry.EVERY_KIND)
    assert main(["list", "policy", "periodc"]) == 2
    assert "did you mean 'periodic'" in capsys.readouterr().err


def test_what_a_failing_block_registers_is_forgotten():
    before = dict(components("policy"))
    text = policy("lost") + "\n1 / 0"
    with pytest.raises(ZeroDivisionError), registering("somewhere"):
        exec(text, {"__name__": "somewhere"})
    assert components("policy") == before


def test_a_plugin_travels_as_text(tmp_path):
    plugin = find_plugin(written(tmp_path / "never.py", policy()))
    Path(plugin.name).unlink()
    Plugin(**vars(plugin)).load()
    assert TrialConfig(policy="never", spare=4).policy.spare == 4

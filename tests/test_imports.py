"""The house has one direction, and whoever stands low in it is not loaded by who stands high."""

import ast
import subprocess
import sys

import pytest
from conftest import ROOT

# fmt: off
ORDER = [
    "errors", "architecture", "options", "choices", "optimizer_changes", "trial_rules", "config",
    "baselines", "history", "machine", "devices", "ranks",
    "lr_schedules", "decisions", "autogrow_policies", "growth_policies", "trial_path", "randomness",
    "data.spec", "data.augmentation", "data.images", "data.host_images", "data.divisions",
    "data.workers", "data.pictures", "data.image_files", "data.decoded", "data.dataset",
    "data.folders", "data.idx", "data.torchvision_files", "data.tiny_imagenet", "data.imagenet",
    "data.decoding", "data.loading", "data",
    "measured", "blocks", "networks", "compiling", "precision", "initializers", "initializing",
    "lipschitz", "theory", "costs", "cost_bounds", "gradients", "train_state", "growth", "training",
    "epoch_keys", "auto_compile", "epoch_store", "claims", "branch", "trainer",
    "results", "pareto", "safe_stopping", "hypervolume", "epsilon_net", "racing",
    "pareto_stopping", "comparisons", "outcomes", "epoch_tree", "landscape", "figures", "report",
    "terminal", "local_trial",
    "tuning.search_space", "tuning.optuna_search", "tuning.sharing", "tuning.plan",
    "tuning.awaited", "tuning.settings", "tuning.cluster", "tuning.shared_data", "tuning.ledger",
    "tuning.budget", "tuning.trial_queue", "tuning.pareto_scheduler", "tuning.population",
    "tuning.schedulers", "tuning.trainable", "tuning.progress", "tuning.logs", "tuning.trial_log",
    "tuning.tuner",
    "commands", "cli", "__main__",
]
# fmt: on
HEAVY = ("torch", "torchvision", "sklearn", "pandas", "matplotlib", "plotly", "ray", "optuna")


def module_name(path) -> str:
    return ".".join(path.relative_to(ROOT / "growsearch").with_suffix("").parts)


PATHS = [path for path in sorted((ROOT / "growsearch").rglob("*.py")) if path.name != "__init__.py"]


def imported(path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "growsearch":
            names.update(f"growsearch.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
        elif isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
    return names


@pytest.mark.parametrize("path", PATHS, ids=module_name)
def test_a_module_imports_only_what_stands_above_it(path):
    above = ORDER[: ORDER.index(module_name(path))]
    ours = {n.removeprefix("growsearch.") for n in imported(path) if n.startswith("growsearch.")}
    assert ours <= {*above, "__version__"}


@pytest.mark.parametrize("path", PATHS, ids=module_name)
def test_ray_is_imported_in_tuning_alone(path):
    if path.parent.name != "tuning":
        assert not [n for n in imported(path) if n.split(".")[0] in ("ray", "optuna")]


def output_of(code: str) -> str:
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return out.stdout


def loaded_after(code: str) -> set[str]:
    code += f"\nimport sys; print(*(set(sys.modules) & set({HEAVY!r})))"
    return set(output_of(code).splitlines()[-1].split())


def test_importing_growsearch_loads_nothing_heavy():
    assert loaded_after("import growsearch; growsearch.TrialConfig()") == set()


def test_help_loads_nothing_heavy():
    code = "from growsearch.cli import main\ntry: main(['train', '--help'])\nexcept SystemExit: 0"
    assert loaded_after(code) == set()


def test_a_local_trial_runs_where_only_torch_numpy_pyarrow_and_rich_are(tmp_path):
    """And scikit-learn, whose digits these are."""
    absent = set(HEAVY) - {"torch", "sklearn"} | {"moocore", "hypothesis", "pytest"}
    arguments = f"train --policy none --epochs 1 --train-size 100 --out {tmp_path}/one"
    code = f"""
import sys
from importlib.machinery import PathFinder

class Rest(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.split(".")[0] in {absent!r} else super().find_spec(name, path, target)

sys.meta_path = [Rest if finder is PathFinder else finder for finder in sys.meta_path]
from growsearch.cli import main
main({arguments.split()!r})"""
    assert "completed after 1 epochs" in output_of(code)


def test_every_public_name_is_found():
    import growsearch

    for name in growsearch.__all__:
        assert getattr(growsearch, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = growsearch.nothing

"""Packages import only those listed before them; `import growsearch` loads nothing heavy."""

import ast
import re
import subprocess
import sys
from graphlib import TopologicalSorter

import pytest
from conftest import ROOT

PACKAGES = [
    "trial", "schedules", "policies", "machine", "growth", "tasks", "training", "epochs",
    "stopping", "trainer", "study", "searches", "comparing", "tuning",
    "reproductions", "checks", "doctor", "cli", "__main__",
]  # fmt: skip
"""The packages; each imports only those listed before it."""
HEAVY = ("torch", "torchvision", "sklearn", "pandas", "matplotlib", "plotly", "ray", "optuna")


def module_name(path) -> str:
    return ".".join(path.relative_to(ROOT / "growsearch").with_suffix("").parts)


PATHS = [path for path in sorted((ROOT / "growsearch").rglob("*.py")) if path.name != "__init__.py"]


def _without_type_checking(tree: ast.Module) -> ast.Module:
    """The module without what only type checkers import."""

    def only_for_types(node: ast.stmt) -> bool:
        return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"

    tree.body = [node for node in tree.body if not only_for_types(node)]
    return tree


def imported(path) -> set[str]:
    names = set()
    for node in ast.walk(_without_type_checking(ast.parse(path.read_text()))):
        if isinstance(node, ast.ImportFrom) and node.module == "growsearch":
            names.update(f"growsearch.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
        elif isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
    return names


def ours(path) -> set[str]:
    """The growsearch modules that a module imports, without the prefix `growsearch.`."""
    names = {n.removeprefix("growsearch.") for n in imported(path) if n.startswith("growsearch.")}
    return names - {"__version__"}


def package(name: str) -> int:
    return PACKAGES.index(name.split(".")[0])


@pytest.mark.parametrize("path", PATHS, ids=module_name)
def test_a_package_imports_only_those_listed_before_it(path):
    assert all(package(name) <= package(module_name(path)) for name in ours(path))


def named_in_text(path) -> set[str]:
    """The modules of ours that the file imports by a name in its text, as import_module does."""
    texts = re.findall(r"import_module\(\s*[\"']growsearch\.([\w.]+)[\"']", path.read_text())
    return {name for name in texts if name in map(module_name, PATHS)}


def test_no_modules_import_each_other_in_a_circle():
    """TopologicalSorter raises CycleError with the cycle."""
    graph = {module_name(path): ours(path) | named_in_text(path) for path in PATHS}
    assert len(list(TopologicalSorter(graph).static_order())) >= len(PATHS)


@pytest.mark.parametrize("path", PATHS, ids=module_name)
def test_ray_is_imported_in_tuning_alone(path):
    if not module_name(path).startswith("tuning."):
        assert not [n for n in imported(path) if n.split(".")[0] in ("ray", "optuna")]


def output_of(code: str) -> str:
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return out.stdout


def loaded_after(code: str) -> set[str]:
    code += f"\nimport sys; print(*(set(sys.modules) & set({HEAVY!r})))"
    return set(output_of(code).splitlines()[-1].split())


def test_importing_growsearch_loads_nothing_heavy():
    assert loaded_after("import growsearch; growsearch.TrialConfig()") == set()


def test_a_search_says_where_its_study_is_before_anything_heavy_is_loaded():
    code = """
import sys
from growsearch.cli import main
sys.modules.update(ray=None, torch=None)  # so that they cannot be imported
try:
    main(["search", "lipgrow", "--out", "nowhere"])
except ImportError:
    print("cannot go on")
"""
    assert output_of(code).splitlines() == [
        "study    nowhere: loading Ray and the data", "cannot go on"
    ]  # fmt: skip


@pytest.mark.parametrize("command", ["train", "search", "resume", "check-task", "reproduce"])
def test_help_loads_nothing_heavy(command):
    code = f"from growsearch.cli import main\ntry: main(['{command}', '--help'])\n"
    assert loaded_after(code + "except SystemExit: 0") == set()


@pytest.mark.slow
def test_a_local_trial_runs_where_only_torch_numpy_pyarrow_and_rich_are(tmp_path):
    """scikit-learn is also there, for its digits."""
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
    assert "completed after 1 epoch," in output_of(code)


@pytest.mark.parametrize("path", sorted((ROOT / "tests").glob("*.py")), ids=lambda p: p.stem)
def test_no_file_imports_a_file_of_tests(path):
    assert not [name for name in imported(path) if name.startswith("test_")]


def test_every_public_name_is_found():
    import growsearch

    for name in growsearch.__all__:
        assert getattr(growsearch, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = growsearch.nothing

import nbformat
import pytest
from conftest import ROOT
from nbclient import NotebookClient

NOTEBOOKS = sorted((ROOT / "analysis").glob("*.ipynb"))


def pictures(notebook) -> int:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return sum("image/png" in output.get("data", {}) for output in outputs)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # warnings of the Jupyter kernel are not ours
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_has_its_pictures_in_the_repository(path):
    notebook = nbformat.read(path, as_version=4)
    kept = pictures(notebook)
    NotebookClient(notebook, resources={"metadata": {"path": str(path.parent)}}).execute()
    assert pictures(notebook) == kept > 0


@pytest.mark.slow
def test_the_front_notebook_shows_the_front_that_the_report_has(tmp_path):
    import shutil

    from growsearch.study.report import write_report

    study = shutil.copytree(ROOT / "analysis/studies/gpt_referee", tmp_path / "study")
    front = write_report(study).front
    notebook = nbformat.read(ROOT / "analysis/pareto_front.ipynb", as_version=4)
    (table,) = [
        output["data"]["text/plain"]
        for cell in notebook.cells
        if cell.source.startswith("front =")
        for output in cell.outputs
    ]
    shown = [line.split()[0] for line in table.splitlines()[1:] if line[:1].isdigit()]
    assert [int(index) for index in dict.fromkeys(shown)] == front.index.tolist()

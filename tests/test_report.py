import json
import re

import pandas as pd
import pytest
from conftest import record

from growsearch.config import TrialConfig
from growsearch.figures import front_figure
from growsearch.pareto import pareto_front
from growsearch.report import write_report
from growsearch.results import create_study, read_study, summarize, write_trial


@pytest.fixture
def study(tmp_path):
    folder = create_study(tmp_path / "<b>study", searched=["rtol"], space="a </script> b")
    for name, ppe, accuracy, status in (
        ("one", 100.0, 90.0, "completed"),
        ("two", 200.0, 95.0, "completed"),
        ("three", 300.0, 94.0, "completed"),
        ("four", 50.0, 10.0, "diverged"),
    ):
        records = [
            record(1, grew=True),
            record(2, architecture="4-4-4", ppe=ppe, val_accuracy=accuracy, status=status,
                   val_loss=float("nan") if status == "diverged" else 1.0),
        ]  # fmt: skip
        write_trial(folder, name, TrialConfig(rtol=1 + ppe / 1000), records)
    return folder


def page_data(page: str) -> dict:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    return json.loads(found.group(1))


def test_the_page_holds_every_trial_its_curve_and_its_growths(study):
    report = write_report(study)
    data = page_data(report.page.read_text())
    trials = {trial["trial_id"]: trial for trial in data["trials"]}
    assert set(trials) == {"one", "two", "three", "four"}
    assert {name for name, trial in trials.items() if trial["optimal"]} == {"one", "two"}
    assert trials["two"]["curve"]["val_accuracy"] == [50.0, 95.0]
    assert trials["two"]["curve"]["architecture"] == ["2-2-2", "4-4-4"]
    assert trials["two"]["growth_epochs"] == "1"
    assert trials["two"]["config/rtol"] == 1.2
    assert trials["four"]["status"] == "diverged"
    assert trials["four"]["val_loss"] is None


def test_the_page_needs_no_network(study):
    page = write_report(study).page.read_text()
    assert "{{" not in re.sub(r"<script>.*?</script>", "", page, flags=re.S)
    markup = re.sub(r"<script[^>]*>.*?</script>", "", page, flags=re.S)
    assert not re.search(r"""(src|href)\s*=|url\(|@import|https?:""", markup)


def test_names_and_texts_cannot_break_the_page(study):
    page = write_report(study).page.read_text()
    assert "<title>&lt;b>study" in page
    assert page_data(page)["info"]["space"] == "a </script> b"


def test_results_of_the_papers_split_say_so(study):
    assert "paper" not in page_data(write_report(study).page.read_text())["title"]
    config = TrialConfig(dataset="cifar10", split="paper")
    write_trial(study, "six", config, [record(1, status="completed")])
    assert "the paper's split" in page_data(write_report(study).page.read_text())["title"]


def test_picture_and_table_show_the_same_front(study):
    report = write_report(study)
    assert report.picture.read_bytes().startswith(b"\x89PNG")
    table = pd.read_csv(report.table)
    assert table["trial_id"].tolist() == report.front["trial_id"].tolist() == ["one", "two"]
    assert table["ppe"].tolist() == [100.0, 200.0]


def test_the_figure_stars_the_front_and_joins_it(study):
    trials = summarize(read_study(study))
    axes = front_figure(trials).axes[0]
    front = pareto_front(trials)[["ppe", "val_accuracy"]].to_numpy().tolist()
    dominated, stars = (c.get_offsets().tolist() for c in axes.collections)
    assert stars == front
    assert dominated == [[300.0, 94.0]]
    assert list(zip(*axes.lines[0].get_data(), strict=True)) == [tuple(p) for p in front]


def test_a_report_is_written_anew_when_the_study_has_gone_on(study):
    write_report(study)
    done = record(1, ppe=10.0, val_accuracy=99.0, status="completed")
    write_trial(study, "five", TrialConfig(), [done])
    assert write_report(study).front["trial_id"].tolist() == ["five"]

import json
import re
import shlex
from itertools import combinations

import pandas as pd
import pytest
from conftest import record, run
from matplotlib.backends.backend_agg import FigureCanvasAgg

from growsearch import Study
from growsearch.cli.parser import _parser
from growsearch.stopping.cost import metric_of, named_metric
from growsearch.study.figures import front_figure
from growsearch.study.folder import create_study
from growsearch.study.page_data import metric_axes, packed
from growsearch.study.pareto import pareto_front
from growsearch.study.report import write_report
from growsearch.study.results import read_study, write_trial
from growsearch.study.summary import summarize
from growsearch.trial.config import TrialConfig


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


def trials_of(data: dict) -> dict[str, dict]:
    """By name, each trial with its curves, from the columns of the page."""
    n, begin, trials = len(data["groups"]), 0, {}
    columns = {c: v["all"] if isinstance(v, dict) else v for c, v in data["trials"].items()}
    for i in range(n):
        same = {c for c, v in data["trials"].items() if isinstance(v, dict)}
        trial = {c: v if c in same else v[i] for c, v in columns.items()}
        end = begin + data["curves"]["lengths"][i]
        trial["curve"] = {c: v[begin:end] for c, v in data["curves"]["numbers"].items()}
        depths = data["curves"]["architectures"]
        trial["depths"] = [depths[d] for d in data["curves"]["architecture"][begin:end]]
        trials[trial["trial_id"]], begin = trial, end
    return trials


def test_the_page_holds_every_trial_its_curve_and_its_growths(study):
    report = write_report(study)
    trials = trials_of(page_data(report.page.read_text()))
    assert set(trials) == {"one", "two", "three", "four"}
    assert trials["two"]["curve"]["val_accuracy"] == [50.0, 95.0]
    assert trials["two"]["depths"] == ["2-2-2", "4-4-4"]
    assert trials["two"]["growth_epochs"] == "1"
    assert trials["two"]["config/rtol"] == 1.2
    assert trials["four"]["status"] == "diverged"
    assert trials["four"]["val_loss"] is None


def test_trials_are_compared_by_the_first_cost_that_their_search_compared(tmp_path):
    settings = {"costs": ["flops", "seconds"]}
    folder = create_study(tmp_path / "study", searched=[], space="", settings=settings)
    for name, ppe, flops in (("small", 1.0, 9e9), ("short", 2.0, 3e9)):
        last = record(1, ppe=ppe, train_flops=flops, val_accuracy=50.0, status="completed")
        write_trial(folder, name, TrialConfig(), [last])
    made = write_report(folder)
    assert list(made.front["trial_id"]) == ["short"]  # by PPE it would be the other
    data = page_data(made.page.read_text())
    assert data["cost"] == {"column": "train_flops", "name": "flops", "label": "training FLOPs"}
    assert Study(folder).figure().axes[0].get_xlabel() == "training FLOPs"


def test_the_page_needs_no_network(study):
    page = write_report(study).page.read_text()
    assert "{{" not in re.sub(r"<script>.*?</script>", "", page, flags=re.S)
    assert "<script src" not in page
    markup = re.sub(r"<script[^>]*>.*?</script>", "", page, flags=re.S)
    assert not re.search(r"""src\s*=|href="[^#]|url\(|@import|https?:""", markup)


def test_names_and_texts_cannot_break_the_page(study):
    page = write_report(study).page.read_text()
    assert "<title>&lt;b>study" in page
    assert page_data(page)["info"]["space"] == "a </script> b"


def test_results_of_the_papers_split_say_so(study):
    assert "paper" not in page_data(write_report(study).page.read_text())["title"]
    config = TrialConfig(dataset="cifar10", split="paper")
    write_trial(study, "six", config, [record(1, status="completed")])
    assert "the paper's split" in page_data(write_report(study).page.read_text())["title"]


@pytest.fixture
def stopped_study(study):
    """`study` with more trials: stopped, paused and audited ones of a Pareto search."""
    stop = {"dominated_by": "two", "slack": 0.0}
    in_ppe = stop | {"bound/ppe": 250.0, "bound/val_accuracy": 94.5}
    in_flops = stop | {"bound/train_flops": 250.0, "bound/val_accuracy": 94.5}
    for name, status, accuracy, stop in (
        ("five", "stopped", 60.0, in_ppe),
        ("six", "stopped", 60.0, in_ppe | {"bound/ppe": 900.0, "bound/val_accuracy": 80.0}),
        ("seven", "stopped", 60.0, in_flops),
        ("eight", "paused", 50.0, {}),
        ("nine", "completed", 94.2, in_ppe),
        ("ten", "completed", 94.8, in_ppe | {"dominated_by": "three"}),
        ("eleven", "diverged", float("nan"), in_ppe),
    ):
        last = record(1, ppe=250.0, val_accuracy=accuracy, status=status)
        write_trial(study, name, TrialConfig(), [last], "why" if stop else None, stop)
    info = json.loads((study / "study.json").read_text())
    info["settings"] = {"scheduler": "pareto"}
    (study / "study.json").write_text(json.dumps(info))
    return study


def test_the_page_has_what_stopped_a_trial_as_numbers(stopped_study):
    data = page_data(write_report(stopped_study).page.read_text())
    trials = trials_of(data)
    five, seven, one = trials["five"], trials["seven"], trials["one"]
    assert (five["dominated_by"], five["bound/ppe"], five["bound/val_accuracy"]) == (
        "two",
        250,
        94.5,
    )
    assert seven["bound/ppe"] is None and seven["bound/train_flops"] == 250
    assert one["dominated_by"] is None and one["bound/ppe"] is None
    assert data["outcomes"] == {"completed": 5, "stopped": 3, "paused": 1, "diverged": 2}
    # "nine" is below the 95 % of "two", "ten" above the 94 % of "three", "eleven" diverged.
    assert data["audit"] == {"judged": 3, "wrong": 1}


def test_a_study_without_the_pareto_scheduler_has_no_audit(study):
    data = page_data(write_report(study).page.read_text())
    assert data["audit"] is None
    assert data["outcomes"] == {"completed": 3, "diverged": 1}


def test_the_figure_has_stopped_trials_at_their_bounds_and_keeps_the_axes(stopped_study):
    trials = summarize(read_study(stopped_study))
    completed = front_figure(trials[trials["status"] == "completed"]).axes[0]
    axes = front_figure(trials).axes[0]
    *_, stopped, paused = axes.collections
    (left, right), (bottom, top) = limits = axes.get_xlim(), axes.get_ylim()
    assert limits == (completed.get_xlim(), completed.get_ylim())
    assert left < 100 < 300 < right < 900 and 50 < bottom < 90 < 95 < top
    assert stopped.get_offsets().tolist() == [[250, 94.5], [right, bottom]]
    assert paused.get_offsets().tolist() == [[250, bottom]]
    inside, beyond = stopped.get_facecolors()
    assert beyond.tolist() == [1, 1, 1, 1] != inside.tolist()
    by_seconds = front_figure(trials, cost="seconds").axes[0]
    assert "stopped, at its bounds" not in {c.get_label() for c in by_seconds.collections}


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


def test_the_labels_of_a_crowded_front_do_not_cover_each_other():
    trials = pd.DataFrame(
        {
            "trial_id": list("abcd"), "status": "completed", "growth_epochs": "8 16",
            "ppe": [100.0, 101.0, 102.0, 300.0], "val_accuracy": [90.0, 90.1, 90.2, 95.0],
        }
    )  # fmt: skip
    figure = front_figure(trials)
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert len(boxes) == 4
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))


def test_a_report_is_written_anew_when_the_study_has_gone_on(study):
    write_report(study)
    done = record(1, ppe=10.0, val_accuracy=99.0, status="completed")
    write_trial(study, "five", TrialConfig(), [done])
    assert write_report(study).front["trial_id"].tolist() == ["five"]


def notes(page) -> str:
    return " ".join(page_data(page.read_text())["notes"])


def test_a_study_without_an_epoch_has_a_page_that_says_so(tmp_path):
    report = write_report(create_study(tmp_path / "empty", searched=["lr"]))
    assert "No epoch has finished yet" in notes(report.page)
    assert len(report.front) == 0


@pytest.mark.parametrize("status", ["diverged", "running"])
def test_a_study_without_a_completed_trial_says_how_its_trials_stand(tmp_path, status):
    folder = create_study(tmp_path / "study", searched=["lr"])
    write_trial(folder, "one", TrialConfig(), [record(1, status=status)])
    said = notes(write_report(folder).page)
    assert f"No trial has completed (1 {status})" in said
    assert ("1 of 1 trials had not ended" in said) == (status == "running")


def test_a_damaged_table_is_named_and_the_others_are_shown(study):
    damaged = study / "trials" / "two.parquet"
    damaged.write_bytes(b"PAR1 not parquet")
    page = write_report(study).page
    assert f"{damaged} is damaged and left out" in notes(page)
    assert len(trials_of(page_data(page.read_text()))) == 3


def test_trials_that_differ_in_their_seed_alone_are_one_configuration(tmp_path):
    folder = create_study(tmp_path / "study", searched=["lr", "seed"])
    for name, config in {"a": {"lr": 0.1}, "b": {"lr": 0.2}, "c": {"lr": 0.1, "seed": 1}}.items():
        write_trial(folder, name, TrialConfig(**config), [record(1, status="completed")])
    assert page_data(write_report(folder).page.read_text())["groups"] == [0, 1, 0]


def test_the_command_of_a_trial_makes_its_configuration(tmp_path):
    config = TrialConfig(policy="fixed", growth_epochs=(2, 4), epochs=6, lr=0.05, seed=3)
    folder = create_study(tmp_path / "study", searched=["lr"])
    last = record(1, status="completed", precision="float32", compiled=False)
    write_trial(folder, "one", config, [last])
    command = page_data(write_report(folder).page.read_text())["commands"]["one"]
    parsed = vars(_parser().parse_args(shlex.split(command)[1:]))
    given = {n: v for n, v in parsed.items() if n in config.to_flat()}
    assert TrialConfig(**given) == config.replaced(precision="float32", compile="off")


@pytest.mark.parametrize("name", ["$x^$", r"$\foo$", "a$b$c_{", r"\$x^\$", "$5"])
def test_a_dollar_in_a_name_is_drawn_as_it_is(tmp_path, name):
    """As the same picture would be whose text is never taken for mathematics."""
    folder = create_study(tmp_path / name, searched=["lr"])
    write_trial(folder, "one", TrialConfig(), [record(1, status="completed", metrics={name: 1.0})])
    assert write_report(folder).picture.read_bytes().startswith(b"\x89PNG")
    trials = summarize(read_study(folder))
    figure = front_figure(trials, accuracy=f"metric/{name}", title=name, minimized=True)
    figures = [figure, front_figure(trials, accuracy=f"metric/{name}", minimized=True)]
    figures[1].axes[0].set_title(name, loc="left", fontsize=11, parse_math=False)
    figures[1].axes[0].set_ylabel(name.replace("_", " "), parse_math=False)
    pixels = []
    for drawn in figures:
        canvas = FigureCanvasAgg(drawn)
        canvas.draw()
        pixels.append(canvas.buffer_rgba().tobytes())
    assert pixels[0] == pixels[1]


@pytest.mark.parametrize("fields", [{"ppe": 1.7e308}, {"val_accuracy": 1.7e308}], ids=str)
def test_what_cannot_be_drawn_leaves_page_and_table(tmp_path, capsys, caplog, fields):
    folder = create_study(tmp_path / "study", searched=["lr"])
    write_trial(folder, "one", TrialConfig(), [record(1, status="completed")])
    assert write_report(folder).picture.is_file()
    write_trial(folder, "two", TrialConfig(lr=0.2), [record(1, status="completed", **fields)])
    code, out, _ = run(capsys, "report", folder, "--json")
    assert (code, json.loads(out)["picture"]) == (0, None)
    assert not (folder / "front.png").exists()  # the older one has other trials
    assert "the picture cannot be drawn (ValueError: " in caplog.text
    assert len(page_data((folder / "report.html").read_text())["groups"]) == 2
    assert len(pd.read_csv(folder / "front.csv")) == len(json.loads(out)["front"])


def test_a_stranger_s_log_puts_no_plugin_into_the_command_of_a_trial(tmp_path):
    folder = create_study(tmp_path / "study", searched=["lr"])
    write_trial(folder, "one", TrialConfig(), [record(1, status="completed")])
    given = {"lr": 0.1, "plugin": "evil.py", "data_dir": "--plugin=evil.py"}
    (folder / "search.jsonl").write_text(json.dumps({"trial": "one", "given": given}) + "\n")
    command = page_data(write_report(folder).page.read_text())["commands"]["one"]
    parsed = vars(_parser().parse_args(shlex.split(command)[1:]))
    assert "plugin" not in parsed
    assert (parsed["lr"], parsed["data_dir"]) == (0.1, "--plugin=evil.py")


def test_a_long_column_of_few_numbers_is_packed_and_others_are_not():
    column = [0.1, 0.2, None] * 500
    found = packed(column)
    assert [found["values"][place] for place in found["places"]] == column
    assert packed(list(range(1500))) == list(range(1500))
    assert packed([1, 1]) == [1, 1]


def test_a_metric_that_was_asked_for_is_in_the_page_and_stops_are_told_by_the_schedulers(
    stopped_study,
):
    data = page_data(write_report(stopped_study, "val_loss").page.read_text())
    assert (data["asked"], data["metric"]["column"]) == ("val_loss", "val_loss")
    assert (data["judged"]["column"], data["judged"]["minimized"]) == ("val_accuracy", False)
    data = page_data(write_report(stopped_study).page.read_text())
    assert (data["asked"], data["judged"]) == (None, data["metric"])


def test_what_stopping_saved_is_shown_where_trials_are_compared_by_ppe(tmp_path):
    """A stopped trial would have cost at least its bound of PPE times its epochs."""
    folder = create_study(tmp_path / "study", command="search", searched=[])
    stop = {"dominated_by": "a", "slack": 0.0, "bound/ppe": 300.0, "bound/val_accuracy": 80.0}
    for name, ppe, status, given in (
        ("a", 100.0, "completed", {}), ("b", 200.0, "completed", {}), ("c", 250.0, "stopped", stop),
    ):  # fmt: skip
        fields = {"ppe": ppe, "param_epochs": ppe, "val_accuracy": ppe / 3, "status": status}
        write_trial(
            folder, name, TrialConfig(epochs=20), [record(1, key=name, **fields)], None, given
        )
    spent = page_data(write_report(folder).page.read_text())["spending"]
    assert spent["unshared"][-1] == 100 + 200 + 250
    assert spent["unstopped"][-1] == 100 + 200 + 300 * 20


def test_options_costs_and_metrics_have_all_of_their_digits_in_the_page(tmp_path):
    folder = create_study(tmp_path / "study", command="search", searched=["lr"])
    for name, lr in (("a", 0.012345678912345), ("b", 0.1)):
        fields = {"val_loss": 1 / 3, "ppe": 1e5 + 1 / 3, "lipschitz": 1 / 3}
        write_trial(folder, name, TrialConfig(lr=lr), [record(1, key=name, **fields)])
    trials = page_data(write_report(folder).page.read_text())["trials"]
    assert trials["config/lr"] == [0.012345678912345, 0.1]
    assert trials["val_loss"] == {"all": 1 / 3}
    assert trials["ppe"] == {"all": 1e5 + 1 / 3}
    assert trials["lipschitz"] == {"all": 0.3333333}


def test_an_axis_of_a_tasks_own_number_says_which_is_better_and_what_chooses():
    names = ["val_f1", "test_f1", "val_cost", "test_interval_width", "test_accuracy_gap"]
    trials = pd.DataFrame({"val_loss": [1.0]} | {f"metric/{name}": [0.5] for name in names})
    info = {"own_metrics": {"val_f1": "higher", "val_cost": "lower", "val_accuracy_gap": "lower"}}
    axes = {axis["column"]: axis for axis in metric_axes(trials, metric_of("val_loss"), info)}
    assert {name: axis["minimized"] for name, axis in axes.items()} == {
        "val_loss": True, "metric/val_f1": False, "metric/test_f1": False, "metric/val_cost": True,
        "metric/test_interval_width": True, "metric/test_accuracy_gap": True,
    }  # fmt: skip
    chosen_by = {name for name, axis in axes.items() if axis["validation"]}
    assert chosen_by == {"val_loss", "metric/val_f1", "metric/val_cost"}


def test_a_tasks_own_accuracy_is_in_percent_whether_or_not_it_is_the_studys_metric():
    trials = pd.DataFrame({"val_loss": [1.0], "metric/val_accuracy_5": [0.5]})
    info = {"own_metrics": {"val_accuracy_5": "higher"}}
    for metric in (metric_of("val_loss"), named_metric("val_accuracy_5", info["own_metrics"])):
        axes = {axis["column"]: axis["percent"] for axis in metric_axes(trials, metric, info)}
        assert axes == {"val_loss": False, "metric/val_accuracy_5": True}

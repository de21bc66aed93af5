"""The page of a report in a real Chromium: each control works, and nothing is fetched."""

import io
import math
import shlex
from decimal import Decimal

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import record, run

from growsearch.cli.parser import _parser, _plugin_names
from growsearch.stopping.hypervolume import Bounds, hypervolume
from growsearch.study.folder import create_study
from growsearch.study.report import write_report
from growsearch.study.results import write_trial
from growsearch.trial.config import TrialConfig
from growsearch.tuning.search_space import draw_trials, load_spaces

pytestmark = pytest.mark.slow
HOSTILE = "<img src=x onerror=alert(1)>"
EPOCHS = 6
CONFIGURATIONS = ((1.1, 100.0, 80.0), (1.2, 200.0, 90.0), (1.3, 400.0, 93.0), (1.4, 800.0, 94.0),
                  (1.5, 900.0, 85.0))  # fmt: skip
"""Of each the rtol, the PPE and the accuracy, around which three seeds lie."""


def epochs(ppe: float, accuracy: float, status: str = "completed", grown: int = 3, n: int = EPOCHS):
    return [
        record(
            e, architecture="4-4-4" if e > grown else "2-2-2", grew=e == grown, ppe=ppe,
            parameters=200 if e > grown else 100, param_epochs=int(ppe * e), key=None,
            val_accuracy=accuracy - (n - e), val_loss=2 - accuracy / 100 + (n - e) / 10,
            lipschitz=1 + 0.1 * e, lr=0.1 / e, train_flops=ppe * 1e6 * e, reused=e == 1,
            status=status if e == n else "running",
        )
        for e in range(1, n + 1)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = create_study(
        tmp_path_factory.mktemp("page") / f"s & {HOSTILE[:4]}", searched=["rtol", "seed"],
        space=HOSTILE, settings={"costs": ["ppe"], "scheduler": "pareto"},
    )  # fmt: skip
    number = 0
    for rtol, ppe, accuracy in CONFIGURATIONS:
        for seed in range(3):
            config = TrialConfig(rtol=rtol, window=1, seed=seed, epochs=EPOCHS, reserve=1)
            rows = epochs(ppe + 2 * seed, accuracy + seed, grown=1 + number % 5)
            write_trial(folder, f"{number:05}", config, rows)
            number += 1
    stop = {"dominated_by": "00008", "slack": 0.0, "bound/ppe": 500.0, "bound/val_accuracy": 92.0}
    for name, status, why in (
        ("stopped", "stopped", stop), ("diverged", "diverged", {}), ("running", "running", {}),
    ):  # fmt: skip
        config = TrialConfig(rtol=1.35, window=1, epochs=EPOCHS, reserve=1)
        write_trial(folder, name, config, epochs(450.0, 60.0, status, n=2), HOSTILE, why)
    return write_report(folder)


@pytest.fixture
def page(browser, made):
    """The page, just opened; in the end it has told the console nothing and fetched nothing."""
    browser.resize(1400)
    browser.open(made.page.as_uri())
    yield browser
    assert browser.console() == []
    assert {address.partition(":")[0] for address in browser.requests()} <= {
        "file",
        "about",
        "data",
    }


def means() -> list[tuple[float, float]]:
    """Cost and accuracy of each configuration, from how its seeds were written."""
    return [(ppe + 2, accuracy + 1) for _, ppe, accuracy in CONFIGURATIONS]


def dominated(point, others) -> bool:
    return any(o[0] <= point[0] and o[1] >= point[1] and o != point for o in others)


def place(page, name: str, plot: str = "frontPlot") -> tuple[float, float]:
    """Where in the window the point of the trial is; the plot is scrolled there."""
    return tuple(page.script(
        f"""const plot = {plot}; plot.host.scrollIntoView({{block: "center"}});
        const box = plot.host.getBoundingClientRect();
        const there = p => p.trials.some(t => t.trial_id === arguments[0]);
        const p = plot.spec.points.find(there);
        return [box.left + plot.scaleX(p.x), box.top + plot.scaleY(p.y)]""", name,
    ))  # fmt: skip


def selected(page) -> list[str]:
    return page.script("return state.selected.map(t => t.trial_id)")


def test_seeds_of_a_configuration_are_one_point_with_its_spread_and_open_by_a_click(page):
    points = page.script("return layout.points.map(p => [p.x, p.y, p.sx, p.sy])")
    assert sorted(map(tuple, points)) == [
        pytest.approx((x, y, 2, 1)) for x, y in sorted(means())
    ]  # fmt: skip
    page.pointer(place(page, "00004"))
    assert selected(page) == ["00003", "00004", "00005"]
    assert page.script("return layout.opened.map(p => p.trials[0].trial_id)") == selected(page)
    page.pointer(place(page, "00004"))
    assert selected(page) == ["00004"]
    page.set("#seeds", False)
    assert page.script("return layout.points.length") == 15


def test_the_front_is_of_the_axes_that_were_chosen(page):
    front = page.script("return layout.front.map(p => [p.x, p.y])")
    assert sorted(map(tuple, front)) == sorted(p for p in means() if not dominated(p, means()))
    page.set("#x", "paid_epochs")
    page.set("#y", "val_loss")
    assert "paid" in page.text("#front-title") and "alidation loss" in page.text("#front-title")
    front = page.script("return layout.front.map(p => [p.x, p.y])")
    assert front == [[EPOCHS - 1, pytest.approx(2 - 0.95)]]
    page.set("#log", True)
    assert page.script("return frontPlot.spec.x.log")


def test_headline_numbers_say_what_is_nominal_and_what_was_paid(page):
    figures = dict(zip(
        page.script("return [...document.querySelectorAll('#figures dt')].map(x => x.textContent)"),
        page.script("return [...document.querySelectorAll('#figures dd')].map(x => x.textContent)"),
        strict=True,
    ))  # fmt: skip
    assert figures["epochs, nominal"] == str(15 * EPOCHS + 3 * 2)
    assert figures["epochs, paid"] == str(15 * (EPOCHS - 1) + 3)
    assert figures["configurations"] == "6"
    assert {"of training, nominal", "of training, paid"} <= set(figures)


@pytest.mark.parametrize("log", [False, True])
def test_the_knee_is_farthest_from_the_line_between_the_fronts_ends(page, log):
    page.set("#log", log)
    front = sorted(p for p in means() if not dominated(p, means()))
    scale = math.log if log else float
    (x0, y0), (x1, y1) = ((scale(x), y) for x, y in (front[0], front[-1]))

    def distance(point) -> float:
        x, y = (scale(point[0]) - x0) / (x1 - x0), (point[1] - y0) / (y1 - y0)
        return abs(x - y) / math.sqrt(2)  # to the line from (0, 0) to (1, 1)

    expected = max(front, key=distance)
    assert page.script("return [layout.knee.x, layout.knee.y]") == list(expected)
    assert "knee of the front is trial" in page.text("#knee-text")


def test_a_cost_limit_names_the_best_configuration_that_it_buys(page, made):
    page.script(
        """const line = frontPlot.line;
        window.lines = [];
        frontPlot.line = (ctx, ...ends) => { lines.push(ends[0]); line(ctx, ...ends); }"""
    )
    for slider in (0, 200, 500, 1000):
        page.script("lines.length = 0")
        page.set("#limit", slider)
        assert page.script("return lines.includes(frontPlot.scaleX(bought.limit))")
        limit = page.script("return bought.limit")
        affordable = [p for p in means() if p[0] <= limit]
        assert page.script("return bought.point.y") == max(y for _, y in affordable)
    page.set("#limit", 200)
    assert "trial 00005" in page.text("#best-text")  # the best of its seeds
    commands = page.text("#commands")
    assert "growsearch train" in commands and "--seed 2" in commands
    assert f"growsearch export '{made.page.parent}' 00005 --out 00005.safetensors" in commands
    assert "--cost ppe --max" in commands
    page.set("#y", "test_accuracy")
    assert "chosen by validation" in page.text("#best-text")
    page.click("#commands button")
    page.until("return document.querySelector('#commands button').textContent.includes('opied')")


def opened(browser, folder, trials) -> None:
    """Opens the report of trials of one epoch: (lr, seed, accuracy, PPE)."""
    create_study(folder, searched=["lr"], settings={"costs": ["ppe"]})
    for lr, seed, accuracy, ppe in trials:
        last = record(1, val_accuracy=accuracy, ppe=ppe, status="completed")
        write_trial(folder, f"{lr}-{seed}", TrialConfig(lr=lr, seed=seed), [last])
    browser.open(write_report(folder).page.as_uri())


def test_a_trial_that_is_named_like_an_option_is_none_in_the_commands(browser, tmp_path):
    folder = create_study(tmp_path / "study", searched=["lr"], settings={"costs": ["ppe"]})
    last = record(1, val_accuracy=90.0, ppe=100.0, status="completed")
    write_trial(folder, "named", TrialConfig(), [last])
    table = pq.read_table(folder / "trials/named.parquet")
    names = pa.array(["--plugin=evil.py"] * len(table))
    pq.write_table(table.set_column(0, "trial_id", names), folder / "trials/named.parquet")
    browser.open(write_report(folder).page.as_uri())
    shown = browser.script(
        "return [...document.querySelectorAll('#commands code')].map(c => c.innerText)"
    )
    (words,) = (shlex.split(c)[1:] for c in shown if c.startswith("growsearch export"))
    assert _plugin_names(words) == []
    assert _parser().parse_args(words).trial == "--plugin=evil.py"


def test_the_dearer_of_equally_good_configurations_is_not_on_the_front(browser, tmp_path):
    accuracies = (97.0, 97.98, 97.84, 97.84, 96.34)
    assert sum(map(Decimal, map(str, accuracies))) / 5 == Decimal("97.4")  # more, as floats
    dear = [(0.1, seed, accuracy, 300.0) for seed, accuracy in enumerate(accuracies)]
    cheap = (0.2, 0, 97.4, 200.0)
    opened(browser, tmp_path / "study", [*dear, cheap, (0.3, 0, 80.0, 100.0)])
    front = browser.script("return layout.front.map(p => p.trials[0].trial_id)")
    assert front == ["0.3-0", "0.2-0"]
    assert browser.text("#knee-text").startswith("The front has no knee")


@pytest.mark.parametrize(
    ("value", "shown"),
    [(3.25e-6, "0.00000325"), (2.6071349, "2.60713"), (12345.678, "12.3457 k"), (0.25, "0.2500")],
)
def test_a_number_that_is_no_percent_has_the_digits_that_say_more(page, value, shown):
    metric = "{percent: false}"
    assert page.script(f"return measured(arguments[0], {metric})", value) == shown


@pytest.mark.parametrize(
    ("completed", "said"),
    [(1, "1 completed trial is too few"), (2, "2 completed trials are too few")],
)
def test_too_few_trials_for_importances_are_counted(page, completed, said):
    page.script(
        """Object.assign(study.importance, {cost: null, metric: null, trials: arguments[0]});
        drawImportance();""",
        completed,
    )
    assert page.text("#importance-text").startswith(said)


def test_the_command_that_asks_again_finds_what_the_page_says(browser, capsys, tmp_path):
    opened(browser, tmp_path / "study", [(0.1, s, 90.0, 100 / 3 + s) for s in range(3)])
    shown = "return [...document.querySelectorAll('#commands code')].map(c => c.textContent)"
    *_, command = browser.script(shown)
    program, *words = shlex.split(command)
    assert program == "growsearch" and words[:1] == ["best"]
    assert run(capsys, *words)[0::2] == (0, "")


def test_curves_of_several_trials_show_the_quantity_that_was_chosen(page):
    page.pointer(place(page, "00000"))
    page.pointer(place(page, "00012"), keys="\ue008")  # Shift
    assert selected(page) == ["00000", "00001", "00002", "00012", "00013", "00014"]
    page.set("#quantity", "lr")
    first = page.script("return curvePlot.spec.points.slice(0, 6).map(p => p.y)")
    assert first == [pytest.approx(0.1 / e, rel=1e-4) for e in range(1, 7)]
    page.set("#quantity", "lipschitz_ratio")
    assert "rtol" in page.text("#curve-legend")
    assert page.script("return curvePlot.spec.points.length") > 0
    page.set("#log-curve", True)
    page.click("#curve-legend button")
    assert len(selected(page)) == 5


def test_time_lines_and_table_select_trials_too(page):
    page.click('#rows tr[data-trial="00007"]')
    assert selected(page) == ["00007"]
    assert page.text("#curve-title") == "Trial 00007"
    x, y = page.script(
        """element("lines").scrollIntoView({block: "center"});
        const box = element("lines").getBoundingClientRect();
        linesBox.scroll.scrollTop = 0;
        return [box.left + box.width / 2, box.top + 8]"""
    )
    page.pointer((x, y))
    assert selected(page) == [page.script("return tableRows[0].trial_id")]


def test_a_stopped_trial_says_why_and_names_are_text(page):
    page.click('#rows tr[data-trial="stopped"]')
    assert "trial 00008" in page.text("#curve-reason")
    page.click('#rows tr[data-trial="diverged"]')
    assert page.text("#curve-reason") == HOSTILE
    assert page.script("return document.querySelectorAll('img').length") == 0
    assert HOSTILE[:4] in page.text("h1") and HOSTILE in page.text("#details")
    assert "1 of 18 trials had not ended" in page.text("#notes")


def test_a_filter_hides_trials_everywhere_and_a_link_restores_the_view(page, made):
    page.click("#filter-open")
    page.click("#filters input[data-value='stopped']")
    page.click("#filters input[data-value='1.2']")
    assert page.script("return shown().length") == 15 - 3 + 2
    assert page.script("return tableRows.length") == 14
    assert "14 of 18 trials shown" in page.text("#counts")
    assert not any("stopped" in t for t in page.text("#front-legend").split(","))
    page.set("#x", "paid_epochs")
    page.set("#quantity", "val_loss")
    page.set("#limit", 400)
    page.click('#rows tr[data-trial="00009"]')
    view = "return [state.x, state.quantity, state.limit, state.status, state.options, selected]"
    view = view.replace("selected", "state.selected.map(t => t.trial_id)")
    before, address = page.script(view), page.script("return location.href")
    page.open(address)
    assert page.script(view) == before
    page.click("#filter-clear")
    assert page.script("return shown().length") == 18
    page.open(made.page.as_uri() + "#x=nothing&options={&trial=none&limit=-1&open=99")
    assert page.script("return state.x") == "ppe"  # what is not known is left out


def test_dragging_selects_and_the_selection_is_saved_as_a_table_and_as_a_search_space(
    page, tmp_path
):
    page.set("#brush", True)
    page.set("#seeds", False)
    page.set("#quantity", "lr")
    (x0, y0), (x1, y1) = place(page, "00000"), place(page, "00005")
    page.pointer((x0 - 12, max(y0, y1) + 12), ((x0 + x1) / 2, y0), (x1 + 12, min(y0, y1) - 12))
    assert selected(page) == ["00000", "00001", "00002", "00003", "00004", "00005"]
    table = pd.read_csv(io.StringIO(page.script("return csvOf(state.selected)")), dtype=str)
    assert table["trial_id"].tolist() == selected(page)
    assert table["config/rtol"].astype(float).tolist() == [1.1] * 3 + [1.2] * 3
    file = tmp_path / "selection.py"
    file.write_text(page.script("return spaceOf(state.selected)"))
    drawn = draw_trials(load_spaces(file), None, 0)
    assert drawn == [
        TrialConfig(rtol=rtol, window=1, seed=seed, epochs=EPOCHS, reserve=1)
        for rtol in (1.1, 1.2)
        for seed in range(3)
    ]
    page.devtools("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    page.click("#save-csv")
    page.until("return document.querySelector('#said').textContent.includes('saved')")
    page.click("#select-none")
    assert selected(page) == [] and page.script("return element('save-csv').disabled")
    page.click("#select-shown")
    assert len(selected(page)) == 18


def band(page) -> tuple[float, float, float]:
    """Where in the window the parallel axis of rtol has 1.3 and 1.2: one x, two y."""
    return page.script(
        """element("parallel").scrollIntoView({block: "center"});
        const box = element("parallel").getBoundingClientRect();
        const axis = parallelPlot.axes.find(a => a.name === "rtol");
        const at = text => box.top + axis.scale(axis.texts.indexOf(text));
        return [box.left + axis.at, at("1.3") - 6, at("1.2") + 6]"""
    )


def test_a_stretch_of_a_parallel_axis_filters(page):
    x, top, bottom = band(page)
    page.pointer((x, top), (x, (top + bottom) / 2), (x, bottom))
    kept = page.script("return [...new Set(shown().map(t => t['config/rtol']))].sort()")
    assert kept == [1.2, 1.3]
    x, top, _ = band(page)  # what stands above has shrunk
    page.pointer((x, top))
    assert page.script("return shown().length") == 18


def test_a_slice_has_each_completed_trial_at_its_option(page):
    plot = "slicePlots.get('config/rtol')"
    values = page.script(f"return {plot}.spec.x.ticks.map({plot}.spec.x.format)")
    assert values == ["1.1", "1.2", "1.3", "1.35", "1.4", "1.5"]

    def shown():
        points = f"{plot}.spec.points.map(p => [p.trials[0].trial_id, p.x, p.y])"
        return [(name, values[x], y) for name, x, y in page.script(f"return {points}")]

    trials = [(str(rtol), ppe + 2 * seed, accuracy + seed)
              for rtol, ppe, accuracy in CONFIGURATIONS for seed in range(3)]  # fmt: skip
    assert shown() == [(f"{n:05}", rtol, y) for n, (rtol, _, y) in enumerate(trials)]
    page.pointer(place(page, "00004", plot))
    assert selected(page) == ["00004"]
    page.set("#slice", "x")
    assert shown() == [(f"{n:05}", rtol, x) for n, (rtol, x, _) in enumerate(trials)]
    page.script("location.hash = address(); readAddress(location.hash)")
    assert page.script("return state.slice") == "x"


def test_what_was_paid_and_which_options_decide_are_shown(page):
    assert "Sharing epochs saved" in page.text("#spending-text")
    last = page.script("return study.spending.hypervolume.at(-1)")
    bounds = page.script("return study.spending.bounds")
    points = [(ppe + 2 * seed, accuracy + seed)
              for _, ppe, accuracy in CONFIGURATIONS for seed in range(3)]  # fmt: skip
    assert last == pytest.approx(hypervolume(points, Bounds(**bounds)), rel=1e-5)
    assert "scikit-learn" in page.text("#importance-text")
    assert "rtol" in page.text("#importance") and "seed" in page.text("#importance")
    assert page.script("return Object.keys(study.attainment.surfaces)") == ["25", "50", "75"]
    assert "50 % of the seeds" in page.text("#attainment-legend")


def test_the_table_makes_only_the_rows_that_are_seen_and_sorts(page):
    page.click("#head th:nth-child(1) button")
    assert page.script("return tableRows[0].trial_id") == "00000"
    page.click("#head th:nth-child(1) button")
    assert page.script("return tableRows[0].trial_id") == "stopped"
    assert page.script("return document.querySelector('th[aria-sort]').textContent") == "trial ↓"
    seen = page.script(
        """element("table").style.maxHeight = "120px";
        drawRows();
        return document.querySelectorAll("#rows tr[data-row]").length"""
    )
    assert seen < 18


def test_the_keyboard_reaches_points_and_rows(page):
    page.script("element('front').focus()")
    page.press("Right", "Right", "Enter")
    assert selected(page) == ["00003", "00004", "00005"]
    assert "validation accuracy" in page.text("#said")
    page.script("element('rows').querySelector('tr[tabindex=\"0\"]').focus()")
    page.press("Down", "Enter")
    one = selected(page)
    page.press("Down", " ")
    assert len(one) == 1 and len(selected(page)) == 2


@pytest.mark.parametrize("width", [360, 2000])
@pytest.mark.parametrize("dark", [False, True])
def test_the_page_fits_its_window(page, width, dark):
    page.resize(width, dark=dark)
    assert page.script("return document.documentElement.scrollWidth <= innerWidth")
    assert page.script("return color('--page')") == ("#0b1120" if dark else "#f8fafc")

"""A live report in a real Chromium: what is new is shown, and the reader's view stays."""

import time

import pytest
from growing_study import copied

from growsearch.study import live as live_module
from growsearch.study.folder import create_study
from growsearch.study.live import LiveStudy
from growsearch.study.live_server import LiveServer

pytestmark = pytest.mark.slow
VIEW = """return [state.x, state.y, state.log, state.quantity, state.status, state.options,
  state.sort, state.filtering, state.selected.map(t => t.trial_id), location.hash]"""


@pytest.fixture
def folder(tmp_path):
    copied(tmp_path / "study", 6)
    return tmp_path / "study"


@pytest.fixture
def served(folder, browser):
    """A server of the study, and the browser on its page; the console stays empty."""
    browser.resize(1280)
    study = LiveStudy(folder)
    study.look()
    server = LiveServer(study)
    with server.serving():
        browser.open(server.url)
        yield server
        browser.leave()
        assert browser.console() == []
        asked = {address.rpartition("/")[0] for address in browser.requests()}
        assert all(address.startswith("http://127.0.0.1:") for address in asked - {""})


def updated(browser, version: str) -> None:
    browser.until(f"return live.version === '{version}'")
    browser.settle()


def test_trials_that_end_appear_and_the_view_stays(served, folder, browser):
    browser.set("#x", "paid_seconds")
    browser.set("#log", True)
    browser.set("#quantity", "val_loss")
    browser.click("#head th:nth-child(1) button")
    browser.click("#filter-open")
    browser.script("setRule('config/rtol', {from: 1, to: 9}); change({limit: 300})")
    name = browser.script("return tableRows[4].trial_id")
    browser.click(f'#rows tr[data-trial="{name}"]')
    browser.script("element('head').querySelector('button').focus(); scrollTo(0, 700)")
    browser.settle()
    before, bought = browser.script(VIEW), browser.script("return bought.limit")
    place = browser.script("return element('curve').getBoundingClientRect().top")
    names = copied(folder, 12)
    served.study.look()
    updated(browser, served.study.shown.state.version)
    assert browser.script("return trials.map(t => t.trial_id)") == names
    after = browser.script(VIEW)
    assert before[:-1] == after[:-1]
    assert browser.script("return bought.limit") == pytest.approx(bought, rel=1e-6)
    assert browser.script("return element('curve').getBoundingClientRect().top") == place
    assert browser.script("return document.activeElement.closest('#head') !== null")
    assert "12 of 12 trials have ended" in browser.text("#live")
    browser.open(browser.script("return location.href"))  # a link restores the same view
    assert browser.script(VIEW)[:-1] == after[:-1]


def test_a_brushed_axis_and_an_open_configuration_stay(served, folder, browser):
    kept = browser.script(
        """const column = filterable.find(f => f.range || f.texts.length > 1);
        setRule(column.column, column.range ? {from: column.range[0], to: column.range[1]} :
          {values: column.texts});
        change({open: trials[3].group});
        return JSON.stringify([trials[3].trial_id, state.options])"""
    )
    browser.settle()
    copied(folder, 9)
    served.study.look()
    updated(browser, served.study.shown.state.version)
    assert kept == browser.script(
        "return JSON.stringify([trials.find(t => t.group === state.open).trial_id, state.options])"
    )


def test_a_page_changes_nothing_while_the_study_does_not(served, browser):
    browser.script("new MutationObserver(found => { window.changes = found.length; }).observe("
                   "document.body, {subtree: true, childList: true, attributes: true,"
                   " characterData: true})")  # fmt: skip
    browser.requests()
    browser.until("return performance.getEntriesByName(location.origin + '/state').length >= 2")
    assert browser.script("return window.changes ?? 0") == 0
    assert {address.rpartition("/")[-1] for address in browser.requests()} == {"state"}


def test_a_drag_is_not_disturbed(served, folder, browser):
    browser.script("window.dispatchEvent(new PointerEvent('pointerdown'))")
    before = browser.script("return live.version")
    copied(folder, 8)
    served.study.look()
    browser.until("return performance.getEntriesByName(location.origin + '/data').length > 0")
    browser.settle()
    assert browser.script("return live.version") == before
    browser.script("window.dispatchEvent(new PointerEvent('pointerup'))")
    updated(browser, served.study.shown.state.version)
    assert browser.script("return trials.length") == 8


def test_a_study_begins_while_its_page_is_open(browser, tmp_path):
    folder = create_study(tmp_path / "study", command="search", searched=["lr"], trials=12)
    study = LiveStudy(folder)
    study.look()
    server = LiveServer(study)
    with server.serving():
        browser.open(server.url)
        assert "No trial has ended an epoch yet" in browser.text("#live")
        (folder / "study.json").unlink()
        copied(folder, 12)
        study.look()
        updated(browser, study.shown.state.version)
        assert browser.script("return trials.length") == 12
        assert browser.script("return state.selected.length") == 1
        assert browser.script("return state.quantity") == "val_accuracy"
        assert browser.script("return frontPlot.spec.points.length") > 3
        assert not browser.script("return element('parallel-card').hidden")
        assert browser.script("return element('parallel').getBoundingClientRect().height") > 100
        assert browser.text("#importance-text")
        browser.leave()
    assert browser.console() == []


def test_a_finished_study_says_so_and_is_asked_no_more(browser, folder):
    copied(folder, 12, age=live_module.QUIET + 1)
    study = LiveStudy(folder)
    study.look()
    server = LiveServer(study)
    with server.serving():
        browser.requests()
        browser.open(server.url)
        assert browser.text("#live") == "The study is finished. This page asks for no more."
        time.sleep(2.5)  # longer than between two questions
        assert not any(a.endswith("/state") for a in browser.requests())


def test_a_server_that_has_ended_is_named_in_one_line(browser, folder):
    study = LiveStudy(folder)
    study.look()
    server = LiveServer(study)
    with server.serving():
        browser.open(server.url)
        browser.until("return performance.getEntriesByType('resource').length > 0")
    browser.until("return element('live').textContent.startsWith('The server has ended')", 40)
    browser.requests()
    time.sleep(2.5)
    assert browser.requests() == []
    assert all("ERR_CONNECTION_REFUSED" in told for told in browser.console())  # the browser's own

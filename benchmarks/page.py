"""How long the page of a large study takes in a headless Chromium, and one update of its live page.

    python benchmarks/page.py                # 5,000 trials of 40 epochs
    python benchmarks/page.py --trials 500

Wall seconds: on a busy machine they are larger, so the load stands in the heading. The main thread
of the live page is blocked while it takes new data; so long it answers no pointer. Needs Debian's
chromium and chromium-driver.
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from heading import heading
from rich.console import Console
from rich.table import Table

from analysis import EPOCHS, write
from growsearch.study.live import LiveStudy
from growsearch.study.live_server import LiveServer
from growsearch.study.report import write_report

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from browser import Browser

TIMED = """const done = arguments[arguments.length - 1], begun = performance.now(); {act};
const took = () => done((performance.now() - begun) / 1000);
requestAnimationFrame(() => setTimeout(took))"""
"""Runs what is given, and says after how many seconds it has been drawn."""
HOVER = """const box = frontPlot.host.getBoundingClientRect(), p = frontPlot.spec.points[9];
frontPlot.host.querySelector("canvas").dispatchEvent(new PointerEvent("pointermove", {bubbles: true,
  clientX: box.left + frontPlot.scaleX(p.x), clientY: box.top + frontPlot.scaleY(p.y)}))"""
CLICK = "change({selected: [trials[9]], open: null})"
UPDATE = "takeUpdate(JSON.parse(arguments[0]))"


def timed(browser: Browser, act: str, *arguments: str) -> float:
    script = {"script": TIMED.format(act=act), "args": arguments}
    return browser._call("POST", "/execute/async", script)


def opened(page: str) -> list[tuple[str, float, float | None]]:
    browser = Browser()
    try:
        begun = time.monotonic()
        browser._call("POST", "/url", {"url": page})
        browser.until("return document.documentElement.dataset.begun === 'yes'", 120)
        first = time.monotonic() - begun
        browser.until("return document.documentElement.dataset.ready === 'yes'", 120)
        drawn = time.monotonic() - begun
        hover, click = (timed(browser, act) for act in (HOVER, CLICK))
    finally:
        browser.close()
    return [("first view", first, 2.0), ("all is drawn", drawn, None), ("hover", hover, 0.05),
            ("selecting a trial", click, 0.2)]  # fmt: skip


def updated(folder: Path) -> list[tuple[str, float, float | None]]:
    study, browser = LiveStudy(folder), Browser()
    begun = time.monotonic()
    study.look()
    gathered = time.monotonic() - begun
    server = LiveServer(study)
    try:
        with server.serving():
            browser.open(server.url)
            blocked = timed(browser, UPDATE, study.shown.data)
            browser.leave()
    finally:
        browser.close()
    return [
        ("live: the server gathers", gathered, None),
        ("live: the page is blocked", blocked, 0.2),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=5000)
    count = parser.parse_args().trials
    if not shutil.which("chromedriver"):
        sys.exit("no chromedriver is here, so the page is not measured; install chromium-driver")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "study")
        write(count, folder)
        begun = time.process_time()
        page = write_report(folder).page
        rows = [("report (processor seconds)", time.process_time() - begun, 15.0)]
        size = page.stat().st_size / 1e6
        rows += [*opened(page.as_uri()), *updated(folder)]
    load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    title = heading(f"{count:,} trials x {EPOCHS} epochs, {size:.1f} MB, {load}")
    table = Table(title=title, title_justify="left", box=None)
    for name in ("what", "measured", "target"):
        table.add_column(name, justify="left" if name == "what" else "right")
    for what, took, target in rows:
        table.add_row(what, f"{took:.3f} s", "" if target is None else f"{target:g} s")
    Console().print(table)


if __name__ == "__main__":
    main()

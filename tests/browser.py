"""A headless Chromium, driven through chromedriver by the WebDriver protocol of the W3C."""

import base64
import json
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

ARGUMENTS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")
KEYS = {"Left": "\ue012", "Up": "\ue013", "Right": "\ue014", "Down": "\ue015", "Enter": "\ue007",
        "Escape": "\ue00c", "Tab": "\ue004"}  # fmt: skip


class Browser:
    """One window. `close` ends both processes."""

    def __init__(self, width: int = 1400, height: int = 1000) -> None:
        driver = shutil.which("chromedriver")
        assert driver, "install Debian's chromium and chromium-driver"
        self._driver = subprocess.Popen(
            [driver, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self._driver.stdout
        line = next(line for line in self._driver.stdout if "successfully on port" in line)
        port = line.split("port")[-1].strip(" .\n")
        self._url = f"http://127.0.0.1:{port}/session"
        options = {"args": [*ARGUMENTS, f"--window-size={width},{height}"]}
        wanted = {
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }
        made = self._call("POST", "", {"capabilities": {"alwaysMatch": wanted}})
        self._url += f"/{made['sessionId']}"

    def _call(self, method: str, path: str, data: dict | None = None) -> Any:
        body = None if data is None else json.dumps(data).encode()
        request = urllib.request.Request(self._url + path, body, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode()[:1000]) from error

    def close(self) -> None:
        self._call("DELETE", "")
        self._driver.terminate()
        self._driver.wait()
        self._driver.stdout.close()

    def open(self, address: str) -> None:
        self.leave()  # an address that differs in its hash alone is not loaded again
        self._call("POST", "/url", {"url": address})
        self.until("return document.documentElement.dataset.ready === 'yes'")

    def leave(self) -> None:
        """Opens a blank page: a page that asks its server does so no more."""
        self._call("POST", "/url", {"url": "about:blank"})

    def script(self, text: str, *arguments: Any) -> Any:
        """What the JavaScript returns; `arguments[0]` is the first argument."""
        return self._call("POST", "/execute/sync", {"script": text, "args": arguments})

    def until(self, text: str, seconds: float = 20) -> None:
        end = time.monotonic() + seconds
        while not self.script(text):
            assert time.monotonic() < end, f"not so after {seconds} s: {text}"
            time.sleep(0.02)

    def settle(self) -> None:
        """Waits until what has been changed is drawn."""
        draw = "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(done))"
        self._call("POST", "/execute/async", {"script": draw, "args": []})

    def text(self, selector: str) -> str:
        return self.script("return document.querySelector(arguments[0]).textContent", selector)

    def set(self, selector: str, value: Any) -> None:
        """Gives an input or a choice a value, as a reader does."""
        self.script(
            """const field = document.querySelector(arguments[0]);
            if (field.type === "checkbox") field.checked = arguments[1];
            else field.value = arguments[1];
            for (const kind of ["input", "change"]) {
              field.dispatchEvent(new Event(kind, {bubbles: true}));
            }""",
            selector, value,
        )  # fmt: skip
        self.settle()

    def click(self, selector: str) -> None:
        self.script("document.querySelector(arguments[0]).click()", selector)
        self.settle()

    def pointer(self, *places: tuple[float, float], keys: str = "") -> None:
        """Presses at the first place of the window, moves through the others and lets go."""
        moves = [{"type": "pointerMove", "duration": 0, "x": round(x), "y": round(y)}
                 for x, y in places]  # fmt: skip
        down, up = {"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}
        pause = {"type": "pause", "duration": 0}
        acts = [pause, moves[0], down, *moves[1:], up, pause]
        sources: list[dict] = [{"type": "pointer", "id": "mouse", "actions": acts}]
        if keys:
            held = [{"type": "keyDown", "value": keys}, *[pause] * (len(acts) - 2)]
            held.append({"type": "keyUp", "value": keys})
            sources.append({"type": "key", "id": "keys", "actions": held})
        self._call("POST", "/actions", {"actions": sources})
        self.settle()

    def press(self, *keys: str) -> None:
        acts = []
        for key in keys:
            value = KEYS.get(key, key)
            acts += [{"type": "keyDown", "value": value}, {"type": "keyUp", "value": value}]
        self._call("POST", "/actions", {"actions": [{"type": "key", "id": "k", "actions": acts}]})
        self.settle()

    def devtools(self, command: str, **parameters: Any) -> Any:
        return self._call("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def resize(self, width: int, height: int = 1000, dark: bool = False) -> None:
        self.devtools(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
            mobile=False,
        )  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.devtools("Emulation.setEmulatedMedia", features=[scheme])
        self.settle()

    def console(self) -> list[str]:
        """What the page has told the console since the last call: errors and all else."""
        return [entry["message"] for entry in self._call("POST", "/se/log", {"type": "browser"})]

    def requests(self) -> list[str]:
        """The addresses that pages have asked for since the last call."""
        logged = self._call("POST", "/se/log", {"type": "performance"})
        events = [json.loads(entry["message"])["message"] for entry in logged]
        sent = [e for e in events if e["method"] == "Network.requestWillBeSent"]
        return [event["params"]["request"]["url"] for event in sent]

    def picture(self, file: Path, whole: bool = True) -> None:
        shot = self.devtools("Page.captureScreenshot", captureBeyondViewport=whole)
        file.write_bytes(base64.b64decode(shot["data"]))

"""Signals that end a process: SIGTERM, which Kubernetes sends, and SIGHUP act like Ctrl-C."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_ENDING = (signal.SIGTERM, signal.SIGHUP)
_CHANGED = (signal.SIGINT, signal.SIGUSR1)
"""Tune sets handlers of these and leaves them."""


class Ending:
    """Which signal has ended a block of `ended_by_signals`, if one has."""

    number: int | None = None
    raised = False
    """Whether KeyboardInterrupt was raised for it, which Python may lose, as in a destructor."""

    @property
    def exit_code(self) -> int:
        """128 + n for signal n, as shells have it; 130 for Ctrl-C."""
        return 128 + (self.number or signal.SIGINT)

    @property
    def name(self) -> str:
        """How it was interrupted: "interrupted", or "interrupted by SIGTERM"."""
        by = f" by {signal.Signals(self.number).name}" if self.number else ""
        return f"interrupted{by}"

    def pass_on(self) -> None:
        """Send the signal to this process again, after the block: its own handler ends it."""
        if self.number:
            signal.raise_signal(self.number)


@contextmanager
def ended_by_signals(within: float | None = None) -> Iterator[Ending]:
    """Within the block, SIGTERM and SIGHUP do what Ctrl-C does, whatever handles that then.

    If the block is not over `within` seconds after one of the two, the process ends: who
    sends SIGTERM usually kills soon after, and all that a search or trial knows is on disk already.

    A signal that is ignored, as SIGHUP under nohup, stays ignored. After SIGHUP, what is printed on
    the terminal is dropped, as it is gone. After the block the handlers are those from before it.
    Does nothing in another thread than the main one, as Python handles signals there.
    """
    ending = Ending()
    if threading.current_thread() is not threading.main_thread():
        yield ending
        return
    terminals = [file for file in (1, 2) if os.isatty(file)]

    def give_up() -> None:
        print(f"growsearch: not over {within:g} s after the signal, so cut short", file=sys.stderr)
        os._exit(ending.exit_code)

    last = threading.Timer(within or 0, give_up)
    last.daemon = True

    def end(number: int, frame: FrameType | None) -> None:
        if ending.number is None and within is not None:
            last.start()
        ending.number = ending.number or number
        if number == signal.SIGHUP:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            for file in terminals:
                os.dup2(nowhere, file)
            os.close(nowhere)
        interrupt = signal.getsignal(signal.SIGINT)
        if callable(interrupt) and interrupt is not signal.default_int_handler:
            interrupt(signal.SIGINT, frame)
            return
        ending.raised = True  # also where Ctrl-C is ignored, as in the background of a script
        raise KeyboardInterrupt

    before: dict[int, Any] = {n: signal.getsignal(n) for n in (*_CHANGED, *_ENDING)}
    for number in _ENDING:
        if before[number] is not signal.SIG_IGN:
            signal.signal(number, end)
    try:
        yield ending
    finally:
        last.cancel()
        _restore(before)


@contextmanager
def interrupts_kept() -> Iterator[None]:
    """After the block the handlers of Ctrl-C are those from before it: Tune leaves its own."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before: dict[int, Any] = {n: signal.getsignal(n) for n in _CHANGED}
    try:
        yield
    finally:
        _restore(before)


@contextmanager
def own_sigterm_kept() -> Iterator[None]:
    """After the block SIGTERM's handler in Python is that from before it, if there was one.

    Ray's own raises SystemExit while Ray starts, for which the handler from before is then called,
    and aborts the process later.
    """
    before = signal.getsignal(signal.SIGTERM)
    if not callable(before) or threading.current_thread() is not threading.main_thread():
        yield
        return
    try:
        yield
    except SystemExit as end:
        if end.code == signal.SIGTERM:
            before(signal.SIGTERM, None)
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


def _restore(handlers: dict[int, Any]) -> None:
    for number, handler in handlers.items():
        if handler is not None:  # which a library in C had set
            signal.signal(number, handler)

"""Measurements that a machine makes once, so that equal trials stay equal there."""

import hashlib
import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from growsearch.machine.cache import cache_folder

T = TypeVar("T")


def measured_once(topic: str, kind: str, measure: Callable[[], T]) -> T:
    """The result of `measure`, of JSON types; the cache folder keeps it for each topic and kind.

    If several processes measure at the same time, all return the result that was stored first.
    If the cache folder cannot be written, each process measures for itself.
    """
    name = hashlib.sha256(kind.encode()).hexdigest()[:16]
    answer = cache_folder() / topic / name
    found: T | None = _known(answer)
    if found is not None:
        return found
    measured = measure()
    mine = answer.with_name(f"{name}.{os.getpid()}")
    try:
        answer.parent.mkdir(parents=True, exist_ok=True)
        mine.write_text(json.dumps(measured))
        try:
            os.link(mine, answer)
        except FileExistsError:
            measured = _known(answer) or measured
        except OSError:  # the file system has no links
            mine.replace(answer)
    except OSError:  # the folder is read-only
        pass
    with suppress(OSError):
        mine.unlink()
    return measured


def _known(answer: Path) -> Any:
    try:
        return json.loads(answer.read_text())
    except OSError:
        return None
    except ValueError:  # damaged
        answer.unlink(missing_ok=True)
        return None

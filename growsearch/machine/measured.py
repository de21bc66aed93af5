"""What is measured once on a machine, so that equal trials stay equal there."""

import hashlib
import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from growsearch.machine.cache import cache_folder

T = TypeVar("T")


def measured_once(what: str, kind: str, measure: Callable[[], T]) -> T:
    """What `measure` gives, in JSON's types; for this `kind` the cache folder remembers it.

    Of processes that measure at one time, what the first one finds counts for all.
    """
    name = hashlib.sha256(kind.encode()).hexdigest()[:16]
    answer = cache_folder() / what / name
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
        except OSError:  # a file system without links
            mine.replace(answer)
    except OSError:  # a read-only home: each process measures
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

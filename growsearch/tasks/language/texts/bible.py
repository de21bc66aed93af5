"""The Bible, King James Version, as Debian has it."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from growsearch.machine.cache import cache_folder
from growsearch.tasks.language.source import TextSource
from growsearch.trial.components import register
from growsearch.trial.errors import InputError

COMMAND = ("bible", "gen1:1-rev22:21")
LEAST_BYTES = 4_000_000
"""The text has 4,298,239 bytes; far fewer are an error message or a part of it."""
INSTALL = "apt-get install bible-kjv bible-kjv-text"


@register("dataset", "bible", source="Debian's packages bible-kjv and bible-kjv-text")
@dataclass(frozen=True, kw_only=True)
class Bible(TextSource):
    """The King James Bible, 4,298,239 bytes of ASCII.

    The program of Debian's package bible-kjv prints it; it is then kept in the cache folder.
    """

    def read(self, data_dir: str | None) -> bytes:
        if data_dir is not None:
            raise InputError(
                f"dataset 'bible' comes from Debian's packages: data_dir {data_dir!r} must be left "
                "out; for a file of your own choose dataset 'text'"
            )
        cached = cache_folder() / "bible-kjv.txt"
        if cached.is_file() and cached.stat().st_size >= LEAST_BYTES:
            return cached.read_bytes()
        text = _printed()
        _keep(cached, text)
        return text


def _printed() -> bytes:
    program = shutil.which(COMMAND[0])
    if program is None:
        raise InputError(
            f"dataset 'bible' is printed by the program {COMMAND[0]}, which is not installed; "
            f"{INSTALL}"
        )
    # the program breaks lines at COLUMNS
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    done = subprocess.run(
        [program, *COMMAND[1:]], env=environment, stdin=subprocess.DEVNULL, capture_output=True,
        check=False,
    )  # fmt: skip
    if done.returncode or len(done.stdout) < LEAST_BYTES:
        said = " ".join(done.stderr.decode(errors="replace").split())[:200] or "no message"
        raise InputError(
            f"dataset 'bible': {' '.join(COMMAND)} printed {len(done.stdout):,} bytes, fewer than "
            f"the text has ({said}); {INSTALL}"
        )
    return done.stdout


def _keep(path: Path, text: bytes) -> None:
    """Writes the file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    unfinished.write_bytes(text)
    os.replace(unfinished, path)

"""A text file of the user."""

from dataclasses import dataclass
from pathlib import Path

from growsearch.machine.bounds import whole
from growsearch.tasks.language.source import TextSource
from growsearch.trial.components import register
from growsearch.trial.errors import InputError


@register("dataset", "text")
@dataclass(frozen=True, kw_only=True)
class TextFile(TextSource):
    """Your own text: --data-dir is a file in UTF-8."""

    own = True

    def read(self, data_dir: str | None) -> bytes:
        path = _file(data_dir)
        try:
            return whole(path)
        except OSError as error:
            raise InputError(
                f"data_dir {data_dir!r} cannot be read ({error.strerror}); give a text file in "
                "UTF-8"
            ) from error

    def state(self, data_dir: str | None) -> str:
        about = _file(data_dir).stat()
        return f"{about.st_size} {about.st_mtime_ns}"


def _file(data_dir: str | None) -> Path:
    if data_dir is None:
        raise InputError(
            "dataset 'text' is a file of your own; give it by --data-dir text.txt, or choose "
            "dataset 'bible'"
        )
    path = Path(data_dir)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise InputError(f"data_dir {data_dir!r} {what}; give a text file in UTF-8")
    return path

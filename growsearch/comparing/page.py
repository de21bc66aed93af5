"""The page of a comparison: one HTML file, which opens without a network."""

import re
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from growsearch.comparing.found import Comparison
from growsearch.comparing.picture import comparison_figure
from growsearch.comparing.words import Told, joint_front, told
from growsearch.machine.files import replacing, write_whole
from growsearch.study.csv_file import write_csv
from growsearch.study.drawn import drawn
from growsearch.trial.errors import InputError, because

PAGE, PICTURE = "comparison.html", "comparison.svg"
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 2rem auto; padding: 0 1rem;
  color: #1e293b; background: #fff; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
.wide { overflow-x: auto; } td { white-space: nowrap; } td.names { white-space: normal; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .7rem; text-align: right; border-bottom: 1px solid #e2e8f0; }
th:first-child, td:first-child { text-align: left; } th { font-weight: 600; }
.warning { border-left: 4px solid #b45309; padding: .3rem .8rem; }
svg { width: 100%; min-width: 44rem; height: auto; background: #fff; border-radius: 6px; }
@media (prefers-color-scheme: dark) { body { color: #e2e8f0; background: #0f172a; }
  th, td { border-color: #334155; } }
"""


@dataclass(frozen=True)
class Written:
    """The files of a comparison."""

    page: Path
    picture: Path | None
    """None if it cannot be drawn."""
    tables: tuple[Path, ...]


def write_comparison(comparison: Comparison, out: str | Path) -> Written:
    """Writes page, picture, and the tables as CSV, into the folder `out`.

    An earlier comparison there is replaced. Raises InputError if `out` holds anything else, or
    cannot be written.
    """
    out = Path(out)
    try:
        used = out.exists() and (not out.is_dir() or any(out.iterdir()))
        if used and not (out / PAGE).is_file():
            raise InputError(
                f"output folder {str(out)!r} holds other files; nothing was changed: choose a new "
                "folder with --out"
            )
        out.mkdir(parents=True, exist_ok=True)
        picture = _svg(comparison)
        written = Written(
            out / PAGE,
            out / PICTURE if picture else None,
            tuple(out / f"{name}.csv" for name in comparison.tables()),
        )
        for path, table in zip(written.tables, comparison.tables().values(), strict=True):
            with replacing(path) as unfinished:
                write_csv(table, unfinished)
        if picture is None:
            (out / PICTURE).unlink(missing_ok=True)  # an older one shows other trials
        else:
            write_whole(out / PICTURE, picture)
        write_whole(written.page, _page(comparison, picture))
    except OSError as error:
        raise InputError(
            f"output folder {str(out)!r} cannot be written ({because(error)}); choose another"
        ) from error
    return written


def _svg(comparison: Comparison) -> str | None:
    options: dict[str, Any] = {"format": "svg", "metadata": {"Date": None}}
    picture = drawn(lambda: comparison_figure(comparison), **options)
    return None if picture is None else picture.decode()


def _page(comparison: Comparison, picture: str | None) -> str:
    names = ", ".join(study.study for study in comparison.studies)
    drawing = re.sub(r"^.*?(?=<svg)", "", picture or "", flags=re.DOTALL)
    parts = [f"<h1>{escape(names)}</h1>"]
    said = (*comparison.differences, *comparison.notes)
    parts += [f'<p class="warning">{escape(text)}</p>' for text in said]
    if drawing:
        parts.append(
            f'<div class="wide" role="img" aria-label="Fronts and progress of {escape(names)}">'
            f"{drawing}</div>"
        )
    parts += map(_section, [*told(comparison), joint_front(comparison)])
    body = "\n".join(parts)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{escape(names)}'
        '</title>\n<meta name="viewport" content="width=device-width, initial-scale=1">\n<style>'
        f"{_STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _section(part: Told) -> str:
    notes = "".join(f"<p>{escape(note)}</p>" for note in part.notes)
    head = "".join(f"<th>{escape(_heading(text))}</th>" for text in part.columns)
    rows = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in part.rows)
    return (
        f'<h2>{escape(part.title)}</h2><div class="wide"><table><tr>{head}</tr>{rows}</table></div>'
        f"{notes}"
    )


def _heading(text: str) -> str:
    """On one line."""
    return text.replace("-\n", "").replace("\n", " ")


def _cell(text: str) -> str:
    """Many names may need several lines, a number with its unit has one."""
    many = ' class="names"' if len(text) > 40 else ""
    return f"<td{many}>{escape(text)}</td>"

"""Tables as CSV, which a spreadsheet shows and does not compute."""

import math
from pathlib import Path
from typing import Any

import pandas as pd
from pandas.api.types import is_numeric_dtype


def write_csv(table: pd.DataFrame, file: Path) -> None:
    """Writes the table. A text that a spreadsheet would compute gets an apostrophe.

    The page of a report does the same (`csvCell`).
    """
    texts = {
        str(name): table[name].map(_shown, na_action="ignore")
        for name in table
        if not is_numeric_dtype(table[name])
    }
    table.assign(**texts).rename(columns=_shown).to_csv(file, index=False)


def _shown(cell: Any) -> Any:
    if not isinstance(cell, str) or not cell.startswith(("=", "+", "-", "@", "\t", "\r")):
        return cell
    try:
        return cell if math.isfinite(float(cell)) else f"'{cell}"
    except ValueError:
        return f"'{cell}"

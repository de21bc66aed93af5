"""What matplotlib draws of texts and numbers that may be a stranger's."""

import logging
from collections.abc import Callable
from io import BytesIO
from typing import Any
from warnings import catch_warnings, simplefilter

from matplotlib.figure import Figure

from growsearch.trial.errors import one_line

_LOG = logging.getLogger("growsearch")


def without_math(text: str) -> str:
    """Text that matplotlib draws as it is: what is between two `$` would be mathematics."""
    return text.replace("$", r"\$")


def drawn(figure: Callable[[], Figure], **options: Any) -> bytes | None:
    """What `savefig` writes with these options; None, and a warning, if it cannot be drawn."""
    content = BytesIO()
    try:
        with catch_warnings():
            simplefilter("ignore", RuntimeWarning)  # of numpy, before matplotlib fails
            figure().savefig(content, **options)
    except Exception as error:  # matplotlib raises many, for numbers as large as floats can be
        _LOG.warning(
            "the picture cannot be drawn (%s: %s), so there is none; see whether costs and "
            "metrics are numbers of a usual size", type(error).__name__, one_line(error)[:200],
        )  # fmt: skip
        return None
    return content.getvalue()

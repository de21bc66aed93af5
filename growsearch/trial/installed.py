"""Components of installed packages."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

from growsearch.trial.errors import InputError, one_line
from growsearch.trial.sources import hashed

GROUP = "growsearch"
Registering = Callable[[str], AbstractContextManager[None]]


def load_installed(registering: Registering) -> None:
    """Load the components that installed packages register by their entry points.

    `registering` is entered with a hash of each package's source, and notes what registers itself.
    Raises InputError, which names the package, for one that cannot be loaded.
    """
    for point in entry_points(group=GROUP):
        try:
            with registering(_package_digest(point.module)):
                point.load()
        except Exception as error:  # somebody's package may raise anything
            package = point.dist.name if point.dist else point.value
            raise InputError(
                f"package {package!r} offers growsearch components that cannot be loaded "
                f"({type(error).__name__}: {one_line(error)}); mend or uninstall it"
            ) from error


def _package_digest(module: str) -> str:
    """A hash of the source of the package that `module` is in: of all its Python files."""
    parts = module.split(".")
    prefixes = (".".join(parts[:end]) for end in range(1, len(parts) + 1))
    # a namespace package has no file, and is shared by packages of others
    file = next(Path(s.origin) for p in prefixes if (s := find_spec(p)) and s.origin)
    if file.name != "__init__.py":
        return hashed(file.read_bytes())
    sources = {str(f.relative_to(file.parent)): f.read_bytes() for f in file.parent.rglob("*.py")}
    if len(sources) == 1:
        return hashed(file.read_bytes())
    return hashed(repr([(name, hashed(text)) for name, text in sorted(sources.items())]).encode())

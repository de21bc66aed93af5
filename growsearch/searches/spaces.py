"""Search spaces by name: those of search_spaces/, which the wheel has too."""

from pathlib import Path

from growsearch.trial.errors import InputError

_PACKAGE = Path(__file__).parent.parent


def built_in_spaces() -> dict[str, Path]:
    """The files of the built-in search spaces, by name."""
    packaged = _PACKAGE / "search_spaces"
    folder = packaged if packaged.is_dir() else _PACKAGE.parent / "search_spaces"  # of the clone
    return {path.stem: path for path in sorted(folder.glob("*.py"))}


def find_space(space: str | Path) -> Path:
    """The file that `space` names: a path, or the name of a built-in search space.

    Raises InputError, which names the built-in search spaces, if it is neither.
    """
    built_in = built_in_spaces()
    found = built_in.get(str(space), Path(space))
    if not found.is_file():
        raise InputError(
            f"search space {str(space)!r} is not a file, and no built-in search space: give a path "
            f"or one of {', '.join(built_in)}"
        )
    return found

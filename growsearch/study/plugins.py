"""The plugins of a study: copies beside its records, from which it is resumed."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from growsearch.machine.files import check_file_name, read_text, write_whole
from growsearch.study.folder import PLUGINS_FOLDER
from growsearch.study.results import config_of
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError, because
from growsearch.trial.plugins import Plugin, find_plugin, session_plugins

if TYPE_CHECKING:
    import pandas as pd

_LISTED = ("name", "file", "sha256")


def describe(plugins: Iterable[Plugin]) -> list[dict[str, str]]:
    """The plugins as study.json lists them."""
    return [
        {"name": p.name, "file": "" if p.pickled else p.file_name, "sha256": p.digest}
        for p in plugins
    ]


def keep_plugins(folder: Path, plugins: Iterable[Plugin]) -> None:
    """Copy the plugins into the study, but for those of notebooks and packages."""
    for plugin in plugins:
        if plugin.pickled:
            continue  # no file that runs alone
        (folder / PLUGINS_FOLDER).mkdir(exist_ok=True)
        (folder / PLUGINS_FOLDER / plugin.file_name).write_text(plugin.source, encoding="utf-8")


def copy_plugins(folder: Path, info: Mapping[str, Any], out: Path) -> None:
    """Copies the study's own copies of its plugins, as far as they are there, into `out`."""
    for file in map(Path, plugin_files(folder, info)):
        if file.exists():
            (out / PLUGINS_FOLDER).mkdir(exist_ok=True)
            write_whole(out / PLUGINS_FOLDER / file.name, read_code(file))


def read_code(path: Path) -> str:
    """The text of a file of the study's code. InputError if it cannot be read."""
    try:
        return read_text(path)
    except (OSError, UnicodeDecodeError) as error:
        said = because(error) if isinstance(error, OSError) else "it is not UTF-8"
        raise InputError(
            f"the study's {str(path)!r} cannot be read ({said}); restore it from a copy"
        ) from error


def plugin_files(folder: Path, info: Mapping[str, Any]) -> list[str]:
    """Paths of the study's copies of its plugins. InputError if study.json lists them wrongly."""
    check_listed(folder, info)
    listed = [Path(p["file"]).name for p in info.get("plugins", []) if p["file"]]
    return [str(folder / PLUGINS_FOLDER / name) for name in listed]


def config_in(folder: Path, info: Mapping[str, Any], row: "pd.Series") -> TrialConfig:
    """`config_of` a row of the study's tables.

    Raises InputError, which names the study's plugins, if one that it needs is not loaded.
    """
    try:
        return config_of(row)
    except InputError as error:
        sessions = [p["name"] for p in info.get("plugins", []) if not p["file"]]
        if sessions:
            raise InputError(
                f"trial {row['trial_id']} needs components from {', '.join(sessions)} ({error}); "
                "run its cells in Python, and use growsearch.Study there"
            ) from error
        given = " ".join(f"--plugin {plugin}" for plugin in plugin_files(folder, info))
        if not given:
            raise
        raise InputError(
            f"trial {row['trial_id']} needs the study's plugins ({error}): add {given} (in "
            "Python: growsearch.load_plugins)"
        ) from error


def check_listed(folder: Path, info: Mapping[str, Any]) -> None:
    """InputError if study.json lists plugins wrongly."""
    for listed in info.get("plugins", []):
        if not (isinstance(listed, dict) and all(isinstance(listed.get(n), str) for n in _LISTED)):
            raise InputError(
                f"study.json in {str(folder)!r} is damaged: it lists {str(listed)[:100]!r} as a "
                "plugin; restore it from a copy"
            )
        if listed["file"]:
            check_file_name(Path(listed["file"]).name, "plugin")


def _has_changed(plugin: Plugin) -> bool:
    """Whether the file or module that the plugin was read from is there and has another source."""
    try:
        if plugin.name.endswith(".py"):  # a name of the study's: it may be a link, or never end
            return read_text(Path(plugin.name)) != plugin.source
        return find_plugin(plugin.name).source != plugin.source
    except (InputError, OSError, UnicodeDecodeError):  # it is not there: the study has its copy
        return False


def load_kept(folder: Path, info: Mapping[str, Any]) -> list[Plugin]:
    """Load the study's plugins from its copies, once they are trusted.

    Raises InputError as `find_kept`, and if an original has changed.
    """
    plugins = []
    for path, plugin in find_kept(folder, info):
        if path is not None:
            if _has_changed(plugin):
                raise InputError(
                    f"plugin {plugin.name!r} was changed since the study began; restore it (a copy "
                    f"is {str(path)!r}), or start a new study"
                )
            plugin.load()
        plugins.append(plugin)
    return plugins


def find_kept(folder: Path, info: Mapping[str, Any]) -> list[tuple[Path | None, Plugin]]:
    """The study's plugins, not loaded, and their copies; None for those of the running session.

    Nothing is imported. Raises InputError for a copy that is missing or changed, and for components
    of a notebook that are not defined.
    """
    check_listed(folder, info)
    plugins: list[tuple[Path | None, Plugin]] = []
    own = {plugin.digest: (plugin, classes) for plugin, classes in session_plugins()}
    for listed in info.get("plugins", []):
        if not listed["file"]:
            if listed["sha256"] not in own:
                raise InputError(
                    f"the study's components come from {listed['name']!r}, which is no file that "
                    "runs alone; import it, or run its cells, unchanged and resume in Python with "
                    "growsearch.Study(...).resume()"
                )
            plugins.append((None, own[listed["sha256"]][0]))
            continue
        path = folder / PLUGINS_FOLDER / Path(listed["file"]).name
        if not path.is_file():
            raise InputError(f"the study's plugin {str(path)!r} is missing; restore it from a copy")
        plugin = Plugin(listed["name"], read_code(path))
        if plugin.digest != listed["sha256"]:
            raise InputError(
                f"the study's plugin {str(path)!r} was changed since the study began; restore it "
                "from a copy"
            )
        plugins.append((path, plugin))
    return plugins

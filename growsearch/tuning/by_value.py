"""Components of notebooks and packages, as plugins that travel to the actors of a search."""

from collections.abc import Iterable
from dataclasses import replace

from ray import cloudpickle

from growsearch.trial.errors import InputError, one_line
from growsearch.trial.plugins import Plugin, session_plugins


def pickled(plugins: Iterable[Plugin]) -> list[Plugin]:
    """The plugins, with their classes pickled if their sources are no files that run alone."""
    classes = {plugin.digest: found for plugin, found in session_plugins()}
    return [_with_classes(plugin, classes.get(plugin.digest, [])) for plugin in plugins]


def _with_classes(plugin: Plugin, classes: list[type]) -> Plugin:
    if not classes:
        return plugin
    try:
        return replace(plugin, pickled=cloudpickle.dumps(classes).hex())
    except Exception as error:  # a class may hold anything
        names = ", ".join(cls.__name__ for cls in classes)
        raise InputError(
            f"{names} cannot be sent to the processes of trials ({one_line(error)}); define it in "
            "a file, and give that with plugins=[...]"
        ) from error

"""All that `growsearch doctor` looks at, in its order."""

import os
from collections.abc import Callable, Iterator
from functools import partial

from growsearch.doctor import machine, storage
from growsearch.doctor.finding import Finding, failed, fine
from growsearch.machine.files import is_address
from growsearch.trial.errors import InputError, counted, one_line


def looks(
    out: str, store: str | None = None, copy: str | None = None
) -> dict[str, Callable[[], Finding]]:
    """By name, what is looked at: `out` is the folder of studies, `store` that of epochs, and
    `copy` has the copies of studies.
    """
    found: dict[str, Callable[[], Finding]] = {
        look.__name__: look
        for look in (
            machine.versions, machine.device, machine.precision, machine.memory, machine.cache
        )
    }  # fmt: skip
    for name, place in (("out", out), ("store", store), ("copy", copy)):
        if place is None:
            continue
        if not is_address(place):
            found[f"disk of {name}"] = partial(storage.room, f"disk of {name}", place)
        found[f"storage of {name}"] = partial(storage.round_trip, f"storage of {name}", place)
    return found | {"Ray": cluster}


def cluster() -> Finding:
    """What Ray has, on the cluster of RAY_ADDRESS or on this machine, where it is started."""
    from growsearch.tuning.cluster import nodes

    address = os.environ.get("RAY_ADDRESS")
    try:
        found = nodes()
    except ImportError as error:
        return failed("Ray", f"it cannot be imported ({one_line(error)})", "pip install growsearch")
    cpus, gpus = (sum(node.get(kind, 0) for node in found) for kind in ("CPU", "GPU"))
    where = f"the cluster at {address}" if address else "this machine"
    said = f"{where} has {counted(len(found), 'node')}: {cpus:g} CPUs, {gpus:g} GPUs"
    if not cpus:
        return failed("Ray", said, "start the nodes with CPUs: ray start --num-cpus")
    return fine("Ray", said)


def diagnose(out: str, store: str | None = None, copy: str | None = None) -> Iterator[Finding]:
    """Each finding, in the order of `looks`. A look that raises an error has failed."""
    for name, look in looks(out, store, copy).items():
        try:
            yield look()
        except InputError as error:
            said, _, remedy = str(error).rpartition("; ")
            yield failed(name, said, remedy)
        except Exception as error:
            said = f"{type(error).__name__}: {one_line(error)[:300]}"
            yield failed(name, said, "report it as a bug of growsearch, with this line")

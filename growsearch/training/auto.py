"""What a trial's "auto" options come to on this machine."""

from typing import Any

from growsearch.machine.devices import device_of
from growsearch.machine.precision import check_precision
from growsearch.machine.processes import ranks
from growsearch.tasks.task import Task
from growsearch.training.auto_compile import auto_compile
from growsearch.training.auto_precision import auto_precision
from growsearch.trial.config import TrialConfig


def resolved(config: TrialConfig, loaded: Any = None) -> Task:
    """The trial's task on its device. No option of its `trial` is "auto" but for the device.

    Decides where the trial trains, in which precision, and whether steps are compiled. `loaded` is
    the task's data, if it is loaded already; the configuration then says what it is. All processes
    of a trial decide alike. Raises InputError if data or device are not there.
    """
    config = config.task.named(loaded)
    group, device = ranks(), device_of(config.device)
    if config.precision == "auto":
        config = config.replaced(precision=group.same(auto_precision(device)))
    check_precision(config.precision, device)
    task = config.task.on(device, loaded)
    with group.first_before():
        task.prepare()
    if config.compile == "auto":
        decided = auto_compile(task) if group.first else "off"
        return config.replaced(compile=group.same(decided)).task.on(device, task.loaded)
    return task

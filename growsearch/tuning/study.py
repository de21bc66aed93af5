"""A study that can be resumed."""

from collections.abc import Sequence
from typing import Any, Self

from growsearch.machine.ending import ended_by_signals
from growsearch.study.study import StoredStudy


class Study(StoredStudy):
    """The study in `folder`, which a search or `growsearch train --out` wrote.

    Tables are read when they are first used; `Study(folder)` again sees what a running search has
    added. Reading runs no code of the study: load the plugins that its trials need with
    `growsearch.load_plugins`. Raises InputError if `folder` is not a study.
    """

    def resume(
        self, extend: int | None = None, extend_horizon: int | Sequence[int] | None = None,
        *, trust: bool = False, **changes: Any,
    ) -> Self:  # fmt: skip
        """Continue the search, wherever it was interrupted, and return its study.

        Trials that have ended are not run again. `extend` trials are added from the same space.
        `extend_horizon` adds each configuration once more with this number of epochs, or with each
        of several numbers; under "wsd" or "constant" it trains what is new only. `changes` are
        settings that are new. `trust` runs plugins and space file of a study that this user's
        searches on this machine have not run. Raises InputError if it is no search, or what it
        needs is gone.
        """
        from growsearch.tuning.running import show_end
        from growsearch.tuning.tuner import resume_search

        with ended_by_signals() as ending:
            end = resume_search(self.folder, extend, extend_horizon, trust, **changes)
        show_end(self.folder, end)
        ending.pass_on()
        return type(self)(self.folder)

"""The states of a trial."""

from enum import StrEnum


class Status(StrEnum):
    """Where a trial stands, as files and tables spell it; in the order in which they are shown."""

    COMPLETED = "completed"
    """It trained all of its epochs."""
    STOPPED = "stopped"
    """The search ended it early, for good."""
    PAUSED = "paused"
    """The search took it off its actor; it may run again."""
    DIVERGED = "diverged"
    """A loss or a Lipschitz constant is no finite number any more."""
    FAILED = "failed"
    """Memory ran out at a growth, or its actor failed too often."""
    RUNNING = "running"
    """An actor trains it, or trained it when the search was interrupted."""
    WAITING = "waiting"
    """It has not started, or waits for an actor or for an epoch that another search trains."""

    @property
    def ended(self) -> bool:
        """Whether no epoch of the trial will be trained any more."""
        return self not in (Status.PAUSED, Status.RUNNING, Status.WAITING)

    @property
    def ran_to_end(self) -> bool:
        """Whether the trial ended by itself: nothing stopped it, and nothing failed."""
        return self in (Status.COMPLETED, Status.DIVERGED)

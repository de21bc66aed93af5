"""What a search's driver and its actors tell each other, in plain values that Tune can carry.

The driver sends an Assignment, which is Tune's configuration of a trial. The actor that trains the
trial answers with Reports, which are Tune's results.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from growsearch.trial.config import TrialConfig
from growsearch.trial.history import EpochRecord, record_among
from growsearch.trial.plugins import Plugin
from growsearch.trial.status import Status

ELSEWHERE = (
    "it began where torch, processor or GPU are others, and sums round otherwise; resume the "
    "search there, or start a new one"
)
"""The error of an actor that would continue a trial to other bits than those of its first host."""


@dataclass(frozen=True, kw_only=True)
class StoreAccess:
    """Where and how the actors of a search remember epochs."""

    place: str
    """Folder or address of the EpochStore."""
    owner: str
    """The name under which the search claims epochs."""
    keep_states: str = "forks"
    """Which states stay: see Branch."""
    state_bytes: int | None = None
    """How many bytes of states stay; None: all."""


@dataclass(frozen=True, kw_only=True)
class ActorOptions:
    """How the actors of a search train, the same for all of its trials."""

    store: StoreAccess | None = None
    epoch_timeout: float | None = None
    """Seconds after which the process of a trial that hangs in an epoch ends itself."""
    auto_precision: str | None = None
    """The precision that "auto" stands for; None: each actor decides."""
    plugins: tuple[Plugin, ...] = ()
    """Sources of the components that are not growsearch's own."""
    networks: str | None = None
    """The study's folder for the networks that its trials keep."""
    copy: str | None = None
    """The place of the study's copy, where nodes that do not see the study keep them."""
    study: str | None = None
    """The study's id, by which a node sees whether its folder is the study's."""


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """The trial that an actor trains."""

    name: str
    trial: TrialConfig
    known: int
    """How many of its epochs the driver has records of; they are not reported again."""
    first: str | None
    """The key of its first epoch, if it has begun."""
    options: ActorOptions
    parts: tuple[int, ...] = ()
    """Numbers of epochs after which its state stays in the store: other trials diverge there."""

    def to_dict(self) -> dict[str, Any]:
        options = asdict(self.options)
        return vars(self) | {"trial": self.trial.to_flat(), "options": options}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Assignment":
        """The inverse of `to_dict`. It loads the plugins, which the trial may need."""
        options, store = values["options"], values["options"]["store"]
        plugins = tuple(Plugin(**plugin) for plugin in options["plugins"])
        for plugin in plugins:
            plugin.load()
        return cls(
            name=trial_name(values),
            trial=TrialConfig.from_flat(values["trial"]),
            known=values["known"],
            first=values["first"],
            parts=tuple(values.get("parts", ())),
            options=ActorOptions(
                **options | {"store": store and StoreAccess(**store), "plugins": plugins}
            ),
        )


def trial_name(assignment: Mapping[str, Any]) -> str:
    """The name in `Assignment.to_dict`, as Tune's configuration of a trial has it."""
    return str(assignment["name"])


class AwaitedEpoch(NamedTuple):
    """An epoch that another search trains at the moment."""

    key: str
    before: int
    """How many epochs of the trial come before it."""
    steps: int | None = None
    """Steps of an epoch, where the trial's learning rate changes within epochs."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """The epochs of a trial since its last report.

    The fields of `record` stand at the top of a Tune result, where schedulers read them. Either a
    record or an awaited epoch is there.
    """

    record: EpochRecord | None = None
    """Record of the newest epoch. It is repeated if the next epoch ran out of memory."""
    remembered: tuple[EpochRecord, ...] = ()
    """Records of the epochs before it that came from the store."""
    awaits: AwaitedEpoch | None = None
    """Why the trial leaves its actor, to start again later."""
    reason: str | None = None
    """Why the trial failed, if it did."""

    def to_dict(self) -> dict[str, Any]:
        """A Tune result. Its "done" tells Tune that the trial leaves the actor."""
        is_last = self.record is None or self.record.status is not Status.RUNNING
        return {
            **(self.record.to_result() if self.record else {}),
            "remembered": [record.to_dict() for record in self.remembered],
            "awaits": self.awaits and list(self.awaits),
            "reason": self.reason,
            "done": is_last,
        }

    @classmethod
    def from_dict(cls, result: Mapping[str, Any]) -> "Report":
        """From a Tune result, which has keys of Tune's own as well."""
        awaits = awaited_epoch(result)
        return cls(
            record=None if awaits else record_among(result),
            remembered=tuple(map(record_among, result["remembered"])),
            awaits=awaits,
            reason=result["reason"],
        )


def awaited_epoch(result: Mapping[str, Any] | None) -> AwaitedEpoch | None:
    """What the trial awaits by its last result, which may be empty or None if it had none."""
    awaits = (result or {}).get("awaits")
    return AwaitedEpoch(*awaits) if awaits else None

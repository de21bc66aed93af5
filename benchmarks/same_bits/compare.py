"""The differences between what two revisions have made of the same cases."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from plain import Tree

SHOWN, SHOWN_OF_A_FIELD = 20, 3
KEY_FIELDS = ("key", "root")
STORE_PARTS = ("store", "later_store")
ENDINGS = ("crashed", "refused")
"""How a case may end without a result. An error that is no InputError, even if both revisions have
it, counts as a difference: it compares nothing."""
ABSENT = "absent"
NEWER = (
    "metrics", "best_val_loss", "data", "loss_jump", "mixing_to_best", "mixing_to_trend",
    "example_tokens", "cost/tokens", "bound/cost/tokens",
)  # fmt: skip
"""Fields of records, parts of states and columns of tables that only newer revisions have."""


@dataclass(frozen=True)
class Difference:
    """One value that is not the same."""

    case: str
    path: tuple[str, ...]
    """Where it stands in what the case came to, like trials, 0, epochs, 3, val_loss."""
    old: Any
    new: Any

    @property
    def field(self) -> str:
        """The record's or configuration's field; for a store's files, their kind."""
        part, *inside = self.path
        if part in STORE_PARTS and len(inside) == 2:
            return f"names of {inside[0]}"
        if self.path[-1] not in KEY_FIELDS and {"state", "states"} & set(self.path):
            return "state"
        return next(name for name in reversed(self.path) if not name.isdigit())

    @property
    def is_of_keys(self) -> bool:
        return self.field in KEY_FIELDS or self.field.startswith("names of ")

    @property
    def is_new(self) -> bool:
        """Whether it is an option, a field or a column that only the new revision has."""
        inside = {"config", "flat"} & set(self.path[:-1])
        is_column = self.field.startswith(("config/", "metric/"))
        return self.old == ABSENT and (bool(inside) or is_column or self.path[-1] in NEWER)

    def __str__(self) -> str:
        place = " ".join(self.path)
        return f"{self.case} | {place}: {_shown(self.old)} != {_shown(self.new)}"


def _shown(value: Any) -> str:
    if isinstance(value, str) and ("0x1." in value or "0x0." in value):
        return f"{float.fromhex(value)!r} ({value})"
    text = str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def differences(case: str, old: Tree, new: Tree, with_keys: bool) -> Iterator[Difference]:
    """Every value that is not the same; without keys, neither they nor what stores hold.

    An option that only the new revision has is no difference, nor is one of NEWER: what they do to
    the rest of records, states and keys is compared.
    """
    for difference in _differences(case, (), old, new):
        if not difference.is_new and (with_keys or not _depends_on_keys(difference)):
            yield difference


def _depends_on_keys(difference: Difference) -> bool:
    return difference.is_of_keys or difference.path[:1] in [(part,) for part in STORE_PARTS]


def _differences(case: str, path: tuple[str, ...], old: Tree, new: Tree) -> Iterator[Difference]:
    if isinstance(old, list) and isinstance(new, list) and _holds_trees(old + new):
        old, new = ({str(i): item for i, item in enumerate(items)} for items in (old, new))
    if isinstance(old, dict) and isinstance(new, dict):
        for ending in ENDINGS:
            values = old.get(ending, False), new.get(ending, False)
            if values[0] != values[1] or (ending == "crashed" and any(values)):
                yield Difference(case, (*path, ending), *values)
                return
        for name in [*old, *(name for name in new if name not in old)]:
            inside = old.get(name, ABSENT), new.get(name, ABSENT)
            yield from _differences(case, (*path, name), *inside)
    elif type(old) is not type(new) or old != new:
        yield Difference(case, path, old, new)


def _holds_trees(items: list[Tree]) -> bool:
    return any(isinstance(item, dict) for item in items)


def report(found: list[Difference]) -> Iterator[str]:
    """Lines about `found`: some of each field, each of another case, then how many there are."""
    cases_of: dict[str, list[str]] = {difference.field: [] for difference in found}
    ranked = []
    for difference in found:
        cases = cases_of[difference.field]
        if difference.case not in cases[-1:]:
            if len(cases) < SHOWN_OF_A_FIELD:
                ranked.append((len(cases), difference))
            cases.append(difference.case)
    shown = sorted(ranked, key=lambda pair: pair[0])[:SHOWN]
    yield from (str(difference) for _, difference in shown)
    if found:
        yield f"{len(found)} differences, {len(shown)} of them shown; by field:"
    for name, count in Counter(difference.field for difference in found).most_common():
        yield f"  {name}: {count} in {len(cases_of[name])} cases"


def trials_of(result: Tree) -> list[Tree]:
    """The trials in what a case came to."""
    return [t for part in ("trials", "later") for t in result.get(part, []) if "epochs" in t]


def is_ended(result: Tree) -> bool:
    """Whether a case has ended without a result."""
    return any(ending in result for ending in ENDINGS)


def expected_over_store(spec: dict[str, Any], old: Tree) -> Tree:
    """What the new revision is to make of the old one's store, from what the old one has made.

    Every epoch of the trials that the store has seen is reused, no record comes to the store, and
    later trials are the same.
    """
    steps = zip(spec["trials"], old["trials"], strict=True)
    trials = [_reused(trial) if step.get("stored", True) else trial for step, trial in steps]
    return {**over_store(old), "trials": trials}


def over_store(result: Tree) -> Tree:
    """What is compared of trials over another revision's store.

    States are not, since those that were dropped there may be written again.
    """
    records = {part: {"records": result[part]["records"]} for part in STORE_PARTS}
    return {"trials": result["trials"], "later": result["later"], **records}


def _reused(trial: Tree) -> Tree:
    if "epochs" not in trial:
        return trial
    epochs = {epoch: record | {"reused": True} for epoch, record in trial["epochs"].items()}
    return trial | {"epochs": epochs}

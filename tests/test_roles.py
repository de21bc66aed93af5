"""Roles are true: an option changes what is trained from the epoch on that its role says.

Trials that differ in one option train for real. Each role foretells the first epoch whose key
differs; epochs of equal keys must have equal bits.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from conftest import first_quick
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.datasets import load_digits

from growsearch.epochs.keys import growth_key
from growsearch.growth.initializers.zero import Zero
from growsearch.machine.arithmetic import arithmetic
from growsearch.tasks.images.images import Images
from growsearch.tasks.images.loading import _load
from growsearch.tasks.images.source import ImageSource
from growsearch.tasks.images.spec import DataSpec
from growsearch.tasks.images.task import ImageTask
from growsearch.trainer import Trainer
from growsearch.training.optimizers.sgd import SGD
from growsearch.trial import components as registry
from growsearch.trial.architecture import Architecture
from growsearch.trial.components import KINDS, component, components, register, users_of
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError
from growsearch.trial.history import INITIALIZING, EpochRecord, History
from growsearch.trial.kinds import Initializer
from growsearch.trial.optimizer_changes import parse_change
from growsearch.trial.options import Option, Role, option
from growsearch.trial.own_options import trial_options
from growsearch.trial.rates import rates
from growsearch.trial.trial_options import every_option

ONE_OF_EACH = sorted({rule.role: name for name, rule in every_option().items()}.values())
"""An option of each role, which are tried in the slow lane."""
OTHERS = sorted(every_option().keys() - set(ONE_OF_EACH))

TINY = {
    "dataset": "made", "train_size": 60, "image_size": 9, "network": "basic3resnet",
    "architecture": "2-2-2", "policy": "fixed", "initializer": "default", "epochs": 4,
    "batch_size": 32, "lr": 0.1, "lr_schedule": "adaptive-cosine", "weight_decay": 1e-3,
    "optimizer": "sgd", "device": "cpu", "precision": "float32", "compile": "off",
}  # fmt: skip
"""A trial of a third of a second that grows once."""
TEXT = {
    "task": "language", "architecture": "1", "growth_architectures": ("2",), "policy": "fixed",
    "initializer": "default", "epochs": 4, "width": 8, "heads": 1, "context": 8, "eval_windows": 3,
    "steps_an_epoch": 2, "batch_size": 4, "lr": 0.01, "device": "cpu", "precision": "float32",
    "compile": "off",
}  # fmt: skip
"""Likewise, of the task language."""
PATCHES = {
    **{name: value for name, value in TINY.items() if name != "network"},
    "task": "vision-transformer", "architecture": "1", "growth_architectures": ("2",), "width": 8,
    "heads": 1, "image_size": 10, "patch": 1, "lr": 0.01,
}  # fmt: skip
"""Likewise, of the task vision-transformer."""
EVENTFUL = {
    "growth_epochs": (2,), "growth_architectures": ("2-2-3",), "max_architecture": "4-4-4",
    "rtol": 0.9, "window": 1, "reserve": 1, "interval": 1, "patience": 1, "tau": 50,
    "finetune_epochs": 1, "lr_epochs": (2,),
}  # fmt: skip
"""Options of components, with which four epochs are enough for growths and other rates."""
TOGETHER: dict[str, dict[str, Any]] = {
    "architecture": {"policy": "none"},
    "first_block": {"task": "language", "architecture": "2", "growth_architectures": ("4",)},
    "baseline": {"epochs": 5, "window": 2, "rtol": 1.1},
    "clip_norm": {"clip_norm": 0.1},
    "final_lr": {"final_lr": 0.2},
    "growth_architectures": {"architecture": "2-2-2"},
    "patience": {"max_architecture": "4-2-2"},
    "reserve": {"rtol": 9},
    "state_of_copies": {"momentum_on_growth": "carry"},
    "tau": {"max_architecture": "4-2-2"},
    "test_fraction": {"test_fraction": 0.2},
    "train_fraction": {"train_size": None, "train_fraction": 0.2},
    "val_fraction": {"val_fraction": 0.2},
    "warmup": {"warmup": 1.5},
}
"""What an option needs beside it to change anything."""
OWN_DATA: dict[str, str] = {}
"""The data_dir of each data set of own images, which hold digits, and of the text."""
OUT_OF_REACH = {("dataset", name): "files" for name in set(components("dataset")) - {"digits"}}
"""Values that cannot be tried, and what they need."""
if not torch.cuda.is_available():
    OUT_OF_REACH["device", "cuda"] = "a GPU"
NOT_TRAINED = {("compile", "on")}
"""Values whose keys alone a test of their own compares."""

DECIDED_AFTER = {
    "grew", "status", "grown_val_loss", "grown_val_accuracy", "temporal_error",
    "functional_difference", "temporal_bound",
}  # fmt: skip
"""Fields of a record that belong to what follows its epoch: a growth, with a key of its own."""
DETAILS = {"lipschitz_blocks", "lipschitz_layers"}
"""Fields that are recorded on demand, and never trained with."""
TRAINED = {f.name for f in fields(EpochRecord) if f.compare} - {
    *DECIDED_AFTER, *DETAILS, "key",
    "phase",  # fine-tuning is training
}  # fmt: skip
"""Fields that are equal where keys are."""


@dataclass(frozen=True, kw_only=True)
class Made(ImageSource):
    """Digits with a test set, which may come from a file."""

    spec = DataSpec(classes=10, val_per_class=5, pixel_max=16, mean=(0.3,), std=(0.4,))

    def read(self, data_dir: str | None) -> tuple[Images, Images]:
        bunch = load_digits()
        images = bunch.images if data_dir is None else np.load(f"{data_dir}/images.npy")
        every = Images(
            torch.tensor(images, dtype=torch.uint8)[:, None],
            torch.tensor(bunch.target, dtype=torch.int64),
        )
        return every[torch.arange(400)], every[torch.arange(400, 460)]


@dataclass(frozen=True, kw_only=True)
class Heavy(SGD):
    """A second optimizer: the choice of the only one cannot be varied."""

    def build(self, parameters: Any, lr: float, weight_decay: float) -> torch.optim.SGD:
        return torch.optim.SGD(
            parameters, lr=lr, momentum=self.momentum, weight_decay=weight_decay, nesterov=True
        )


@dataclass(frozen=True, kw_only=True)
class Halved(ImageTask):
    """A second task of the same kinds: the choice of the only one cannot be varied."""

    def score(self, model: Any, batch: Any) -> tuple[torch.Tensor, torch.Tensor]:
        loss, correct = super().score(model, batch)
        return loss / 2, correct


@contextmanager
def registered(kind: str, name: str, cls: type) -> Iterator[None]:
    register(kind, name)(cls)
    try:
        yield
    finally:
        del registry._REGISTRY[kind][name]
        _load.cache_clear()


@pytest.fixture(scope="module", autouse=True)
def _made() -> Iterator[None]:
    with (
        registered("dataset", "made", Made),
        registered("optimizer", "made", Heavy),
        registered("task", "made", Halved),
    ):
        yield


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> list[str]:
    """Two folders with the same images and one with others."""
    made = []
    for name, shift in (("one", 0), ("same", 0), ("other", 1)):
        folder = tmp_path_factory.mktemp(name)
        np.save(folder / "images.npy", np.roll(load_digits().images, shift, axis=2))
        made.append(str(folder))
    return made


@pytest.fixture(scope="module", autouse=True)
def _own_data(tmp_path_factory) -> None:
    folder = tmp_path_factory.mktemp("own")
    bunch = load_digits()
    images, labels = (15 * bunch.images[:200]).astype(np.uint8), bunch.target[:200]
    np.savez(folder / "digits.npz", X=images, y=labels)
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        (folder / "digits" / str(label)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / "digits" / str(label) / f"{number}.png")
    (folder / "text.txt").write_text("".join(f"The {n}th line of a text. " for n in range(200)))
    OWN_DATA.update(
        arrays=str(folder / "digits.npz"), folder=str(folder / "digits"),
        text=str(folder / "text.txt"),
    )  # fmt: skip


@dataclass(frozen=True, repr=False)
class Trained:
    """A trial that has ended."""

    config: TrialConfig
    data: str
    machine: dict[str, Any]
    steps: int
    history: tuple[EpochRecord, ...]

    @property
    def keys(self) -> list[str]:
        return [record.key for record in self.history]

    def decided(self, k: int) -> tuple[object, ...]:
        """What decisions made of the epoch after `k` epochs."""
        record = self.history[k]
        planned = rates(self.config, History(self.history[:k]), record.phase)
        assert planned.taken(lambda: self.steps).lr == record.lr
        return record.architecture, planned, record.phase == INITIALIZING

    @property
    def first_growth(self) -> float:
        """The first epoch after a growth."""
        return min((r.epoch + 1 for r in self.history if r.grew), default=np.inf)

    def growth(self, k: int) -> str | None:
        """The key of the growth after `k + 1` epochs."""
        if not self.history[k].grew or k + 1 == len(self.history):
            return None
        grown = Architecture(self.history[k + 1].architecture)
        return growth_key(self.history[k].key, self.config, grown)


@cache
def trained(config: TrialConfig) -> Trained:
    trainer = Trainer(config)
    history = tuple(trainer)
    machine = arithmetic(trainer.config, trainer.task.device) | {"compile": trainer.config.compile}
    data, steps = trainer.task.data_digest(), trainer.task.steps()
    return Trained(config, data, machine, steps, history)


def bits(record: EpochRecord, names: set[str]) -> dict[str, str]:
    """Numbers as text that tells all their bits; NaN equals NaN."""
    return {name: repr(getattr(record, name)) for name in names}


def differing(a: Trained, b: Trained) -> dict[str, Role | None]:
    """The options whose values differ, with their roles."""
    rules, one, two = every_option(), a.config.values(), b.config.values()
    return {n: rules[n].role for n in {*one, *two} if one.get(n) != two.get(n)}


def first_epoch(role: Role | None, a: Trained, b: Trained) -> float:
    """The first epoch that is another one if options of this role differ."""
    match role:
        case Role.DATA:
            return 1 if a.data != b.data else np.inf
        case Role.NETWORK | Role.EPOCH:
            return 1
        case Role.GROWTH:
            return min(a.first_growth, b.first_growth)
        case Role.DECISION:
            both = range(min(len(a.history), len(b.history)))
            return next((k + 1 for k in both if a.decided(k) != b.decided(k)), np.inf)
        case Role.MACHINE:
            return 1 if a.machine != b.machine else np.inf
        case Role.RECORD:
            return np.inf
    raise AssertionError(f"no such role: {role}")


def check(a: Trained, b: Trained) -> bool:
    """Keys part in the epoch that roles foretell, and equal keys have equal bits.

    Returns whether bits part in that very epoch, or for roles that foretell none whether any
    measurement was recorded otherwise.
    """
    apart = differing(a, b)
    parts = min((first_epoch(role, a, b) for role in apart.values()), default=np.inf)
    both = range(min(len(a.history), len(b.history)))
    for k in both:
        one, two = a.history[k], b.history[k]
        same = one.key == two.key
        if same:
            assert bits(one, TRAINED) == bits(two, TRAINED), (
                f"epoch {k + 1} has other bits and the same key: {apart}"
            )
        assert same == (k + 1 < parts), f"key of epoch {k + 1}, to differ from {parts} on: {apart}"
        growth = a.growth(k)
        if growth is not None and growth == b.growth(k):
            assert bits(one, DECIDED_AFTER - {"status"}) == bits(two, DECIDED_AFTER - {"status"}), (
                f"the growth after epoch {k + 1} has other bits and the same key: {apart}"
            )
    if parts <= len(both):
        first = int(parts) - 1
        return bits(a.history[first], TRAINED) != bits(b.history[first], TRAINED)
    return any(bits(a.history[k], DETAILS) != bits(b.history[k], DETAILS) for k in both)


def tiny(**chosen: Any) -> dict[str, Any]:
    """Options of a tiny trial that has what is `chosen`."""
    base = TINY
    if chosen.get("task") == "language":
        base = {**TEXT, "data_dir": OWN_DATA["text"]}
    if chosen.get("task") == "vision-transformer":
        base = PATCHES
    options = {**base, **chosen}
    if "network" in chosen:  # which makes another first epoch, the dearest of all
        blocks = ["1"] * component("network", chosen["network"]).subnetworks
        options |= {"architecture": "-".join(blocks), "policy": "none", "epochs": 1}
    if not component("policy", options["policy"]).grows:
        del options["initializer"]
    for kind in KINDS:
        if kind in options:
            own = component(kind, options[kind]).options()
            options |= {n: v for n, v in EVENTFUL.items() if n in own and n not in options}
    return options


def bases(name: str) -> list[dict[str, Any]]:
    """Options of tiny trials that use option `name`: one for each component that has it."""
    beside = TOGETHER.get(name, {})
    if name in trial_options():
        return [tiny(**beside)]
    made = []
    for user in users_of(name):
        data = {"data_dir": OWN_DATA[user.name]} if user.name in OWN_DATA else {}
        made.append(tiny(**{user.kind: user.name, **data, **beside}))
    return made


def others(rule: Option, value: Any, folders: list[str]) -> list[Any]:
    """Values beside `value`, by the rule of the option; some may not fit."""
    if rule.many:
        before, last = (value[:-1], value[-1]) if value else ((), None)
        return [(*before, other) for other in _others(rule, last, folders)]
    return _others(rule, value, folders)


def _others(rule: Option, value: Any, folders: list[str]) -> list[Any]:
    if rule.choices is not None:
        return [c for c in rule.choices if (rule.name, c) not in {*OUT_OF_REACH, *NOT_TRAINED}]
    if rule.kind is not str:
        near = (value + 1, value - 1) if rule.kind is int else (1.5 * value, value / 1000)
        return [number for number in near if _fits(rule, number)]
    if rule.parse is Architecture:
        architecture = Architecture(value)
        return [str(architecture.grown(0)), str(architecture.doubled())]
    if rule.parse is parse_change:
        return ["2:lr=0.03", "2:weight_decay=0.2"]
    return folders


def _fits(rule: Option, number: float) -> bool:
    try:
        rule.check(number)
    except InputError:
        return False
    return True


def pairs(name: str, folders: list[str]) -> Iterator[tuple[TrialConfig, TrialConfig]]:
    """Configurations that differ in option `name`."""
    rule = every_option()[name]
    if name in KINDS:
        chosen = [c for c in components(name) if (name, c) not in OUT_OF_REACH]
        made = [TrialConfig(**tiny(**{name: c}, **TOGETHER.get(name, {}))) for c in chosen]
        yield from ((made[0], other) for other in made[1:])
        return
    for base in bases(name):
        one = TrialConfig(**base)
        for value in others(rule, one.values()[name], folders):
            try:
                other = TrialConfig(**{**base, name: value})
            except InputError:
                continue
            if other != one:
                yield one, other


def check_option(name: str, folders: list[str]) -> None:
    """That the role of option `name` is true, in trials of which some differ by it."""
    role, tried, early = every_option()[name].role, 0, False
    for one, other in pairs(name, folders):
        a = trained(one)
        try:
            b = trained(other)
        except InputError:  # of a value that does not fit the data
            continue
        apart = differing(a, b)
        assert name in apart
        assert first_epoch(role, a, b) == min(first_epoch(r, a, b) for r in apart.values())
        tried, early = tried + 1, check(a, b) or early
    assert tried, f"no two trials differ in {name}"
    assert early or role is Role.MACHINE, f"in {tried} pairs, no bits part where {name} is to"


@pytest.mark.parametrize("name", first_quick([*ONE_OF_EACH, *OTHERS], 0, slow=len(ONE_OF_EACH)))
def test_an_option_changes_what_its_role_says_and_keys_know(name, folders):
    check_option(name, folders)


@pytest.mark.slow
def test_compiled_epochs_have_keys_of_their_own():
    """Bits are in test_compiling.py: compiling takes minutes."""
    config = TrialConfig(**tiny())
    assert Trainer(config.replaced(compile="on")).next_key != Trainer(config).next_key


@pytest.mark.parametrize(("name", "value"), sorted(OUT_OF_REACH))
def test_what_is_not_tried_cannot_be(name, value, tmp_path):
    options = {**tiny(), name: value}
    if name == "dataset":
        options |= {"data_dir": str(tmp_path), "image_size": None}
    with pytest.raises(InputError) as caught:
        Trainer(TrialConfig(**options))
    assert "\n" not in str(caught.value)


@pytest.mark.long
@settings(max_examples=15, derandomize=True, deadline=None,
          suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])  # fmt: skip
@given(data=st.data())
def test_any_options_together_change_what_their_roles_say_and_keys_know(folders, data):
    kinds = ("policy", "initializer", "lr_schedule")
    chosen = {kind: data.draw(st.sampled_from(sorted(components(kind))), kind) for kind in kinds}
    try:
        one = TrialConfig(**tiny(**chosen))
        assume("initializer" not in chosen or one.initializer is not None)
        values = one.values()
        names = data.draw(st.sets(st.sampled_from(sorted(values)), min_size=1, max_size=4), "names")
        changed = {}
        for name in sorted(names - {"network"}):
            if values[name] is not None or every_option()[name].kind is str:
                near = others(every_option()[name], values[name], folders)
                changed[name] = data.draw(st.sampled_from(near), name)
        other = TrialConfig(given=one.given, **changed)
        a, b = trained(one), trained(other)
    except InputError:
        assume(False)
    check(a, b)


def planted_initializer(role: Role | None) -> type[Initializer]:
    @dataclass(frozen=True, kw_only=True)
    class Planted(Zero):
        """New blocks that add something."""

        strength: float = option(0.5, "scale of new residuals", role=role)

        def initialize(self, block: Any, *, new: bool, step: float, draw: Any) -> None:
            if new:
                block.last_normalization.weight.fill_(self.strength)

    return Planted


def planted_optimizer(role: Role | None) -> type[SGD]:
    @dataclass(frozen=True, kw_only=True)
    class Planted(SGD):
        """SGD without its first momentum."""

        strength: float = option(0.5, "part of the gradient that is not taken", role=role)

        def build(self, parameters: Any, lr: float, weight_decay: float) -> torch.optim.SGD:
            return torch.optim.SGD(parameters, lr=lr, momentum=0.9, dampening=self.strength)

    return Planted


PLANTED = {"initializer": planted_initializer, "optimizer": planted_optimizer}
RIGHT = {"initializer": {Role.GROWTH}, "optimizer": {Role.EPOCH, Role.NETWORK}}


@pytest.mark.parametrize("kind", sorted(PLANTED))
@pytest.mark.parametrize(
    "role", first_quick([Role.GROWTH, *sorted({*Role} - {Role.GROWTH})], 1, slow=0)
)
def test_an_option_of_a_wrong_role_is_found(kind, role, folders):
    with registered(kind, f"planted-as-{role}".replace(" ", "-"), PLANTED[kind](role)):
        if role in RIGHT[kind]:
            check_option("strength", folders)
        else:
            with pytest.raises(AssertionError, match=r"^(epoch|key of|the growth|in \d+ pairs)"):
                check_option("strength", folders)


def test_every_option_has_a_role_and_without_one_it_has_that_of_its_kind():
    assert {rule.role for rule in every_option().values()} == set(Role)
    for kind, planted in PLANTED.items():
        with registered(kind, "planted", planted(None)):
            assert every_option()["strength"].role is every_option()[kind].role


def test_a_field_that_is_no_option_is_refused_in_one_line():
    @dataclass(frozen=True, kw_only=True)
    class Bare(Zero):
        """New blocks with a field that has no help, rule or role."""

        strength: float = 0.5

    with pytest.raises(InputError, match="field 'strength' states no help, rule and role") as said:
        register("initializer", "bare")(Bare)
    assert "write strength: ... = option(default" in str(said.value) and "\n" not in str(said.value)
    assert "bare" not in components("initializer")

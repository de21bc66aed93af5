"""The base class of each kind of component that a trial is put together from.

What a component does not say is answered safely: a policy's growth is not known beforehand, a
schedule may read data. What has no safe answer is abstract, and is asked for at registration.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

from growsearch.trial.architecture import Architecture
from growsearch.trial.components import Component
from growsearch.trial.course import SHAPES, Course, Fall, course
from growsearch.trial.errors import InputError
from growsearch.trial.history import History
from growsearch.trial.options import Role, Value, option, shortened, suggestion

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from growsearch.tasks.task import Task
    from growsearch.trial.config import TrialConfig

Proposals = Mapping[str, Value]
"""Values by option name: defaults of options that the trial was not given."""


READABLE = {
    "accuracy": "validation accuracy",
    "train_accuracy": "training accuracy",
    "lipschitz": "Lipschitz constants",
}
"""What a component may read besides losses, in words; tasks say by has_... whether they have it."""


def reads_flaw(cls: Any) -> str | None:
    """Why a component's class cannot read what it says; see Component.flaw."""
    if isinstance(cls.reads, str):
        return f"says reads = {cls.reads!r}; write ({cls.reads!r},)"
    unknown = [number for number in cls.reads if number not in READABLE]
    return f"reads {unknown[0]!r}{suggestion(unknown[0], tuple(READABLE))}" if unknown else None


@dataclass(frozen=True)
class Grow:
    """Continue as a deeper network."""

    architecture: Architecture
    reason: str

    def __str__(self) -> str:
        return f"grows to {self.architecture}: {self.reason}"


@dataclass(frozen=True)
class FineTune:
    """Stop growing, and train the network that was found to its end."""

    reason: str

    def __str__(self) -> str:
        return f"fine-tunes: {self.reason}"


Decision = Grow | FineTune


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """How AutoGrow's paper trains a network from scratch on a data set (section 3)."""

    epochs: int = 200
    stairs: tuple[Fraction, ...] = (Fraction(1, 2), Fraction(3, 4))
    """The learning rate falls to a tenth after each of these parts of the epochs."""
    weight_decay: float = 5e-4
    interval: int = 3
    """K of periodic growth."""
    image_size: int | None = None


@dataclass(frozen=True, kw_only=True)
class DataSource(Component, ABC):
    """A data set: where its images, or its text, come from, and what is known of them."""

    kind = "dataset"
    role = Role.DATA
    holds: ClassVar[str] = "images"
    """What it has, in a word: a task takes data sets that hold what it `learns`."""
    baseline: ClassVar[Baseline] = Baseline()
    proposals: ClassVar[Proposals] = {}
    """Defaults that the data set has for options of the trial."""
    own: ClassVar[bool] = False
    """Whether it reads the user's own files, which may change. A trial whose data have changed
    since it began is then not resumed."""

    @property
    def may_change(self) -> bool:
        """Whether it may be other data next time: the user's own files, or what a plugin reads."""
        return self.own or self.plugin is not None

    @abstractmethod
    def read(self, data_dir: str | None) -> Any:
        """Training and test images, as two Splits; None for the test images if there are none. A
        TextSource gives the text.

        Raises InputError if files are missing or damaged.
        """


@dataclass(frozen=True, kw_only=True)
class Family(Component, ABC):
    """A family of networks that differ in depth alone."""

    kind = "network"
    role = Role.NETWORK
    subnetworks: ClassVar[int]
    """How many sub-networks there are: the numbers in an architecture."""
    residual: ClassVar[bool]
    """Whether blocks add a residual to a shortcut, as some initializers need."""
    least_depth: ClassVar[int] = 1
    """The fewest blocks that a sub-network may have."""
    proposals: ClassVar[Proposals] = {}
    """Defaults that the family has for options of the trial."""

    def checked(self, name: str, given: str) -> Architecture:
        """The architecture `given` as option `name`; InputError if it is not of this family."""
        architecture = Architecture(given)
        if len(architecture.blocks) != self.subnetworks:
            raise InputError(
                f"{name} {given!r} has {len(architecture.blocks)} sub-networks, but {self.name} "
                f"has {self.subnetworks}; write it like {'-'.join(['2'] * self.subnetworks)}"
            )
        architecture.check_least(name, self.least_depth, self.name)
        return architecture

    @abstractmethod
    def build(self, architecture: Architecture, shape: tuple[int, int, int], classes: int,
              steps: Any) -> Any:  # fmt: skip
        """The network on the CPU, initialized from torch's global generator.

        `shape` is channels, height and width of an image; `steps` are the StepSizes of the
        sub-networks' blocks, one each.
        """


class Stage(NamedTuple):
    """A part of a trial within which a staircase learning rate falls once."""

    begin: int
    """Epochs before it."""
    epochs: int
    stairs: tuple[Fraction, ...]


@dataclass(frozen=True, kw_only=True)
class Policy(Component, ABC):
    """When a network grows, and to what: a pure function of the trial and its history.

    A policy reads validation data and Lipschitz constants, never the test accuracy.
    """

    kind = "policy"
    role = Role.DECISION
    grows: ClassVar[bool] = True
    label: ClassVar[str] = ""
    """What figures and tables call it; by default its name."""
    reads: ClassVar[tuple[str, ...]] = ()
    """What it reads that not every task has: "accuracy", "train_accuracy", "lipschitz"."""
    finetune_epochs: int | None = field(default=None, init=False)
    """Epochs of fine-tuning, which are a trial's last; None if there are none."""

    @classmethod
    def flaw(cls) -> str | None:
        if not callable(cls.proposals):
            return "has proposals that are no method; define proposals(self, trial)"
        return reads_flaw(cls)

    @abstractmethod
    def decide(self, trial: "TrialConfig", history: History) -> Decision | None:
        """What follows the last epoch of `history`; None is to train on.

        `history` has no epochs that initialized new blocks apart.
        """

    def proposals(self, trial: "TrialConfig") -> Proposals:
        """Defaults for options of the trial and its other components; here LipGrow's for CIFAR.

        They hold for what one of your own leaves out. `trial` has its task, data set and network,
        and no more yet.
        """
        return {
            "architecture": str(Architecture([2] * len(trial.task.stacks))),
            "epochs": 164,
            "batch_size": 128,
            "lr": 0.5,
            "lr_schedule": "adaptive-cosine",
            "weight_decay": 2e-4,
            "initializer": "clone",
            "placement": "between",
            "momentum_on_growth": "reset",
        }

    def proposed(self, trial: "TrialConfig") -> Proposals:
        """`proposals`, with those of every policy for what it leaves out."""
        own: Any = self.proposals(trial)
        if not isinstance(own, Mapping):
            raise InputError(
                f"proposals of policy {self.name!r} returned {shortened(own)}; return a dict of "
                "options, or {} for none"
            )
        return {**Policy.proposals(self, trial), **own}

    def completed(self, trial: "TrialConfig") -> Self:
        """With its options that are None made out from `trial`.

        `trial` has all options of its own. Raises InputError for options that do not fit together.
        """
        return self

    def notes(self, trial: "TrialConfig") -> list[str]:
        """What an option means where that is not what it says; a line each."""
        return []

    def certain(self, trial: "TrialConfig", history: History) -> Decision | None:
        """The decision after `history` that holds whatever the data are; None where there is none.

        Plans and cost bounds use it. `history` may be of epochs that were never trained: of its
        records only epoch, phase, architecture and `grew` count.
        """
        return None

    def known_epochs(self, trial: "TrialConfig") -> int:
        """After how many epochs data may decide for the first time; at least 1."""
        return 1

    def stage(self, trial: "TrialConfig", epoch: int) -> Stage | None:
        """The stage of the epoch that follows `epoch` epochs; None if that depends on data."""
        return None

    def earliness(self) -> tuple[float, ...]:
        """Sorts trials of this policy by how early they grow: the growth epochs, if it knows them
        beforehand.
        """
        return ()


@dataclass(frozen=True, kw_only=True)
class Initializer(Component, ABC):
    """With which weights a grown network continues."""

    kind = "initializer"
    role = Role.GROWTH
    needs_residual: ClassVar[bool] = False
    """Whether only blocks with residuals can grow so."""
    changes_residual: ClassVar[bool] = False
    """Whether it changes the residual of new blocks; see Task.plain_blocks."""
    reads: ClassVar[tuple[str, ...]] = ()
    """See Policy.reads."""
    block_methods: ClassVar[tuple[str, ...]] = ()
    """Attributes that it needs blocks with residuals to have."""
    apart_lr: ClassVar[float | None] = None
    """The learning rate of those epochs; None: the schedule's."""
    apart_known: ClassVar[bool] = False
    """Whether the number of those epochs is known beforehand."""

    @classmethod
    def flaw(cls) -> str | None:
        return reads_flaw(cls)

    momentum_on_growth: str | None = option(
        None, "whether parameters that growth keeps also keep their optimizer state",
        choices=("reset", "carry"), default_help="reset; AutoGrow: carry",
    )  # fmt: skip

    def completed(self, trial: "TrialConfig") -> Self:
        """With its options that are None made out from `trial`; see Policy.completed."""
        task = trial.task
        refused = self.needs_residual or (self.changes_residual and not task.plain_blocks)
        if refused and not task.residual:
            raise InputError(
                f"initializer {self.name!r} changes the residual of a block, and {task.label} has "
                "none; choose 'default'"
            )
        there = self.block_methods if task.block_methods is None else task.block_methods
        for name in self.block_methods if task.residual else ():
            if name not in there:
                raise InputError(
                    f"initializer {self.name!r} needs {name} of a block with a residual, and "
                    f"blocks of {task.label} have none; choose 'default', 'zero' or 'copy'"
                )
        proposed = trial.policy.proposed(trial)
        missing = [name for name, value in self.values().items() if value is None]
        return self.with_defaults(**{n: proposed[n] for n in missing if n in proposed})

    def notes(self, trial: "TrialConfig") -> list[str]:
        """See Policy.notes."""
        return []

    def is_apart(self, trial: "TrialConfig") -> bool:
        """Whether some parameters are trained alone in the first epochs after a growth."""
        return False

    @abstractmethod
    def sources(self, blocks: int, grown_blocks: int) -> Mapping[int, int]:
        """For positions in a grown sub-network, the old block that each inherits from.

        A position that is missing is new: its weights are those that the network was built with.
        Each old block must have a position.
        """

    def copies(self, blocks: int, grown_blocks: int, alike: bool) -> Mapping[int, int]:
        """For new positions of a grown sub-network, the old block whose weights they copy.

        `alike` says whether its first block has the shape of the others.
        """
        return {}

    def initialize(self, block: "nn.Module", *, new: bool, step: float, draw: Any) -> None:
        """Change a block of the grown network, after it has inherited its weights.

        `step` is the old number of blocks of its sub-network over the new one. `draw` is a
        torch.Generator of the trial's seed and epoch, from which the global generators are seeded
        too; a plain block may have no residual. It may change only the numbers in tensors: not
        which are trained, nor attributes.
        """

    def step_sizes(self, step: float) -> tuple[float, float]:
        """The implicit and the explicit step size of blocks, after growths with N/N+ = `step`.

        Both must be 1 before a growth, for step 1.
        """
        return 1.0, 1.0

    def apart_parameters(self, block: "nn.Module") -> "Iterable[nn.Parameter]":
        """What is trained of a new block in the epochs that initialize it."""
        return ()

    def apart_optimizer(self, parameters: "list[nn.Parameter]") -> "torch.optim.Optimizer | None":
        """The optimizer of those epochs; None: the trial's own."""
        return None

    freezes_statistics: ClassVar[bool] = False
    """Whether running statistics outside of new blocks stand still in those epochs."""

    def initialized(self, trial: "TrialConfig", history: History) -> bool:
        """Whether the last epoch of `history` was the last of those epochs."""
        return True


@dataclass(frozen=True, kw_only=True)
class Schedule(Component, ABC):
    """Learning rates: a pure function of the trial and its history."""

    kind = "lr_schedule"
    role = Role.DECISION
    reads_data: ClassVar[bool] = True
    """Whether rates depend on more of the history than its growths."""
    by_stages: ClassVar[bool] = False
    """Whether rates start anew with each stage of the policy."""
    warmup: float = option(
        0.0, "epochs in which the learning rate rises from zero, step by step; 0.5 is half an "
        "epoch", least=0, keyed_at_default=False,
    )  # fmt: skip

    @abstractmethod
    def rate(self, trial: "TrialConfig", history: History, lr: float) -> float:
        """The learning rate of the epoch that follows `history`, until fine-tuning.

        `lr` is the largest learning rate then. `history` has no epochs that initialized new blocks.
        """

    def fall(self, trial: "TrialConfig", history: History, lr: float) -> Fall | None:
        """How the rate falls step by step within the epoch that follows `history`.

        None: all steps have `rate`. Times count epochs of the trial.
        """
        return None

    @property
    def falls(self) -> bool:
        """Whether `fall` may return one; by default, whether the schedule defines it."""
        return type(self).fall is not Schedule.fall

    def rates(self, trial: "TrialConfig", history: History, lr: float) -> float | Course:
        """`rate`, with warm-up and `fall`; a number if all steps of the epoch have one rate."""
        rate, fall = self.rate(trial, history, lr), self.fall(trial, history, lr)
        if not isinstance(fall, Fall | None):
            raise InputError(
                f"fall of lr_schedule {self.name!r} returned {shortened(fall)}; return None or "
                "Fall(shape, begin, end, last)"
            )
        if fall is not None and fall.shape not in SHAPES:
            raise InputError(
                f"fall of lr_schedule {self.name!r} gave the shape {shortened(fall.shape)}"
                f"{suggestion(fall.shape, tuple(SHAPES))}"
            )
        return course(len(history), rate, self.warmup, fall)

    def full_epochs(self, trial: "TrialConfig") -> float:
        """How many epochs there are before the rate falls for the first time, warm-up included.

        By default the trial's, and the rate may fall while it warms up.
        """
        return trial.growing_epochs

    def parts_after(self, trial: "TrialConfig") -> int | None:
        """The number of epochs after which trials part that differ in `epochs` alone, if it is
        known and more than 0; the epoch store keeps the state there.
        """
        return None

    def completed(self, trial: "TrialConfig") -> Self:
        """With its options that are None made out from `trial`; see Policy.completed."""
        return self

    def check(self, trial: "TrialConfig") -> None:
        """InputError if rates change within epochs and the task cannot tell its steps, or if
        warm-up is too long.
        """
        if self.warmup and self.warmup > (most := self.full_epochs(trial)):
            raise InputError(
                f"warmup={self.warmup:g} is longer than the {most:g} epochs before lr_schedule "
                f"{self.name!r} falls; give fewer epochs of warmup"
            )
        if (self.warmup or self.falls) and not trial.task.has_steps:
            raise InputError(
                f"lr_schedule {self.name!r}{' with warmup' if self.warmup else ''} changes within "
                f"epochs, and task {trial.task.name!r} does not say how many steps an epoch has; "
                "define its steps()"
            )


@dataclass(frozen=True, kw_only=True)
class Optimizer(Component, ABC):
    """What takes the training steps."""

    kind = "optimizer"
    role = Role.EPOCH
    proposals: ClassVar[Proposals] = {}
    """Defaults that the optimizer has for options of the trial, like {"lr": 1e-3}.

    They stand over the policy's, and over the task's unless the task has this optimizer by itself.
    """

    @abstractmethod
    def build(
        self, parameters: "Iterable[Tensor]", lr: float, weight_decay: float
    ) -> "torch.optim.Optimizer":
        """The optimizer of all parameters.

        The trainer sets `lr` and `weight_decay` of its parameter groups anew in each epoch, each to
        the multiple of the trial's that the group has at first.
        """

    def build_for(self, task: "Task", model: "nn.Module") -> "torch.optim.Optimizer":
        """The optimizer of the task's model, for one that has to know more than parameters."""
        return self.build(model.parameters(), task.trial.lr, task.trial.weight_decay)

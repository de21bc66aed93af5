"""The base class of tasks: what a trial trains, a model whose depth grows and its data."""

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from growsearch.trial.architecture import Architecture
from growsearch.trial.components import Component
from growsearch.trial.errors import InputError
from growsearch.trial.kinds import Baseline, Proposals
from growsearch.trial.options import Role
from growsearch.trial.plugins import code_hashes

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from growsearch.growth.constants import LipschitzConstants
    from growsearch.growth.step_sizes import StepSize
    from growsearch.growth.theory import GrowthMeasures
    from growsearch.machine.batches import Share
    from growsearch.trial.config import TrialConfig

SPLITS = ("train", "val", "test")


@dataclass(frozen=True, kw_only=True)
class Task(Component, ABC):
    """What a trial trains: a model whose depth is one or more lists of blocks, and its data.

    A task of your own defines `stacks`, `build` and `batches`. The rest has defaults for
    classification: batches are pairs (inputs, targets), `model(inputs)` gives logits, and the loss
    is their cross-entropy. Fields are options that can be searched.

    `self.trial` is the configuration, with `batch_size`, `seed`, `lr` and all others. Model,
    batches, loss and evaluation must not depend on its policy, its schedules or its `epochs`:
    trials that differ in these share epochs. Random draws
    of batches come from `growsearch.generator(seed, epoch, "what for")`. The global generators of
    Python, NumPy and torch are seeded before `build`, and before each epoch and evaluation.
    """

    kind = "task"
    role = Role.NETWORK
    splits: ClassVar[tuple[str, ...]] = ("train", "val")
    """The splits that `batches` knows. Add "test" if there is test data, which is recorded only."""
    proposals: ClassVar[Proposals] = {}
    """Defaults that the task has for options of the trial and of its other components, like
    {"policy": "fixed", "growth_epochs": (10, 20), "lr": 0.1}."""
    own_metrics: ClassVar[Mapping[str, str]] = {}
    """Numbers of `evaluate` besides loss and accuracy by which searches may compare trials, and
    which is better, "lower" or "higher": {"perplexity": "lower"} offers metric/val_perplexity."""
    usual_cost: ClassVar[str | None] = None
    """The cost of searches that were given none, like "flops"; None: PPE."""
    usual_metric: ClassVar[str | None] = None
    """The metric of searches that were given none, like "val_perplexity"; None: the accuracy if the
    task has one, else the loss."""
    kinds: ClassVar[tuple[str, ...]] = ()
    """The kinds of component, of "dataset" and "network", that this task uses."""
    learns: ClassVar[str] = "images"
    """What its data sets hold, where "dataset" is one of its `kinds`; see DataSource.holds."""
    least_depth: ClassVar[int] = 1
    """The fewest blocks that a stack may have: 0 if the model also works without any."""
    example_tokens: ClassVar[int] = 1
    """Tokens of an example, which the cost "tokens" counts."""
    blocks_alike: ClassVar[bool] = True
    """Whether any block of a stack can take the weights of any other."""
    residual: ClassVar[bool] = False
    """Whether blocks add a residual to their input, and have the methods that initializers of
    residuals call: `silence_residual()` for zero, `scale_residual(step)` for clone (with
    statistics=False as well for scaling paper-literal),
    `last_normalization` for the others."""
    block_methods: ClassVar[tuple[str, ...] | None] = None
    """Which of these methods all blocks have: initializers that need others are refused at once.
    None: the blocks are asked when they are built."""
    plain_blocks: ClassVar[bool] = False
    """Whether initializers of residuals leave blocks without one as they were built, instead of
    being refused."""
    explicit_steps: ClassVar[bool] = False
    """Whether `build` reads the step sizes of the trial's initializer, as clone's scaling
    "step-size" needs."""
    baseline: ClassVar[Baseline] = Baseline()

    @classmethod
    def flaw(cls) -> str | None:
        for name, better in cls.own_metrics.items():
            if better not in ("lower", "higher"):
                return f"has own_metrics {{{name!r}: {better!r}}}; say 'lower' or 'higher'"
        return None

    # what a task of your own defines

    @property
    @abstractmethod
    def stacks(self) -> tuple[str, ...]:
        """Names of the model's lists of blocks (nn.ModuleList or nn.Sequential), like
        ("transformer.h",). Each has a depth in the architecture, "4" or "2-2-2".
        """

    @abstractmethod
    def build(self, architecture: Architecture) -> "nn.Module":
        """The model whose lists have `architecture.blocks` blocks, on the CPU.

        Weights come from the global generator, which is seeded.
        """

    @abstractmethod
    def batches(self, split: str, seed: int, epoch: int) -> Iterable[Any]:
        """The batches of an epoch: tensors, or tuples, lists or dicts of tensors.

        The first dimension of each tensor counts examples. `split` is one of `splits`. Of "train"
        the order may depend on `seed` and `epoch`; of the others it must not.
        """

    # what it may define

    def load(self, data_dir: str | None) -> Any:
        """The data, read once for each machine, which `batches` then has as `self.loaded`.

        It may depend on the task's own options, not on `self.trial`.
        """
        return None

    def loss(self, model: "nn.Module", batch: Any) -> "Tensor":
        """The mean loss over the batch, a scalar: cross-entropy of logits [n, ..., classes]."""
        from growsearch.tasks.scores import classified

        return classified(model, batch).loss

    def evaluate(self, model: "nn.Module", split: str) -> Mapping[str, float]:
        """Numbers by name. "loss" must be there, lower is better; "accuracy" is in percent.

        By default the mean loss over all examples, and for cross-entropy the accuracy. `model` is
        in evaluation mode, and gradients are off.
        """
        from growsearch.tasks.scores import mean_scores

        return mean_scores(self, model, split)

    def optimizer(self, model: "nn.Module") -> "torch.optim.Optimizer":
        """The optimizer of all parameters; by default the trial's.

        Parameter groups may differ in `lr` and `weight_decay`. The trial's schedule then multiplies
        both, so give the groups multiples of `self.trial.lr` and `self.trial.weight_decay`.
        """
        return self.trial.optimizer.build_for(self, model)

    def data_digest(self) -> str:
        """A hash of the data, by which epochs are stored and shared.

        By default of `data_dir`, files by content and folders by names, sizes and times, of the
        task's options of role data, of tensors and arrays in `loaded`, and of the first batches of
        each split. Define it if data can change without changing these.
        """
        from growsearch.tasks.scores import first_batches_digest

        return first_batches_digest(self)

    @property
    def has_accuracy(self) -> bool:
        """Whether `evaluate` gives an accuracy. Set it to True if your own does."""
        return type(self).loss is Task.loss and type(self).evaluate is Task.evaluate

    @property
    def has_train_accuracy(self) -> bool:
        """Whether training gives an accuracy: only the default loss tells what is right."""
        return type(self).loss is Task.loss

    @property
    def has_lipschitz(self) -> bool:
        """Whether there are Lipschitz constants: by a formula, or by Jacobians of residuals."""
        return self.has_formula or self.residual

    @property
    def has_formula(self) -> bool:
        """Whether the task defines `lipschitz_constants`."""
        return type(self).lipschitz_constants is not Task.lipschitz_constants

    def lipschitz_constants(
        self, model: "nn.Module", vectors: "dict[str, Tensor]", seed: int, settled: bool
    ) -> "LipschitzConstants | None":
        """The Lipschitz constants of the blocks by a formula (option lipschitz "layers").

        `vectors` are what the last call kept for this one, by name; the call updates them.
        `settled` says that they are those of the epoch before. Without it, and where blocks have
        residuals, the constants are the norms of their Jacobians at some validation examples.
        """
        return None

    def added(self, block: "nn.Module", *inputs: Any, **named: Any) -> "Tensor":
        """What a block with a residual adds to its input x, for what the model calls it with.

        By default block(x) - x, x the first tensor of floating point among `inputs` and `named`.
        Its Jacobian is taken with respect to x (option lipschitz "jacobian"). The first dimension
        counts examples.
        """
        from growsearch.growth.jacobian import difference

        return difference(block, *inputs, **named)

    def growth_measures(
        self, old: "nn.Module", grown: "nn.Module", constants: "LipschitzConstants | None"
    ) -> "GrowthMeasures | None":
        """What LipGrow's theory says of a growth; None if the task cannot tell."""
        return None

    def named(self, loaded: Any) -> "TrialConfig":
        """The trial's configuration, if need be completed to say what the data `loaded` are."""
        return self.trial

    def description(self) -> dict[str, Any]:
        """What is saved of the data beside a trial's state, in JSON's types: their digest."""
        return {"digest": self.data_digest()}

    def own_data(self) -> dict[str, Any] | None:
        """What a study keeps of data that their user may change: their digest; None without."""
        return None

    def check_unchanged(self, known: Mapping[str, Any] | None) -> None:
        """InputError if the data are not those of the description `known`."""
        if known is not None and known["digest"] != self.data_digest():
            raise InputError(
                f"the data of task {self.name!r} have changed since the trial began (data_dir "
                f"{self.trial.data_dir!r}); restore them, or start a new trial"
            )

    def facts(self) -> dict[str, Any]:
        """What `rebuilt` must know of the data, in JSON's types; it is saved beside weights."""
        return {}

    def rebuilt(
        self, architecture: Architecture, facts: Mapping[str, Any], steps: "list[StepSize]"
    ) -> "nn.Module":
        """A model of `architecture` to load saved weights into, without the data.

        `facts` are what `facts` returned when they were saved; `steps` are the step sizes of the
        stacks' blocks, where the task has `explicit_steps`.
        """
        from growsearch.tasks.seed_models import built

        return built(self, architecture, seed=0)

    def step_sizes(self, architecture: Architecture) -> "list[StepSize]":
        """The step sizes of the stacks' blocks once the model has `architecture`.

        `build` gives them to its blocks where the task has `explicit_steps`.
        """
        from growsearch.growth.step_sizes import StepSize

        trial = self.trial
        if trial.initializer is None:
            return [StepSize()] * len(architecture.blocks)
        if (ungrown := tuple(trial.initializer.step_sizes(1.0))) != (1.0, 1.0):
            raise InputError(
                f"step_sizes(1.0) of initializer {trial.initializer.name!r} is {ungrown}; return "
                "(1.0, 1.0), because trials share epochs before they grow"
            )
        # the product of N/N+ over all growths is the first N over the last N+
        seed = Architecture(trial.architecture)
        depths = zip(seed.blocks, architecture.blocks, strict=True)
        return [
            StepSize(*trial.initializer.step_sizes(n / grown if grown else 1.0))
            for n, grown in depths
        ]

    def steps(self) -> int | None:
        """Training steps of an epoch, where that is known without reading batches.

        Learning rates that change within an epoch need it.
        """
        return None

    # what growsearch calls

    @property
    def trial(self) -> "TrialConfig":
        """The trial's configuration."""
        if (trial := self.__dict__.get("_trial")) is None:
            raise InputError(
                f"task {self.name!r} reads self.trial in load(); load may read the task's own "
                "options and data_dir only"
            )
        return trial

    @property
    def device(self) -> "torch.device":
        """Where the trial trains."""
        import torch

        return self.__dict__.get("_device") or torch.device("cpu")

    @property
    def loaded(self) -> Any:
        """What `load` returned."""
        if "_loaded" not in self.__dict__:
            object.__setattr__(self, "_loaded", self.read())
        return self.__dict__["_loaded"]

    def of(self, trial: "TrialConfig") -> Self:
        """The task of `trial`."""
        made = replace(self)
        object.__setattr__(made, "_trial", trial)
        return made

    def on(self, device: "torch.device", loaded: Any = None) -> Self:
        """The task on `device`; `loaded` is what `load` returned, if it was called already."""
        made = self.of(self.trial)
        object.__setattr__(made, "_device", device)
        if loaded is not None:
            object.__setattr__(made, "_loaded", loaded)
        elif "_loaded" in self.__dict__:
            object.__setattr__(made, "_loaded", self._loaded)  # type: ignore[attr-defined]
        return made

    def read(self) -> Any:
        """What `load` returns, from memory if it was called with the same before.

        It is called again if the file `data_dir`, or one that is directly in this folder, has
        changed since, or the user's code.
        """
        code = () if self.plugin is None else tuple(code_hashes(self).items())
        return _read(replace(self), self.trial.data_dir, _stamps(self.trial.data_dir), code)

    def load_key(self) -> tuple[Hashable, ...]:
        """Equal keys load the same data. Options must be strings, numbers or None."""
        values = tuple(sorted(self.values().items()))
        return (self.name, self.plugin, self.trial.data_dir, values)

    @property
    def is_shared(self) -> bool:
        """Whether the driver of a search loads the data once and each node keeps one copy."""
        return type(self).load is not Task.load

    def completed(self, trial: "TrialConfig") -> Self:
        """With its options that are None made out from `trial`; see Policy.completed."""
        return self

    def proposed(self) -> Proposals:
        """The task's defaults for options of the trial."""
        usual = {} if self.residual else {"initializer": "default"}
        if not self.has_formula:
            usual["policy"] = "hand-tuned"
        return {**usual, **self.proposals}

    @property
    def data_share(self) -> float:
        """The share of the data that the trial trains on."""
        return 1.0

    @property
    def label(self) -> str:
        """What errors call the model."""
        return f"task {self.name!r}"

    def check_stacks(self) -> None:
        """InputError unless `stacks` are names."""
        if isinstance(self.stacks, str) or not self.stacks:
            given = (self.stacks,) if self.stacks else ("transformer.h",)
            raise InputError(
                f"stacks of {self.label} are {self.stacks!r}; name at least one list of blocks in "
                f"a tuple, like stacks = {given!r}"
            )

    def checked(self, name: str, given: str) -> Architecture:
        """The architecture `given` as option `name`; InputError if it has other stacks."""
        architecture, stacks = Architecture(given), len(self.stacks)
        if len(architecture.blocks) != stacks:
            raise InputError(
                f"{name} {given!r} has {len(architecture.blocks)} sub-networks, but {self.label} "
                f"has {stacks}; write it like {'-'.join(['2'] * stacks)}"
            )
        architecture.check_least(name, self.least_depth, self.label)
        return architecture

    def blocks(self, model: "nn.Module") -> "list[list[nn.Module]]":
        """The blocks of each stack, in the order of the lists."""
        return [list(model.get_submodule(stack).children()) for stack in self.stacks]

    @property
    def has_steps(self) -> bool:
        """Whether the task defines `steps`."""
        return type(self).steps is not Task.steps

    def prepare(self) -> None:
        """Reads the data; InputError if they are not there or do not fit the trial."""
        _ = self.loaded

    def check_key(self) -> tuple[Hashable, ...]:
        """What `check` depends on, in a search: it is called once for equal keys."""
        # the batch size decides whether a last batch is too small
        trial = self.trial
        return (self.load_key(), *trial.values(Role.DATA).items(), trial.batch_size)

    def check(self) -> None:
        """InputError for what cannot work, as far as a first look at the task tells."""
        from growsearch.tasks.first_look import first_look

        self.prepare()
        first_look(self)

    def score(self, model: "nn.Module", batch: Any) -> "tuple[Tensor, Tensor | None]":
        """The mean loss, and how many examples are right, where accuracy means something."""
        from growsearch.tasks.scores import classified

        if type(self).loss is Task.loss:
            found = classified(model, batch)
            return found.loss, found.correct
        return self.loss(model, batch), None

    def training_batches(self, epoch: int, share: "Share" = (0, 1)) -> Iterator[Any]:
        """The trial's batches of an epoch, on its device; `share` is that of this process."""
        from growsearch.machine.batches import moved, shared

        for batch in self.batches("train", self.trial.seed, epoch):
            yield moved(shared(batch, share), self.device)

    def size(self, architecture: Architecture) -> tuple[int, int]:
        """Parameters, and multiply-accumulates for one example."""
        from growsearch.tasks.scores import count_parameters
        from growsearch.tasks.seed_models import built

        model = built(self, architecture, seed=0)
        return count_parameters(model), self.macs(model)

    def macs(self, model: "nn.Module") -> int:
        """Multiply-accumulates of the forward pass for one example; the model's mode may change."""
        from growsearch.tasks.scores import counted_macs

        return counted_macs(self, model)

    @property
    def test_is_val(self) -> bool:
        """Whether test data are the validation data."""
        return False


@lru_cache(maxsize=4)
def _read(task: Task, data_dir: str | None, stamps: Hashable, code: Hashable) -> Any:
    """What `load` returns. Tasks are equal if class and options are."""
    return task.load(data_dir)


def _stamps(data_dir: str | None) -> Hashable:
    """The sizes and times of the file, or of those in the folder; they change with the data."""
    if data_dir is None:
        return None
    path = Path(data_dir)
    try:
        places = [path, *sorted(path.iterdir())] if path.is_dir() else [path]
        return tuple((p.name, p.stat().st_size, p.stat().st_mtime_ns) for p in places)
    except OSError:  # `load` says what is wrong
        return None

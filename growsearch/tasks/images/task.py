"""Image classification: networks of a family learn a data set."""

import math
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Self

from growsearch.tasks.task import Task
from growsearch.trial.architecture import Architecture
from growsearch.trial.errors import InputError
from growsearch.trial.kinds import Baseline, Proposals
from growsearch.trial.options import Role, option

if TYPE_CHECKING:
    from torch import Tensor, nn

    from growsearch.growth.constants import LipschitzConstants
    from growsearch.growth.step_sizes import StepSize
    from growsearch.growth.theory import GrowthMeasures
    from growsearch.machine.batches import Share
    from growsearch.tasks.images.dataset import Dataset
    from growsearch.tasks.images.images import Images
    from growsearch.trial.config import TrialConfig

EVALUATION_BATCH = 500
"""Images of an evaluation batch, and images that a growth is measured on."""


@dataclass(frozen=True, kw_only=True)
class ImageTask(Task):
    """Images of a data set, classified by a network of a family."""

    splits: ClassVar[tuple[str, ...]] = ("train", "val", "test")
    kinds: ClassVar[tuple[str, ...]] = ("dataset", "network")
    blocks_alike: ClassVar[bool] = False
    plain_blocks: ClassVar[bool] = True
    explicit_steps: ClassVar[bool] = True
    has_accuracy: ClassVar[bool] = True
    has_train_accuracy: ClassVar[bool] = True

    split: str = option(
        "clean", "clean: validation images are taken from the training set, and the test set is "
        "only recorded; paper: they are half of the test set, as in LipGrow's program; "
        "autogrow-paper: they are the whole test set, as in AutoGrow's program",
        choices=("clean", "paper", "autogrow-paper"), role=Role.DATA,
    )  # fmt: skip
    train_size: int | None = option(
        None, "train on this many images, drawn class-balanced from --seed", least=1,
        role=Role.DATA,
    )  # fmt: skip
    train_fraction: float | None = option(
        None, "train on this share of the images, drawn class-balanced from --seed; --interval is "
        "divided by it (AutoGrow, section 3.3)", above=0, most=1, role=Role.DATA,
    )  # fmt: skip
    image_size: int | None = option(
        None, "pad images with black to this height and width; folder: resize and crop them to "
        "it", least=1, role=Role.DATA,
        default_help="the images' own; folder: 32; AutoGrow: 32 for mnist and fashion-mnist",
    )  # fmt: skip

    # what the trial's other components say

    @property
    def stacks(self) -> tuple[str, ...]:
        return tuple(f"subnetworks.{i}" for i in range(self.trial.network.subnetworks))

    @property
    def residual(self) -> bool:  # type: ignore[override]
        return self.trial.network.residual

    @property
    def baseline(self) -> Baseline:  # type: ignore[override]
        return self.trial.dataset.baseline

    @property
    def label(self) -> str:
        return self.trial.network.name

    @property
    def data_share(self) -> float:
        return self.train_fraction or 1.0

    @property
    def test_is_val(self) -> bool:
        return self.split == "autogrow-paper"

    def proposed(self) -> Proposals:
        return {**self.trial.dataset.proposals, **self.trial.network.proposals}

    def checked(self, name: str, given: str) -> Architecture:
        return self.trial.network.checked(name, given)

    def completed(self, trial: "TrialConfig") -> Self:
        if self.train_size is not None and self.train_fraction is not None:
            raise InputError(
                f"train_size={self.train_size} and train_fraction={self.train_fraction:g} both say "
                "how many images to train on; leave one out"
            )
        proposed = {**trial.policy.proposals(trial), **self.proposed()}
        return self.with_defaults(image_size=proposed.get("image_size"))

    # data

    def read(self) -> "Dataset":
        from growsearch.tasks.images.loading import whole_dataset

        return whole_dataset(self)

    @property
    def read_size(self) -> int | None:
        """The height and width that pictures are resized to when they are read; None: they are
        not.
        """
        return self.image_size if getattr(self.trial.dataset, "resizes", False) else None

    def load_key(self) -> tuple[Hashable, ...]:
        source = self.trial.dataset
        options = source.values().values()
        return source.name, self.trial.data_dir, self.split, self.read_size, *options

    def named(self, loaded: "Dataset | None") -> "TrialConfig":
        from growsearch.tasks.images.loading import named

        return named(self, loaded)

    def description(self) -> dict[str, Any]:
        return self.dataset.description

    def own_data(self) -> dict[str, Any] | None:
        return self.loaded.description if getattr(self.trial.dataset, "own", False) else None

    def check_unchanged(self, known: Mapping[str, Any] | None) -> None:
        own = getattr(self.trial.dataset, "own", False)
        if own and known is not None and known["digest"] != self.dataset.digest:
            raise InputError(
                f"the images or labels of data_dir {self.trial.data_dir!r} have changed since the "
                "trial began; restore them, or start a new trial"
            )

    @property
    def is_shared(self) -> bool:
        """Data sets that are mapped or read from files in each epoch share their files instead."""
        from growsearch.tasks.images.images import Images

        return isinstance(self.loaded.train, Images)

    @cached_property
    def dataset(self) -> "Dataset":
        """What the trial trains on, on its device."""
        from growsearch.tasks.images.loading import trial_dataset

        return trial_dataset(self, self.loaded).to(self.device)

    def prepare(self) -> None:
        _ = self.dataset

    def check(self) -> None:
        from growsearch.tasks.images.loading import trial_dataset

        trial_dataset(self, self.loaded)  # not kept: the process that asks trains nothing

    def data_digest(self) -> str:
        return self.dataset.digest

    def steps(self) -> int:
        return math.ceil(len(self.dataset.train) / self.trial.batch_size)

    def facts(self) -> dict[str, Any]:
        from growsearch.tasks.images.facts import ImageFacts

        return ImageFacts.of(self.dataset).to_dict()

    def rebuilt(
        self, architecture: Architecture, facts: Mapping[str, Any], steps: "list[StepSize]"
    ) -> "nn.Module":
        import torch

        from growsearch.tasks.images.facts import ImageFacts
        from growsearch.tasks.images.networks import build_network

        known = ImageFacts.from_dict(facts)
        network = build_network(
            self.trial.network, architecture, known.image_shape, known.classes, 0, steps
        )
        # the order in which sums are added, as in training
        return network.to(memory_format=torch.channels_last)

    def step_sizes(self, architecture: Architecture) -> "list[StepSize]":
        """The step sizes of the sub-networks' blocks once the network has `architecture`."""
        from growsearch.growth.step_sizes import StepSize

        trial = self.trial
        if trial.initializer is None:
            return [StepSize()] * len(architecture.blocks)
        # the product of N/N+ over all growths is the first N over the last N+
        seed = Architecture(trial.architecture)
        depths = zip(seed.blocks, architecture.blocks, strict=True)
        return [StepSize(*trial.initializer.step_sizes(n / grown)) for n, grown in depths]

    def batches(self, split: str, seed: int, epoch: int) -> "Iterator[Images]":
        if split == "train":
            return self.dataset.training_batches(self.trial.batch_size, seed, epoch)
        return self.dataset.evaluation_batches(getattr(self.dataset, split), EVALUATION_BATCH)

    def training_batches(self, epoch: int, share: "Share" = (0, 1)) -> "Iterator[Images]":
        trial = self.trial
        return self.dataset.training_batches(trial.batch_size, trial.seed, epoch, share)

    # networks

    def build(self, architecture: Architecture) -> "nn.Module":
        import torch

        from growsearch.tasks.images.networks import new_network

        trial, dataset = self.trial, self.dataset
        network = new_network(
            trial.network, architecture, dataset.image_shape, dataset.classes,
            self.step_sizes(architecture), trial.bn_gamma_init,
        )  # fmt: skip
        # channels-last convolutions are faster, on CPUs too
        return network.to(memory_format=torch.channels_last)

    def blocks(self, model: Any) -> "list[list[nn.Module]]":
        return [list(blocks) for blocks in model.blocks]

    def score(self, model: "nn.Module", batch: "Images") -> "tuple[Tensor, Tensor]":
        from torch.nn import functional as F

        logits = model(batch.images)
        correct = (logits.detach().argmax(dim=1) == batch.labels).sum()
        return F.cross_entropy(logits, batch.labels), correct

    def loss(self, model: "nn.Module", batch: "Images") -> "Tensor":
        return self.score(model, batch)[0]

    def evaluate(self, model: "nn.Module", split: str) -> Mapping[str, float]:
        from growsearch.tasks.images.evaluation import loss_and_accuracy

        loss, accuracy = loss_and_accuracy(
            model, self.dataset, getattr(self.dataset, split), EVALUATION_BATCH
        )
        return {"loss": loss, "accuracy": accuracy}

    def macs(self, model: "nn.Module") -> int:
        from growsearch.tasks.images.costs import count_macs

        return count_macs(model, self.dataset.image_shape)

    def size(self, architecture: Architecture) -> tuple[int, int]:
        from growsearch.tasks.images.loading import image_shape
        from growsearch.tasks.images.networks import network_size

        shape = image_shape(self, self.loaded)
        return network_size(self.trial.network, shape, self.loaded.classes, str(architecture))

    def lipschitz_constants(
        self, model: Any, vectors: "dict[str, Tensor]", seed: int, settled: bool
    ) -> "LipschitzConstants":
        from growsearch.tasks.images.lipschitz import lipschitz_constants

        return lipschitz_constants(model, self.dataset.image_shape[1:], vectors, seed, settled)

    def added(self, block: Any, *inputs: Any, **named: Any) -> "Tensor":
        from growsearch.tasks.images.blocks import ResidualBlock

        if not isinstance(block, ResidualBlock):  # of a family of one's own
            return super().added(block, *inputs, **named)
        return block.added(*inputs, **named)

    def growth_measures(
        self, old: Any, grown: Any, constants: "LipschitzConstants | None"
    ) -> "GrowthMeasures":
        from growsearch.tasks.images.measures import measure_growth

        if constants is None or self.trial.lipschitz != "layers":  # the bound needs a bound
            constants = self.lipschitz_constants(old, {}, self.trial.seed, settled=False)
        dataset = self.dataset
        images = next(dataset.evaluation_batches(dataset.val, EVALUATION_BATCH)).images
        return measure_growth(old, grown, constants, images)

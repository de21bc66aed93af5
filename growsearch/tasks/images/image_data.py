"""Tasks that classify the images of a data set, with whatever network."""

import math
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Self

from growsearch.tasks.task import Task
from growsearch.trial.errors import InputError
from growsearch.trial.kinds import Baseline, Proposals
from growsearch.trial.options import Role, option

if TYPE_CHECKING:
    from torch import Tensor, nn

    from growsearch.machine.batches import Share
    from growsearch.tasks.images.dataset import Dataset
    from growsearch.tasks.images.images import Images
    from growsearch.trial.config import TrialConfig

EVALUATION_BATCH = 500
"""Images of an evaluation batch, and images that a growth is measured on."""


@dataclass(frozen=True, kw_only=True)
class ImageDataTask(Task):
    """Images of a data set, classified by a network that a derived class builds.

    It has everything about the data: splits, subsets, sizes, batches, scores, digests, and the
    `facts` by which networks are exported. Derived classes have `stacks`, `build`, `rebuilt`, and
    `size`, which must not take the trial's own part of the data.
    """

    splits: ClassVar[tuple[str, ...]] = ("train", "val", "test")
    kinds: ClassVar[tuple[str, ...]] = ("dataset",)
    has_accuracy: ClassVar[bool] = True
    has_train_accuracy: ClassVar[bool] = True
    batch_statistics: ClassVar[bool] = False
    """Whether networks normalize by the statistics of a batch, which needs two images."""

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
        default_help="the images' own; AutoGrow: 32 for mnist and fashion-mnist",
    )  # fmt: skip

    # what the data set says

    @property
    def baseline(self) -> Baseline:  # type: ignore[override]
        return self.trial.dataset.baseline

    @property
    def data_share(self) -> float:
        return self.train_fraction or 1.0

    @property
    def test_is_val(self) -> bool:
        return self.split == "autogrow-paper"

    def proposed(self) -> Proposals:
        return {**super().proposed(), **self.trial.dataset.proposals}

    def completed(self, trial: "TrialConfig") -> Self:
        if self.train_size is not None and self.train_fraction is not None:
            raise InputError(
                f"train_size={self.train_size} and train_fraction={self.train_fraction:g} both say "
                "how many images to train on; leave one out"
            )
        proposed = {**trial.policy.proposed(trial), **self.proposed()}
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
        return self.loaded.description if self.trial.dataset.may_change else None

    def check_unchanged(self, known: Mapping[str, Any] | None) -> None:
        source = self.trial.dataset
        if source.may_change and known is not None and known["digest"] != self.dataset.digest:
            raise InputError(
                f"the images or labels of data_dir {self.trial.data_dir!r} have changed since the "
                f"trial began (dataset {source.name!r}); restore them, or start a new trial"
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
        from growsearch.tasks.images.loading import source_of

        return ImageFacts.of(self.dataset, source_of(self)).to_dict()

    def batches(self, split: str, seed: int, epoch: int) -> "Iterator[Images]":
        if split == "train":
            return self.dataset.training_batches(self.trial.batch_size, seed, epoch)
        return self.dataset.evaluation_batches(getattr(self.dataset, split), EVALUATION_BATCH)

    def training_batches(self, epoch: int, share: "Share" = (0, 1)) -> "Iterator[Images]":
        trial = self.trial
        return self.dataset.training_batches(trial.batch_size, trial.seed, epoch, share)

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

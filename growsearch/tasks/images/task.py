"""Image classification: networks of a family learn a data set."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from growsearch.tasks.images.image_data import EVALUATION_BATCH, ImageDataTask
from growsearch.trial.architecture import Architecture
from growsearch.trial.kinds import Proposals

if TYPE_CHECKING:
    from torch import Tensor, nn

    from growsearch.growth.constants import LipschitzConstants
    from growsearch.growth.step_sizes import StepSize
    from growsearch.growth.theory import GrowthMeasures


@dataclass(frozen=True, kw_only=True)
class ImageTask(ImageDataTask):
    """Images of a data set, classified by a network of a family."""

    kinds: ClassVar[tuple[str, ...]] = ("dataset", "network")
    blocks_alike: ClassVar[bool] = False
    plain_blocks: ClassVar[bool] = True
    explicit_steps: ClassVar[bool] = True
    batch_statistics: ClassVar[bool] = True

    # what the trial's other components say

    @property
    def stacks(self) -> tuple[str, ...]:
        return tuple(f"subnetworks.{i}" for i in range(self.trial.network.subnetworks))

    @property
    def residual(self) -> bool:  # type: ignore[override]
        return self.trial.network.residual

    @property
    def label(self) -> str:
        return self.trial.network.name

    def proposed(self) -> Proposals:
        return {**self.trial.dataset.proposals, **self.trial.network.proposals}

    def checked(self, name: str, given: str) -> Architecture:
        return self.trial.network.checked(name, given)

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

    def blocks(self, model: Any) -> "list[list[nn.Module]]":
        return [list(blocks) for blocks in model.blocks]

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

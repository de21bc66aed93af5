"""Networks without shortcuts (AutoGrow, section 2.1)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from growsearch.tasks.images.family import FOUR, THREE, ImageFamily
from growsearch.trial.components import register
from growsearch.trial.kinds import Proposals

if TYPE_CHECKING:
    from growsearch.tasks.images.blocks import Block


@register("network", "plain3net", source="AutoGrow, section 2.1")
@dataclass(frozen=True, kw_only=True)
class Plain3Net(ImageFamily):
    """Three sub-networks of convolutions without shortcuts."""

    subnetworks = 3
    residual = False
    widths: ClassVar[tuple[int, ...]] = THREE
    proposals: ClassVar[Proposals] = {"lr": 0.01, "initializer": "default"}

    def block(self) -> "type[Block]":
        from growsearch.tasks.images.blocks import PlainBlock

        return PlainBlock


@register("network", "plain4net", source="AutoGrow, section 2.1")
@dataclass(frozen=True, kw_only=True)
class Plain4Net(Plain3Net):
    """Four sub-networks of convolutions without shortcuts, for small images."""

    subnetworks = 4
    widths: ClassVar[tuple[int, ...]] = FOUR


@register("network", "plain4net-imagenet", source="AutoGrow, section 2.1")
@dataclass(frozen=True, kw_only=True)
class Plain4NetImageNet(Plain4Net):
    """Four sub-networks of convolutions without shortcuts, with ImageNet's stem."""

    imagenet_stem = True

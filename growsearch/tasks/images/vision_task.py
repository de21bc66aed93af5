"""Image classification by vision transformers."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

from growsearch.tasks.images.image_data import ImageDataTask
from growsearch.tasks.images.patches import check_patch
from growsearch.tasks.transformer.heads import check_heads
from growsearch.tasks.transformer.task import TransformerStack
from growsearch.trial.architecture import Architecture
from growsearch.trial.errors import InputError
from growsearch.trial.kinds import Proposals
from growsearch.trial.options import option

if TYPE_CHECKING:
    from torch import nn

    from growsearch.growth.step_sizes import StepSize
    from growsearch.tasks.images.vision_transformer import VisionForm
    from growsearch.trial.config import TrialConfig

PATCH = 4
"""Pixels of a patch's side, where the data set proposes none: images of 28x28 pixels have 49
patches, the digits four, with which they train faster and end better than with 16."""


@dataclass(frozen=True, kw_only=True)
class VisionTransformerTask(TransformerStack, ImageDataTask):
    """Images of a data set, classified by one stack of transformer blocks on their patches."""

    proposals: ClassVar[Proposals] = {
        "epochs": 40, "batch_size": 64, "optimizer": "adamw", "lr": 2e-3, "weight_decay": 0.05,
        "lr_schedule": "cosine", "final_lr": 0.0, "initializer": "zero",
        "momentum_on_growth": "carry",
    }  # fmt: skip

    width: int = option(64, "numbers a token", least=1, keyed_at_default=False)
    heads: int = option(4, "attention heads", least=1, keyed_at_default=False)
    patch: int | None = option(
        None, "height and width of the patches that an image is cut into", least=1,
        default_help=f"{PATCH}", keyed_at_default=False,
    )  # fmt: skip
    pooling: str = option(
        "mean", "what is classified: the mean of all patches' tokens, or one more token, which is "
        "learned", choices=("mean", "token"), keyed_at_default=False,
    )  # fmt: skip
    mlp: str = option(
        "gelu", "the MLP of a block", choices=("gelu", "swiglu"), keyed_at_default=False
    )

    def completed(self, trial: "TrialConfig") -> Self:
        check_heads(self.width, self.heads)
        patch = self.proposed().get("patch", PATCH)
        return super().completed(trial).with_defaults(patch=patch)

    def checked(self, name: str, given: str) -> Architecture:
        architecture = super().checked(name, given)
        if self.pooling == "token" and not all(architecture.blocks):
            raise InputError(
                f"{name} {given!r} has no block by which the learned token sees an image; start "
                "from 1, or choose pooling 'mean'"
            )
        return architecture

    # data

    def prepare(self) -> None:
        self._check_patch()
        super().prepare()

    def check(self) -> None:
        self._check_patch()
        super().check()

    def check_key(self) -> tuple[Hashable, ...]:
        return *super().check_key(), self.patch

    def _check_patch(self) -> None:
        form = self._form
        check_patch(form.patch, form.image_shape)

    @property
    def example_tokens(self) -> int:  # type: ignore[override]
        _, height, width = self.dataset.image_shape
        patch = self._form.patch
        return (height // patch) * (width // patch) + (self.pooling == "token")

    # the model

    @property
    def _form(self) -> "VisionForm":
        """Known without the trial's own part of the data."""
        from growsearch.tasks.images.loading import image_shape

        return self._form_for(image_shape(self, self.loaded), self.loaded.classes)

    def _form_for(self, image_shape: tuple[int, int, int], classes: int) -> "VisionForm":
        from growsearch.tasks.images.vision_transformer import VisionForm

        assert self.patch is not None
        return VisionForm(
            image_shape, classes, self.width, self.heads, self.patch, self.pooling, self.mlp
        )

    def build(self, architecture: Architecture) -> "nn.Module":
        from growsearch.tasks.images.vision_transformer import VisionTransformer

        model = VisionTransformer(architecture.blocks[0], self._form)
        return self.stepped(model, self.step_sizes(architecture))

    def rebuilt(
        self, architecture: Architecture, facts: Mapping[str, Any], steps: "list[StepSize]"
    ) -> "nn.Module":
        from growsearch.tasks.images.facts import ImageFacts
        from growsearch.tasks.images.vision_transformer import VisionTransformer

        known = ImageFacts.from_dict(facts)
        form = self._form_for(known.image_shape, known.classes)
        return self.stepped(VisionTransformer(architecture.blocks[0], form), steps)

    def macs(self, model: "nn.Module") -> int:
        from growsearch.tasks.images.vision_transformer import image_macs

        return image_macs(model, self.dataset.image_shape)

    def size(self, architecture: Architecture) -> tuple[int, int]:
        from growsearch.tasks.images.vision_transformer import transformer_size

        return transformer_size(self._form, architecture.blocks[0])

"""Vision transformers."""

from dataclasses import dataclass

from growsearch.tasks.images.vision_task import VisionTransformerTask
from growsearch.trial.components import register


@register("task", "vision-transformer", source="Dosovitskiy et al. 2021 (ViT)")
@dataclass(frozen=True, kw_only=True)
class VisionTransformer(VisionTransformerTask):
    """Classify the images of a data set with a transformer on their patches."""

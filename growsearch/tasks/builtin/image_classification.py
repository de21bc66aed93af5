"""Image classification, the task of both papers."""

from dataclasses import dataclass

from growsearch.tasks.images.task import ImageTask
from growsearch.trial.components import register


@register("task", "image-classification", source="LipGrow, section 5; AutoGrow, section 3")
@dataclass(frozen=True, kw_only=True)
class ImageClassification(ImageTask):
    """Classify the images of a data set with a network of a family."""

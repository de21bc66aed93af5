"""Language modelling."""

from dataclasses import dataclass

from growsearch.tasks.language.task import LanguageTask
from growsearch.trial.components import register


@register("task", "language", source="Radford et al. 2019 (GPT-2); defaults of nanoGPT")
@dataclass(frozen=True, kw_only=True)
class Language(LanguageTask):
    """Predict the next byte or character of a text with a GPT.

    The text is a file of your own (--data-dir text.txt), or --dataset bible.
    """

"""What tasks on one stack of transformer blocks have in common."""

from dataclasses import dataclass

from growsearch.tasks.task import Task
from growsearch.trial.kinds import Proposals


@dataclass(frozen=True, kw_only=True)
class TransformerStack(Task):
    """A task whose model has its TransformerBlocks in `blocks`, which may be empty."""

    stacks = ("blocks",)
    residual = True
    block_methods = ("silence_residual", "scale_residual")
    least_depth = 0

    def proposed(self) -> Proposals:
        fixed_depth = self.trial.given.get("policy") == "none"
        return {**super().proposed(), "architecture": "4" if fixed_depth else "1"}

"""What tasks on one stack of transformer blocks have in common."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from growsearch.tasks.task import Task
from growsearch.trial.components import component
from growsearch.trial.kinds import Policy, Proposals

if TYPE_CHECKING:
    from torch import nn

    from growsearch.growth.step_sizes import StepSize


@dataclass(frozen=True, kw_only=True)
class TransformerStack(Task):
    """A task whose model has its TransformerBlocks in `blocks`, which may be empty."""

    stacks = ("blocks",)
    residual = True
    block_methods = ("silence_residual", "scale_residual")
    least_depth = 0
    explicit_steps = True

    def stepped(self, model: Any, steps: "list[StepSize]") -> "nn.Module":
        """The model, whose blocks take steps of that size from now on."""
        from growsearch.growth.step_sizes import StepSize, guard_step_sizes

        # files of models that were exported before blocks had step sizes name none
        (step,) = steps or [StepSize()]
        guard_step_sizes(model, [step])
        if step.explicit != 1:
            for block in model.blocks:
                block.step = step
        return cast("nn.Module", model)

    def proposed(self) -> Proposals:
        policy = component("policy", self.trial.given.get("policy", "hand-tuned"))
        fixed_depth = not cast("type[Policy]", policy).grows
        return {**super().proposed(), "architecture": "4" if fixed_depth else "1"}

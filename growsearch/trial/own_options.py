"""The options of trials that belong to no component."""

import typing
from dataclasses import MISSING, Field
from functools import cache

from growsearch.trial.architecture import Architecture
from growsearch.trial.optimizer_changes import parse_change
from growsearch.trial.options import Option, Role, option, rule_of


class OwnOptions:
    """The options that belong to no component."""

    data_dir: str | None = option(
        None, "file or folder with the task's or data set's data", role=Role.DATA
    )
    architecture: str = option(
        None, "sub-modules (residual blocks) per sub-network to start from", parse=Architecture,
        default_help="2 in each; AutoGrow: 1 in each", role=Role.NETWORK,
    )  # fmt: skip
    bn_gamma_init: str = option(
        "one", "scales of batch normalizations to start from: one, or uniform in [0, 1] as in "
        "the PyTorch of AutoGrow's program", choices=("one", "uniform"), role=Role.NETWORK,
    )  # fmt: skip
    epochs: int = option(
        None, "number of epochs; for AutoGrow the largest number. Epochs that only initialize new "
        "blocks (adam, partial) are not counted", least=1, default_help="164; AutoGrow: 5000",
        role=Role.DECISION,
    )  # fmt: skip
    batch_size: int = option(
        None, "examples a training step", least=2, default_help="128",
        role=Role.EPOCH,
    )  # fmt: skip
    lr: float = option(
        None, "the largest learning rate", above=0,
        default_help="0.5; AutoGrow: 0.1",
        role=Role.DECISION,
    )  # fmt: skip
    optimizer_changes: tuple[str, ...] | None = option(
        None, "changes of the largest lr or of weight_decay after an epoch, like 10:lr=0.05; "
        "scheduler pbt sets them", parse=parse_change, role=Role.DECISION,
    )  # fmt: skip
    weight_decay: float = option(
        None, "sgd: L2 penalty on all parameters; adamw, muon: what a step shrinks weights by, as "
        "a multiple of the learning rate", least=0,
        default_help="2e-4; AutoGrow: 5e-4, on imagenet 1e-4",
        role=Role.EPOCH,
    )  # fmt: skip
    clip_norm: float | None = option(
        None, "the largest norm of the gradient of all parameters together, in each training step; "
        "a larger one is scaled down to it", above=0, default_help="off", role=Role.EPOCH,
        keyed_at_default=False,
    )  # fmt: skip
    seed: int = option(0, "seed of all random numbers", least=0, role=Role.EPOCH)
    lipschitz: str | None = option(
        "layers", "what Lipschitz constants are: the product of the constants of a block's layers, "
        "or the mean norm of its residual's Jacobian at some validation examples",
        choices=("layers", "jacobian"), role=Role.EPOCH, keyed_at_default=False,
        default_help="layers where the task has a formula (images); otherwise jacobian if the "
        "policy or initializer reads the constants, and else they are not measured",
    )  # fmt: skip
    record_lipschitz: str = option(
        "subnetworks", "the smallest parts whose Lipschitz constants are recorded",
        choices=("subnetworks", "blocks", "layers"), role=Role.RECORD,
    )  # fmt: skip
    device: str = option(
        "auto", "where the trial runs; auto is the GPU, or the CPU if there is no GPU",
        choices=("auto", "cpu", "cuda"), role=Role.MACHINE,
    )  # fmt: skip
    precision: str = option(
        "auto", "number format of training and evaluation; auto is bfloat16 if it is faster, "
        "which is measured once on each machine", choices=("auto", "float32", "bfloat16"),
        role=Role.MACHINE,
    )  # fmt: skip
    compile: str = option(
        "auto", "whether training steps are compiled, block by block (torch.compile); auto "
        "compiles if that saves time within the trial. This is measured once for each machine and "
        "kind of trial, and only for trials of ten minutes or more",
        choices=("auto", "on", "off"), role=Role.MACHINE,
    )  # fmt: skip


@cache
def trial_options() -> dict[str, Option]:
    """The options that belong to no component, by name."""
    rules = {}
    hints = typing.get_type_hints(OwnOptions)
    for name, spec in vars(OwnOptions).items():
        if isinstance(spec, Field):
            default = None if spec.default is MISSING else spec.default
            rules[name] = rule_of(name, hints[name], default, spec.metadata)
            assert rules[name].role is not None, f"option {name!r} states no role"
    return rules

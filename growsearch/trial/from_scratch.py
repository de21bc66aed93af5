"""What a grown network is compared with: the same network trained from scratch."""

from growsearch.trial.choices import AUTOGROW, DATA
from growsearch.trial.config import TrialConfig

_SAME = (
    *DATA, "network", "bn_gamma_init", "batch_size", "lr", "weight_decay", "seed",
    "record_lipschitz", "device", "precision", "compile",
)  # fmt: skip


def from_scratch(config: TrialConfig, architecture: str) -> TrialConfig:
    """The trial that trains `architecture`, which `config`'s trial ended with, from scratch.

    It has the same data, batches, seed, largest learning rate and weight decay. After AutoGrow it
    trains as long as fine-tuning, with its staircase (AutoGrow, section 3); after scheduled growths
    with a staircase as long as the last stage (its Table 2); otherwise as long as `config` and with
    its learning rates.
    """
    epochs, lr_schedule = config.epochs, config.lr_schedule
    if config.policy in AUTOGROW:
        assert config.finetune_epochs is not None
        epochs, lr_schedule = config.finetune_epochs, "staircase"
    elif lr_schedule == "staircase" and config.growth_epochs:
        epochs -= config.growth_epochs[-1]
    return TrialConfig(
        policy="none",
        architecture=architecture,
        epochs=epochs,
        lr_schedule=lr_schedule,
        lr_epochs=None if lr_schedule == "staircase" else config.lr_epochs,
        **{name: getattr(config, name) for name in _SAME},
    )

"""What a grown network is compared with: the same network trained from scratch."""

from growsearch.trial.config import TrialConfig
from growsearch.trial.options import Role, Value

KEPT_ROLES = (Role.DATA, Role.NETWORK, Role.EPOCH, Role.MACHINE, Role.RECORD)


def from_scratch(config: TrialConfig, architecture: str) -> TrialConfig:
    """The trial that trains `architecture`, which `config`'s trial ended with, from scratch.

    It has the same data, batches, seed, optimizer, largest learning rate and weight decay. After
    AutoGrow it trains as long as fine-tuning, with its staircase (AutoGrow, section 3); after
    scheduled growths with a staircase as long as the last stage (its Table 2); otherwise as long as
    `config` and with its learning rates.
    """
    epochs, schedule = config.epochs, config.lr_schedule
    rates: dict[str, Value] = {"lr_schedule": schedule.name, **schedule.values()}
    if config.policy.finetune_epochs is not None:
        epochs, rates = config.policy.finetune_epochs, {"lr_schedule": "staircase"}
    elif schedule.by_stages and (last := config.policy.stage(config, epochs - 1)):
        epochs = last.epochs
        rates["warmup"] = min(schedule.warmup, epochs)
    same = config.values(*KEPT_ROLES) | {"lr": config.lr, "architecture": architecture}
    return TrialConfig(given={**same, **rates, "policy": "none", "epochs": epochs})

"""Rules between a trial's options: the papers' defaults, and what cannot go together.

A trial is here whatever has TrialConfig's fields as attributes, each checked alone.
"""

from collections.abc import Sequence
from typing import Any

from growsearch.trial import choices
from growsearch.trial.architecture import Architecture
from growsearch.trial.errors import InputError
from growsearch.trial.optimizer_changes import CHANGEABLE, parse_change


def complete(trial: Any) -> None:
    """Give each option that was left out, and has a meaning, its default.

    Raises InputError for options that do not go together.
    """
    _complete_training(trial)
    _check_sub_networks(trial, "architecture", trial.architecture)
    _check_policy_options(trial)
    if trial.policy in ("fixed", "hand-tuned"):
        _complete_scheduled(trial)
    if trial.policy.startswith("lipschitz"):
        _complete_lipschitz(trial)
    if trial.policy in choices.AUTOGROW:
        _complete_autogrow(trial)
    if trial.policy != "none":
        _complete_growing(trial)
    _complete_lr_epochs(trial)


def surprises(trial: Any) -> list[str]:
    """What the options mean where it is not what they say; a line each."""
    notes = []
    if trial.network in choices.PLAIN and trial.initializer in choices.LAST_NORMALIZATION:
        notes.append(
            f"initializer {trial.initializer!r} treats the last batch normalization of a residual, "
            f"and {trial.network} has no residuals: new sub-modules get the default initialization"
        )
    if trial.policy in choices.AUTOGROW:
        first = first_chance(trial)
        if first > trial.growing_epochs:
            notes.append(
                f"the network never grows: its first chance is after {first} epochs, and "
                f"epochs={trial.epochs} leaves {trial.growing_epochs} before fine-tuning"
            )
    return notes


def _default(trial: Any, name: str, value: Any) -> None:
    if getattr(trial, name) is None:
        setattr(trial, name, value)


def _complete_training(trial: Any) -> None:
    autogrow, imagenet = trial.policy in choices.AUTOGROW, trial.dataset == "imagenet"
    seed = Architecture([1 if autogrow else 2] * choices.NETWORKS[trial.network])
    _default(trial, "architecture", str(seed))
    _default(trial, "epochs", 5000 if autogrow else 164)
    _default(trial, "batch_size", 256 if imagenet else 128)
    _default(trial, "lr", 0.01 if trial.network in choices.PLAIN else 0.1 if autogrow else 0.5)
    _default(trial, "lr_schedule", "constant" if autogrow else "adaptive-cosine")
    _default(trial, "weight_decay", 2e-4 if not autogrow else 1e-4 if imagenet else 5e-4)
    if autogrow and trial.dataset in ("mnist", "fashion-mnist"):
        _default(trial, "image_size", 32)
    if trial.train_size is not None and trial.train_fraction is not None:
        raise InputError(
            f"train_size={trial.train_size} and train_fraction={trial.train_fraction:g} both say "
            "how many images to train on; leave one out"
        )


def _check_sub_networks(trial: Any, name: str, given: str) -> Architecture:
    architecture = Architecture(given)
    expected = choices.NETWORKS[trial.network]
    if len(architecture.blocks) != expected:
        raise InputError(
            f"{name} {given!r} has {len(architecture.blocks)} sub-networks, but "
            f"{trial.network} has {expected}; write it like {'-'.join(['2'] * expected)}"
        )
    return architecture


def _check_policy_options(trial: Any) -> None:
    for name in dict.fromkeys(name for names in choices.POLICIES.values() for name in names):
        if name not in choices.POLICIES[trial.policy] and getattr(trial, name) is not None:
            takers = [repr(policy) for policy, names in choices.POLICIES.items() if name in names]
            given = _said(getattr(trial, name))
            raise InputError(
                f"{name}={given} belongs to policy {' or '.join(takers)}, but "
                f"policy is {trial.policy!r}; leave {name} out or choose another policy"
            )


def _said(value: Any) -> str:
    """As it was written on the command line."""
    return " ".join(map(str, value)) if isinstance(value, tuple) else repr(value)


def _proportion(trial: Any, epochs_of_164: int) -> int:
    """LipGrow's number of epochs, of its 164, in a trial of this length."""
    return max(round(trial.epochs * epochs_of_164 / 164), 1)


def _complete_scheduled(trial: Any) -> None:
    if trial.policy == "hand-tuned":
        _default(trial, "growth_epochs", (_proportion(trial, 60), _proportion(trial, 110)))
    if not trial.growth_epochs:
        raise InputError("policy 'fixed' needs growth_epochs: give one or more, like 60 110")
    _check_rising(
        trial, "growth_epochs", trial.growth_epochs, "a network grows after an epoch and trains on"
    )
    seed, times = Architecture(trial.architecture), len(trial.growth_epochs)
    doubled = tuple(str(seed.doubled(k + 1)) for k in range(times))
    trial.growth_architectures = trial.growth_architectures or doubled
    if len(trial.growth_architectures) != times:
        raise InputError(
            f"growth_architectures {' '.join(trial.growth_architectures)} must be as many as the "
            f"growth_epochs {' '.join(map(str, trial.growth_epochs))}: one for each"
        )
    before = seed
    for given in trial.growth_architectures:
        after = _check_sub_networks(trial, "growth_architectures", given)
        if after == before or not before.fits_in(after):
            raise InputError(
                f"growth_architectures {given!r} does not grow out of {before}: each must be "
                "deeper than the one before, and nowhere shallower"
            )
        before = after


def _check_rising(trial: Any, name: str, epochs: Sequence[int], reason: str) -> None:
    if list(epochs) != sorted(set(epochs)) or epochs[-1] >= trial.epochs:
        given = " ".join(map(str, getattr(trial, name)))
        raise InputError(
            f"{name} {given} must rise and end before the last of epochs={trial.epochs}: {reason}"
        )


def _complete_lipschitz(trial: Any) -> None:
    seed = Architecture(trial.architecture)
    _default(trial, "rtol", 1.4)
    _default(trial, "window", 10)
    _default(trial, "baseline", "window")
    _default(trial, "reserve", _proportion(trial, 30))
    _default(trial, "max_architecture", str(seed.doubled(2)))
    growths = seed.doublings_to(
        _check_sub_networks(trial, "max_architecture", trial.max_architecture)
    )
    spoken_for = trial.reserve + (growths - 1) * trial.window
    if growths and spoken_for >= trial.epochs:
        raise InputError(
            f"reserve={trial.reserve} and window={trial.window} do not fit: {growths} "
            f"growths keep {spoken_for} of epochs={trial.epochs} for the deeper networks; lower "
            "reserve or window, or train longer"
        )


def _complete_autogrow(trial: Any) -> None:
    imagenet = trial.dataset == "imagenet"
    _default(trial, "finetune_epochs", 90 if imagenet else 200)
    _default(trial, "tau", 0.05)
    longest = max(trial.finetune_epochs // (3 if imagenet else 2), 1)
    if trial.policy == "periodic":
        _complete_periodic(trial, longest, usual=2 if imagenet else 3)
    _default(trial, "interval", longest)
    if trial.finetune_epochs >= trial.epochs:
        raise InputError(
            f"epochs={trial.epochs} count growing and the finetune_epochs={trial.finetune_epochs} "
            "(N) that follow, and leave none to grow in; raise epochs or lower finetune_epochs"
        )
    if trial.max_architecture is not None:
        cap = _check_sub_networks(trial, "max_architecture", trial.max_architecture)
        if not Architecture(trial.architecture).fits_in(cap):
            raise InputError(
                f"architecture {trial.architecture!r} is deeper than max_architecture "
                f"{str(cap)!r}; start shallower or raise the cap"
            )


def _complete_periodic(trial: Any, longest: int, usual: int) -> None:
    """K and J, each by the other if it was left out."""
    fraction = trial.train_fraction or 1
    if trial.interval is None:
        at_most = trial.patience or longest
        trial.interval = max(min(usual, int(at_most * fraction)), 1)
    interval = scaled_interval(trial)
    _default(trial, "patience", max(longest, interval))
    if trial.patience < interval:
        raise InputError(
            f"patience={trial.patience} (J) is less than the {interval} epochs of an interval "
            f"(K={trial.interval}): accuracy is compared over at least one; raise patience or "
            "lower interval"
        )


def scaled_interval(trial: Any) -> int:
    """AutoGrow's K in epochs of this trial: those of a part of the data are shorter."""
    return max(round(trial.interval / (trial.train_fraction or 1)), 1)


def first_chance(trial: Any) -> int:
    """Epochs after which AutoGrow may grow for the first time."""
    return scaled_interval(trial) * (1 if trial.policy == "periodic" else 2)


def _complete_growing(trial: Any) -> None:
    plain, autogrow = trial.network in choices.PLAIN, trial.policy in choices.AUTOGROW
    usual = "default" if plain else "gaussian" if autogrow else "clone"
    _default(trial, "initializer", usual)
    _default(trial, "momentum_on_growth", "carry" if autogrow else "reset")
    if trial.initializer == "clone":
        _default(trial, "scaling", "paper")
        _check_clonable(trial)
        _check_without(trial, "placement", "an initializer with new blocks")
    else:
        _default(trial, "placement", "end" if autogrow else "between")
        _check_without(trial, "scaling", "initializer 'clone'")


def _check_without(trial: Any, name: str, belongs_to: str) -> None:
    if getattr(trial, name) is not None:
        raise InputError(
            f"{name}={getattr(trial, name)!r} belongs to {belongs_to}, but initializer is "
            f"{trial.initializer!r}; leave {name} out"
        )


def _check_clonable(trial: Any) -> None:
    if trial.network in choices.PLAIN:
        raise InputError(
            f"initializer 'clone' halves the steps of residual blocks, and {trial.network} has "
            "none; choose 'default'"
        )
    blocks = Architecture(trial.architecture).blocks
    if min(blocks) < 2:
        smallest = Architecture(max(n, 2) for n in blocks)
        raise InputError(
            f"architecture {trial.architecture!r} cannot grow by cloning: the first block of a "
            f"sub-network is never cloned, so each needs a second; start from {smallest}, or "
            "choose another initializer or policy 'none'"
        )


def _complete_lr_epochs(trial: Any) -> None:
    changes = [parse_change(change) for change in trial.optimizer_changes or ()]
    for name in CHANGEABLE:
        if epochs := [change.epoch for change in changes if change.name == name]:
            _check_rising(trial, "optimizer_changes", epochs, "nothing is trained after the last")
    if trial.lr_schedule == "staircase" and trial.policy.startswith("lipschitz"):
        raise InputError(
            "lr_schedule 'staircase' starts anew at growths or intervals known beforehand, which "
            f"policy {trial.policy!r} has not; choose 'step' or 'adaptive-cosine'"
        )
    if trial.lr_schedule == "cosine-restarts":
        _default(trial, "lr_epochs", trial.growth_epochs)
    if trial.lr_schedule == "step" and trial.epochs >= 4:
        _default(trial, "lr_epochs", (trial.epochs // 2, trial.epochs * 3 // 4))
    if choices.LR_SCHEDULES[trial.lr_schedule]:
        if not trial.lr_epochs:
            raise InputError(
                f"lr_schedule {trial.lr_schedule!r} needs lr_epochs, the epochs after which the "
                "learning rate changes: give one or more, like 60 110"
            )
        _check_rising(trial, "lr_epochs", trial.lr_epochs, "nothing is trained after the last")
    elif trial.lr_epochs is not None:
        raise InputError(
            f"lr_epochs={_said(trial.lr_epochs)} belongs to lr_schedule 'cosine-restarts' or "
            f"'step', but lr_schedule is {trial.lr_schedule!r}; leave lr_epochs out"
        )

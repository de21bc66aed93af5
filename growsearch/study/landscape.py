"""Where training went, and how the loss looks there (AutoGrow, KDD 2020, Figures 2, 3 and 5).

A trial's folder is what `growsearch train --save-every N --out FOLDER` leaves. Its states are
points in the space of the final network's parameters, without running statistics; losses are those
on planes through the final network (Li et al. 2018, Visualizing the loss landscape of neural nets).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional as F

from growsearch.machine.randomness import generator
from growsearch.tasks.images.dataset import Dataset
from growsearch.tasks.images.images import Images
from growsearch.trainer import Trainer
from growsearch.training.state import read_state
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError
from growsearch.trial.history import History

Parameters = dict[str, Tensor]
"""By name: those of a network, or a direction in their space."""

_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
_COLUMNS = ["epoch", "phase", "architecture", "grew", "pc1", "pc2", "train_loss", "val_accuracy"]


@dataclass(frozen=True, eq=False)
class Plane:
    """The networks theta + x * directions[0] + y * directions[1], theta that of file `state`."""

    state: Path
    directions: tuple[Parameters, Parameters]

    @torch.no_grad()
    def losses(self, xs: Sequence[float], ys: Sequence[float], images: int = 1000) -> pd.DataFrame:
        """The training loss on the grid of `xs` and `ys`: a row a point, columns x, y, loss (nats).

        It is the mean cross-entropy of at most `images` training images, class-balanced and the
        same ones at each point, without augmentation. Batches of at least the trial's size are
        normalized by their own statistics, for the running ones are not those of moved weights.
        Raises InputError if the data are not there, or for less than 2 images.
        """
        if images < 2:
            raise InputError(f"images={images} are too few to normalize a batch; give 2 or more")
        config, history, contents = read_state(self.state)
        config = config.replaced(device="auto", compile="off")
        trainer = Trainer(config, saved=(history, contents))
        batches = _batches(trainer.dataset, images, config.batch_size, config.seed)
        labels = torch.cat([batch.labels for batch in batches])
        network = trainer.state.network.train()
        theta, (first, second) = dict(network.named_parameters()), self.directions

        def loss(x: float, y: float) -> float:
            moved = {n: p + x * first[n].to(p) + y * second[n].to(p) for n, p in theta.items()}
            logits = torch.cat([functional_call(network, moved, (b.images,)) for b in batches])
            return F.cross_entropy(logits, labels).item()

        return pd.DataFrame([{"x": x, "y": y, "loss": loss(x, y)} for y in ys for x in xs])


@dataclass(frozen=True, eq=False)
class Trajectory:
    """The path of a trial on the plane, x = pc1 and y = pc2, that shows most of it."""

    table: pd.DataFrame
    explained_variance: tuple[float, float]
    """Of pc1 and pc2: shares, from 0 to 1, of the variance of the states."""
    plane: Plane

    def contours(self, resolution: int = 25, images: int = 1000) -> pd.DataFrame:
        """`Plane.losses` on `resolution` by `resolution` points over the path and around it."""
        ends = [(self.table[pc].min(), self.table[pc].max()) for pc in ("pc1", "pc2")]
        xs, ys = (_ticks((a + b) / 2, 0.7 * (b - a), resolution) for a, b in ends)
        return self.plane.losses(xs, ys, images)


def trajectory(folder: str | Path) -> Trajectory:
    """The trial in `folder` on its two principal components (AutoGrow, Figures 2 and 3).

    States are embedded in the final network by the names of their parameters, zeros where they have
    none yet. That is right for growth at the end of sub-networks; where blocks move (placement
    "between", initializer "clone") names are followed all the same, and each move is a jump.

    The table has a row a state: epoch; phase, train_loss (nats) and val_accuracy (percent) of that
    epoch; architecture, of the saved network; grew, whether that is deeper than in the row before
    (a state saved as the network grows has the new parameters already); pc1 and pc2, the difference
    from the final state, which is at (0, 0), in the parameters' Euclidean norm. The components are
    those of centred differences, as in Li et al.'s program. Takes 8 bytes of memory for each
    parameter of each state. Raises InputError for fewer than three states or a diverged trial.
    """
    paths = _states(folder, least=3)
    final, _ = _read(paths[-1])
    points = torch.empty(len(paths), sum(parameter.numel() for parameter in final.values()))
    records = []
    for path, point in zip(paths, points, strict=True):
        parameters, (config, history, contents) = _read(path)
        for name, part in _by_name(point, final).items():
            part.copy_(parameters.get(name, torch.tensor(0.0)))
        records.append(asdict(history[-1]) | {"architecture": contents["architecture"]})
    points -= points[-1].clone()
    components, (share1, share2) = _principal_components(points.numpy())
    pc1, pc2 = components @ points.numpy().T
    table = pd.DataFrame(records).assign(pc1=pc1, pc2=pc2)
    before = table["architecture"].shift(fill_value=config.architecture)
    table["grew"] = table["architecture"] != before
    first, second = (_by_name(torch.from_numpy(component), final) for component in components)
    return Trajectory(
        table[_COLUMNS], (float(share1), float(share2)), Plane(paths[-1], (first, second))
    )


def _principal_components(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first two [2, n] of `points` [m, n], and their shares of the variance.

    scikit-learn's, signs too, but in a third of its memory and without its SVD's error in float32.
    """
    centred = points - points.mean(axis=0)
    variances, mixtures = np.linalg.eigh((centred @ centred.T).astype(float))
    top = variances[[-1, -2]]
    components = (mixtures[:, [-1, -2]] / np.sqrt(top)).T.astype(np.float32) @ centred
    largest = components[[0, 1], np.abs(components).argmax(axis=1)]
    return components * np.sign(largest)[:, None], top / variances.sum()


def loss_surface(
    folder: str | Path, resolution: int = 11, extent: float = 1, images: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """`Plane.losses` around the final network of the trial in `folder` (AutoGrow, Figure 5).

    At `resolution` values from -extent to extent along each of two directions: Gaussian, drawn from
    `seed`, and filter-normalized (Li et al. 2018, section 4), so that networks can be compared.
    Each filter of a convolution and each row of the linear layer is as long as the network's own;
    biases and batch normalizations do not move. Raises InputError if there is no state, if the
    trial diverged, and for numbers out of range.
    """
    if not extent > 0:
        raise InputError(f"extent={extent:g} must be above 0; 1 goes as far as filters are long")
    ticks = _ticks(0, extent, resolution)
    state = _states(folder)[-1]
    final, _ = _read(state)
    first, second = (_gaussian_filters(final, seed, axis) for axis in "xy")
    return Plane(state, (first, second)).losses(ticks, ticks, images)


def _gaussian_filters(final: Parameters, seed: int, axis: str) -> Parameters:
    draw = generator(seed, 0, f"loss surface along {axis}")
    direction = {name: torch.zeros(parameter.shape) for name, parameter in final.items()}
    for name, step in direction.items():
        if step.ndim > 1:
            filters = step.normal_(generator=draw).flatten(1)
            lengths = final[name].flatten(1).norm(dim=1, keepdim=True)
            filters *= lengths / filters.norm(dim=1, keepdim=True)
    return direction


def _batches(dataset: Dataset, images: int, batch_size: int, seed: int) -> list[Images]:
    """Of nearly equal sizes, their classes mixed."""
    device, n = dataset.train.labels.device, min(images, len(dataset.train))
    dataset = dataset.to(torch.device("cpu")).subset(n, seed).to(device)
    order = torch.randperm(n, generator=generator(seed, 0, "order of a landscape's images"))
    parts = order.to(device).tensor_split(max(n // batch_size, 1))
    return [next(dataset.evaluation_batches(dataset.train[part], len(part))) for part in parts]


def _states(folder: str | Path, least: int = 1) -> list[Path]:
    paths = sorted(Path(folder, "states").glob("*.pt"))
    if len(paths) < least:
        raise InputError(
            f"{str(folder)!r} has {len(paths)} saved states, and this takes {least} or more; train "
            "with growsearch train --save-every N, where a smaller N gives more of them"
        )
    return paths


def _read(path: Path) -> tuple[Parameters, tuple[TrialConfig, History, dict[str, Any]]]:
    config, history, contents = read_state(path)
    parameters = {n: p for n, p in contents["network"].items() if not n.endswith(_STATISTICS)}
    if not all(p.isfinite().all() for p in parameters.values()):
        raise InputError(f"{str(path)!r} is of a trial that diverged; train with a smaller --lr")
    return parameters, (config, history, contents)


def _by_name(flat: Tensor, final: Parameters) -> Parameters:
    """Views of `flat`, one shaped like each of the final network's parameters."""
    parts = flat.split([parameter.numel() for parameter in final.values()])
    return {name: part.view(final[name].shape) for name, part in zip(final, parts, strict=True)}


def _ticks(middle: float, half: float, resolution: int) -> list[float]:
    """Evenly spaced; the middle one of an odd number is exact."""
    if resolution < 3:
        raise InputError(f"resolution={resolution} is too few points a side; give 3 or more")
    return (middle + half * np.arange(1 - resolution, resolution, 2) / (resolution - 1)).tolist()

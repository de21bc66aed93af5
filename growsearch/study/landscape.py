"""The path of training and the loss around it (AutoGrow, KDD 2020, Figures 2, 3 and 5).

`growsearch train --save-every N --out FOLDER` writes a trial's folder. A saved state is a point in
the space of the final network's parameters; running statistics are left out. Losses are computed on
planes through the final network (Li et al. 2018, Visualizing the loss landscape of neural nets).
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
from growsearch.machine.saved import saved_files
from growsearch.study.folder import STATES_FOLDER
from growsearch.tasks.images.dataset import Dataset
from growsearch.tasks.images.image_data import ImageDataTask
from growsearch.tasks.images.images import Images
from growsearch.trainer import Trainer
from growsearch.training.state import read_state
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError
from growsearch.trial.history import History

Parameters = dict[str, Tensor]
"""Tensors by parameter name: a network's parameters, or a direction in their space."""

_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
_COLUMNS = ["epoch", "phase", "architecture", "grew", "pc1", "pc2", "train_loss", "val_accuracy"]


@dataclass(frozen=True, eq=False)
class Plane:
    """The networks theta + x * directions[0] + y * directions[1]; file `state` holds theta."""

    state: Path
    directions: tuple[Parameters, Parameters]

    @torch.no_grad()
    def losses(self, xs: Sequence[float], ys: Sequence[float], images: int = 1000) -> pd.DataFrame:
        """The training loss on the grid of `xs` and `ys`: one row a point, columns x, y and loss.

        The loss is the mean cross-entropy (nats) of at most `images` training images without
        augmentation. The images are class-balanced and the same at each point. Batches have at
        least the trial's batch size and are normalized by their own statistics, because running
        statistics do not fit moved weights. Raises InputError if the data are missing or `images`
        is below 2.
        """
        if images < 2:
            raise InputError(f"images={images} is too few to normalize a batch; give 2 or more")
        config, history, contents = read_state(self.state)
        config = config.replaced(device="auto", compile="off")
        trainer = Trainer(config, saved=(history, contents))
        if not isinstance(trainer.task, ImageDataTask):
            raise InputError(
                f"{str(self.state)!r} is of task {config.task.name!r}; loss surfaces are drawn of "
                "tasks on images only"
            )
        batches = _batches(trainer.task.dataset, images, config.batch_size, config.seed)
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
    """A trial's path, projected on the plane of its two principal components."""

    table: pd.DataFrame
    """One row a state, as `trajectory` describes."""
    explained_variance: tuple[float, float]
    """Shares, from 0 to 1, of the states' variance along pc1 and along pc2."""
    plane: Plane
    """The plane through the final network, x = pc1 and y = pc2."""

    def contours(self, resolution: int = 25, images: int = 1000) -> pd.DataFrame:
        """`Plane.losses` on `resolution` x `resolution` points that cover the path and a margin."""
        ends = [(self.table[pc].min(), self.table[pc].max()) for pc in ("pc1", "pc2")]
        xs, ys = (_ticks((a + b) / 2, 0.7 * (b - a), resolution) for a, b in ends)
        return self.plane.losses(xs, ys, images)


def trajectory(folder: str | Path) -> Trajectory:
    """The path of the trial in `folder` on its two principal components (AutoGrow, Figures 2, 3).

    Each state is embedded in the final network by the names of its parameters; parameters that it
    does not have yet are zero. This is exact for growth at the end of sub-networks. With placement
    "between" or initializer "clone" blocks move to other names, and each move is a jump in the
    path.

    The table has one row a state. Columns: epoch; phase, architecture (of the saved network), grew
    (whether the architecture differs from that in the row before), pc1, pc2, train_loss (nats) and
    val_accuracy (percent). A state that is saved when the network grows already has the new
    parameters. pc1 and pc2 are the components of the difference from the final state, which is at
    (0, 0), in the Euclidean norm of the parameters. As in Li et al.'s program, they are the
    principal components of the centred differences.

    Uses 8 bytes of memory for each parameter of each state. Raises InputError for fewer than three
    states or a diverged trial.
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
    """The first two components [2, n] of `points` [m, n], and their shares [2] of the variance.

    They equal scikit-learn's PCA, signs included, but take a third of its memory and avoid the
    rounding error of its float32 SVD.
    """
    centred = points - points.mean(axis=0)
    parts = np.array_split(centred, max(1, centred.shape[1] // 100_000), axis=1)
    # sums of float32 products would move the components by more than their own rounding
    gram = sum(part.astype(float) @ part.astype(float).T for part in parts)
    variances, mixtures = np.linalg.eigh(gram)
    top = variances[[-1, -2]]
    components = (mixtures[:, [-1, -2]] / np.sqrt(top)).T.astype(np.float32) @ centred
    largest = components[[0, 1], np.abs(components).argmax(axis=1)]
    return components * np.sign(largest)[:, None], top / variances.sum()


def loss_surface(
    folder: str | Path, resolution: int = 11, extent: float = 1, images: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """`Plane.losses` around the final network of the trial in `folder` (AutoGrow, Figure 5).

    The grid has `resolution` values from -extent to extent along each of two directions. The
    directions are Gaussian, drawn from `seed`, and filter-normalized (Li et al. 2018, section 4),
    so that networks are comparable: each filter of a convolution and each row of the linear layer
    has the norm of the network's own. Biases and batch normalizations do not change. Raises
    InputError if there is no state, the trial diverged, extent is not above 0, resolution is below
    3, or images is below 2.
    """
    if not extent > 0:
        raise InputError(f"extent={extent:g} must be above 0; 1 is the norm of each filter")
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
    """A class-balanced subset of the training images, shuffled, in batches of nearly equal size."""
    device, n = dataset.train.labels.device, min(images, len(dataset.train))
    dataset = dataset.to(torch.device("cpu")).subset(n, seed).to(device)
    order = torch.randperm(n, generator=generator(seed, 0, "order of a landscape's images"))
    parts = order.to(device).tensor_split(max(n // batch_size, 1))
    return [next(dataset.evaluation_batches(dataset.train[part], len(part))) for part in parts]


def _states(folder: str | Path, least: int = 1) -> list[Path]:
    paths = saved_files(Path(folder, STATES_FOLDER))
    if len(paths) < least:
        raise InputError(
            f"{str(folder)!r} has {len(paths)} saved states but needs at least {least}; run "
            "growsearch train --save-every N with a smaller N"
        )
    return paths


def _read(path: Path) -> tuple[Parameters, tuple[TrialConfig, History, dict[str, Any]]]:
    config, history, contents = read_state(path)
    parameters = {n: p for n, p in contents["network"].items() if not n.endswith(_STATISTICS)}
    if not all(p.isfinite().all() for p in parameters.values()):
        raise InputError(f"the trial of {str(path)!r} diverged; train with a smaller --lr")
    return parameters, (config, history, contents)


def _by_name(flat: Tensor, final: Parameters) -> Parameters:
    """Views of the vector `flat`, one for each parameter of the final network, in its shape."""
    parts = flat.split([parameter.numel() for parameter in final.values()])
    return {name: part.view(final[name].shape) for name, part in zip(final, parts, strict=True)}


def _ticks(middle: float, half: float, resolution: int) -> list[float]:
    """Evenly spaced values; if their number is odd, one of them is exactly `middle`."""
    if resolution < 3:
        raise InputError(f"resolution={resolution} is too few points for an axis; give 3 or more")
    return (middle + half * np.arange(1 - resolution, resolution, 2) / (resolution - 1)).tolist()

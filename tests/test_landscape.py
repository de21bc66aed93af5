"""AutoGrow's Figures 2, 3 and 5 for small trials."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import first_quick
from sklearn.decomposition import PCA
from torch.nn import functional as F

from growsearch.machine.saved import load_tensors, save_tensors
from growsearch.study import landscape
from growsearch.study.figures import loss_surface_figure, trajectory_figure
from growsearch.study.landscape import Plane, loss_surface, trajectory
from growsearch.trainer import Trainer
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError

SMALL = {"train_size": 200, "epochs": 8, "lr": 0.1}
GROWN_AT_THE_END = TrialConfig(
    policy="periodic", interval=2, patience=4, finetune_epochs=3, max_architecture="2-2-1", **SMALL
)
CLONED = TrialConfig(policy="fixed", growth_epochs=2, **SMALL | {"epochs": 4})


def train(config: TrialConfig, folder: Path) -> Path:
    (folder / "states").mkdir()
    trainer = Trainer(config)
    for record in trainer:
        trainer.save(folder / "states" / f"{record.epoch:05d}.safetensors")
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return train(GROWN_AT_THE_END, tmp_path_factory.mktemp("grown"))


@pytest.fixture(scope="module")
def path(folder):
    return trajectory(folder)


@pytest.fixture(scope="module")
def cloned(tmp_path_factory) -> Path:
    return train(CLONED, tmp_path_factory.mktemp("cloned"))


def states(folder: Path) -> list[Path]:
    return sorted((folder / "states").iterdir())


def copied(folder: Path, to: Path, count: int | None = None) -> Path:
    (to / "states").mkdir(parents=True)
    for state in states(folder)[-count if count else None :]:
        shutil.copy(state, to / "states")
    return to


def network_of(state: Path):
    return Trainer.load(state).state.network


def densely_embedded(folder: Path) -> np.ndarray:
    """The embedded states, shape [states, parameters], float64."""
    final = dict(network_of(states(folder)[-1]).named_parameters())
    rows = []
    for state in states(folder):
        own = dict(network_of(state).named_parameters())
        rows.append(flat({name: own.get(name, torch.zeros_like(p)) for name, p in final.items()}))
    return np.array(rows)


def flat(direction: dict[str, torch.Tensor]) -> np.ndarray:
    return torch.cat([step.detach().flatten() for step in direction.values()]).double().numpy()


def by_hand(state: Path, images: int, moves=lambda name: 0) -> float:
    """The training loss of one batch, computed with the network changed in place."""
    trainer = Trainer.load(state)
    network, dataset = trainer.state.network.train(), trainer.task.dataset.subset(images, seed=0)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter += moves(name)
        logits = network((dataset.train.images.float() / 16 - 0.3049) / 0.3758)
    return F.cross_entropy(logits, dataset.train.labels).item()


@pytest.mark.parametrize("trial", first_quick(["folder", "cloned"], 1))
def test_the_components_are_the_singular_vectors_of_the_centred_states(trial, request):
    folder = request.getfixturevalue(trial)
    path, rows = trajectory(folder), densely_embedded(folder)
    _, values, vectors = np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False)
    shares = tuple(values[:2] ** 2 / sum(values**2))
    assert path.explained_variance == pytest.approx(shares, abs=1e-6)
    pcs = path.table[["pc1", "pc2"]].to_numpy().T
    for direction, vector, pc in zip(path.plane.directions, vectors, pcs, strict=False):
        component = flat(direction)
        turned = vector * np.sign(component @ vector)
        np.testing.assert_allclose(component, turned, atol=1e-6)
        np.testing.assert_allclose(pc, (rows - rows[-1]) @ turned, atol=1e-4)


def test_the_components_are_scikit_learns_signs_included(folder, path):
    pca = PCA(2, svd_solver="full").fit(densely_embedded(folder))
    assert path.explained_variance == pytest.approx(tuple(pca.explained_variance_ratio_), abs=1e-6)
    for direction, component in zip(path.plane.directions, pca.components_, strict=True):
        np.testing.assert_allclose(flat(direction), component, atol=1e-6)


def test_a_state_before_a_growth_has_zeros_where_parameters_are_new(folder, path):
    first, last = states(folder)[0], states(folder)[-1]
    old, final = (dict(network_of(state).named_parameters()) for state in (first, last))
    new = {name for name in final if name.startswith(("subnetworks.0.1.", "subnetworks.1.1."))}
    assert set(final) - set(old) == new != set()
    for direction, pc in zip(path.plane.directions, ("pc1", "pc2"), strict=True):
        kept = sum(((old[name] - final[name]) * direction[name]).sum().item() for name in old)
        gone = sum((-final[name] * direction[name]).sum().item() for name in new)
        assert path.table.loc[0, pc] == pytest.approx(kept + gone, abs=1e-3)


def test_directions_have_the_final_networks_parameters_and_no_statistics(folder, path):
    shapes = {n: p.shape for n, p in network_of(states(folder)[-1]).named_parameters()}
    for direction in path.plane.directions:
        assert {name: step.shape for name, step in direction.items()} == shapes


def test_a_row_is_a_state_as_it_was_saved(folder, path):
    table, history = path.table, Trainer.load(states(folder)[-1]).history
    assert table.columns.tolist() == [
        "epoch", "phase", "architecture", "grew", "pc1", "pc2", "train_loss", "val_accuracy"
    ]  # fmt: skip
    assert table["grew"].tolist() == [False, True, False, True] + [False] * 4
    assert table["architecture"].tolist() == ["1-1-1"] + ["2-1-1"] * 2 + ["2-2-1"] * 5
    for column in ("epoch", "phase", "train_loss", "val_accuracy"):
        assert table[column].tolist() == [getattr(record, column) for record in history]
    assert table.loc[7, ["pc1", "pc2"]].tolist() == [0, 0]


def test_a_growth_between_two_saved_states_is_marked_at_the_later_one(folder, tmp_path):
    copied(folder, tmp_path / "some")
    for epoch in (1, 2, 4, 6, 7):
        (tmp_path / "some" / "states" / f"{epoch:05d}.safetensors").unlink()
    table = trajectory(tmp_path / "some").table
    assert table["epoch"].tolist() == [3, 5, 8]
    assert table["grew"].tolist() == [True, True, False]


def test_the_loss_at_the_origin_is_that_of_the_final_network(folder, path):
    final = states(folder)[-1]
    surface = loss_surface(folder, resolution=3)
    origin = surface[(surface["x"] == 0) & (surface["y"] == 0)]["loss"].item()
    assert origin == pytest.approx(by_hand(final, 200), rel=1e-5)
    assert path.plane.losses([0], [0])["loss"].item() == pytest.approx(origin, abs=0)
    few = path.plane.losses([0], [0], images=20)["loss"].item()
    assert few == pytest.approx(by_hand(final, 20), rel=1e-5)
    assert few != origin


def test_the_loss_elsewhere_is_that_of_the_moved_network(path):
    first, second = path.plane.directions
    table = path.plane.losses([0.0, 1.5], [-0.5, 0.0])
    assert table[["x", "y"]].to_numpy().tolist() == [[0, -0.5], [1.5, -0.5], [0, 0], [1.5, 0]]
    expected = by_hand(path.plane.state, 200, lambda n: 1.5 * first[n] - 0.5 * second[n])
    assert table["loss"][1] == pytest.approx(expected, rel=1e-4)
    assert abs(expected - table["loss"][2]) > 1e-3


def test_the_whole_network_moves_back_to_a_state_on_its_plane(folder, path):
    """theta + (theta_t - theta) is the saved network, so the plane must give its loss."""
    earlier, last = states(folder)[-2:]
    new, old = (dict(network_of(state).named_parameters()) for state in (earlier, last))
    back = {name: (new[name] - old[name]).detach() for name in old}
    loss = Plane(last, (back, back)).losses([1], [0])["loss"].item()
    assert loss == pytest.approx(by_hand(earlier, 200), rel=1e-4)


def test_running_statistics_are_not_read(folder, tmp_path):
    state = states(copied(folder, tmp_path / "other"))[-1]
    saved = load_tensors(state)
    for name, tensor in saved["network"].items():
        if "running" in name:
            tensor.fill_(1e3)
    save_tensors(saved, state)
    assert loss_surface(tmp_path / "other", 3).equals(loss_surface(folder, 3))


def test_filters_of_the_directions_are_as_long_as_the_networks(folder, monkeypatch):
    planes = []
    monkeypatch.setattr(Plane, "losses", lambda plane, *_: planes.append(plane))
    loss_surface(folder)
    first, second = planes[0].directions
    for name, parameter in network_of(planes[0].state).named_parameters():
        for step in (first[name], second[name]):
            if parameter.ndim == 1:
                assert not step.any()
            for row, own in zip(step, parameter, strict=True) if parameter.ndim > 1 else ():
                assert row.norm().item() == pytest.approx(own.norm().item(), rel=1e-5)
        assert parameter.ndim == 1 or not torch.allclose(first[name], second[name])


def test_equal_seeds_give_equal_surfaces_and_leave_everything_as_it_was(folder):
    contents = [state.read_bytes() for state in states(folder)]
    random = torch.get_rng_state()
    surface = loss_surface(folder, 3, extent=0.5)
    torch.rand(7)
    assert loss_surface(folder, 3, extent=0.5).equals(surface)
    other = loss_surface(folder, 3, extent=0.5, seed=1)
    assert (other["loss"] != surface["loss"]).sum() == 8  # all points but the origin
    assert sorted(set(surface["x"])) == sorted(set(surface["y"])) == [-0.5, 0, 0.5]
    assert [state.read_bytes() for state in states(folder)] == contents
    torch.set_rng_state(random)
    assert loss_surface(folder, 3, extent=0.5).equals(surface)
    assert torch.equal(torch.get_rng_state(), random)


def test_batches_are_not_smaller_than_in_training(tmp_path, monkeypatch):
    """200 images and a batch size of 64 give three batches of nearly equal size."""
    folder = train(TrialConfig(policy="none", batch_size=64, **SMALL | {"epochs": 1}), tmp_path)
    sizes, call = [], landscape.functional_call

    def spy(network, moved, inputs):
        sizes.append(len(inputs[0]))
        return call(network, moved, inputs)

    monkeypatch.setattr(landscape, "functional_call", spy)
    loss_surface(folder, 3)
    assert sizes == [67, 67, 66] * 9


def test_contours_reach_around_the_path(path):
    contours = path.contours(resolution=3, images=20)
    for axis, pc in (("x", "pc1"), ("y", "pc2")):
        low, high = path.table[pc].min(), path.table[pc].max()
        margin = 0.2 * (high - low)
        expected = [low - margin, (low + high) / 2, high + margin]
        assert sorted(set(contours[axis])) == pytest.approx(expected)


def test_what_cannot_be_drawn_is_an_error_with_the_remedy(folder, tmp_path, path):
    for look in (trajectory, loss_surface):
        with pytest.raises(InputError, match=r"has 0 saved states.*train --save-every N"):
            look(tmp_path)
    with pytest.raises(InputError, match=r"has 2 saved states.* at least 3.*a smaller N"):
        trajectory(copied(folder, tmp_path / "two", 2))
    with pytest.raises(InputError, match=r"resolution=2 .* give 3 or more"):
        loss_surface(folder, resolution=2)
    with pytest.raises(InputError, match=r"resolution=1 .* give 3 or more"):
        path.contours(resolution=1)
    for extent in (0, -1, float("nan")):
        with pytest.raises(InputError, match=rf"extent={extent:g} must be above 0"):
            loss_surface(folder, extent=extent)
    with pytest.raises(InputError, match=r"images=1 .* give 2 or more"):
        loss_surface(folder, images=1)


def test_a_diverged_trial_is_an_error(folder, tmp_path):
    state = states(copied(folder, tmp_path / "diverged"))[-1]
    saved = load_tensors(state)
    saved["network"]["classifier.bias"][0] = float("nan")
    save_tensors(saved, state)
    for look in (trajectory, loss_surface):
        with pytest.raises(InputError, match=r"the trial of .*00008\.safetensors' diverged"):
            look(tmp_path / "diverged")


def test_the_trajectory_figure_shows_the_path_and_its_growths(path):
    figure = trajectory_figure(path, path.contours(3, images=20), "digits")
    axes, bar = figure.axes
    points = path.table[["pc1", "pc2"]].to_numpy().tolist()
    assert axes.lines[0].get_xydata().tolist() == points
    drawn = {c.get_label(): c.get_offsets().tolist() for c in axes.collections}
    assert drawn["saved state"] == points
    assert drawn["has grown"] == [points[1], points[3]]
    assert drawn["final network"] == [[0, 0]]
    share1, share2 = (f"({100 * share:.1f} % of variance)" for share in path.explained_variance)
    assert share1 in axes.get_xlabel()
    assert share2 in axes.get_ylabel()
    assert bar.get_ylabel() == "training loss"
    figure.canvas.draw()


def test_surfaces_are_shown_on_one_scale(folder):
    near, far = loss_surface(folder, 3, extent=0.1), loss_surface(folder, 5, extent=1)
    far.loc[0, "loss"] = float("inf")
    figure = loss_surface_figure({"near": near, "far": far})
    *panels, _ = figure.axes
    assert [axes.get_title(loc="left") for axes in panels] == ["near", "far"]
    levels = [axes.collections[0].levels for axes in panels]
    assert levels[0].tolist() == levels[1].tolist()
    finite = far["loss"][1:]
    assert levels[0][0] <= min(near["loss"].min(), finite.min())
    assert levels[0][-1] >= max(near["loss"].max(), finite.max())
    figure.canvas.draw()

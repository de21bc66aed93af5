import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from growsearch.architecture import Architecture
from growsearch.config import TrialConfig
from growsearch.errors import InputError
from growsearch.initializers import clone, clone_sources
from growsearch.networks import build_network
from growsearch.trainer import Trainer


def test_doubling_puts_a_clone_beside_every_block_but_the_first(paper):
    for blocks, expected in paper["clone_sources"].items():
        if blocks != "source":
            assert clone_sources(int(blocks), 2 * int(blocks)) == expected


@given(st.integers(2, 40), st.integers(0, 80))
def test_any_growth_clones_the_nearest_block_in_order(n, more):
    n_grown = n + more
    sources = clone_sources(n, n_grown)
    assert sources[0] == 0
    assert sources == sorted(sources)
    assert set(sources) == set(range(n))
    for i, source in enumerate(sources[1:], start=1):
        distances = {j: abs(j * n_grown - i * n) for j in range(1, n)}
        assert distances[source] == min(distances.values())
    if more == 0:
        assert sources == list(range(n))


def test_a_lone_block_is_an_error_that_names_the_smallest_seed():
    with pytest.raises(InputError, match=r"1 block .* at least 2"):
        clone_sources(1, 2)


@pytest.fixture(scope="module")
def trained():
    """A network of real weights and running statistics, and images of its data set."""
    trainer = Trainer(TrialConfig(policy="none", architecture="2-3-2", epochs=3, lr=0.1))
    list(trainer)
    images = next(trainer.dataset.evaluation_batches(trainer.dataset.val, 300)).images
    return trainer.state.network, images


def grown_network(network, architecture):
    seed = network.architecture
    return build_network("basic3resnet", architecture, (1, 8, 8), 10, seed=9, grown_from=seed)


def explicit_step_size(network, grown_architecture):
    """The reference: copied blocks, unscaled, whose residuals are multiplied by N/N+."""
    depths = zip(network.architecture.blocks, grown_architecture.blocks, strict=True)
    reference = copy.deepcopy(network)
    for i, (n, n_grown) in enumerate(depths):
        blocks = network.blocks[i]
        sources = [max(round(j * n / n_grown - 1e-9), min(j, 1)) for j in range(n_grown)]
        copies = [copy.deepcopy(blocks[min(source, n - 1)]) for source in sources]
        for block in copies:
            block.bn2.register_forward_hook(lambda _, __, out, s=n / n_grown: out * s)
        reference.subnetworks[i] = torch.nn.Sequential(*copies)
    return reference


@pytest.mark.parametrize("grown", ["4-6-4", "8-12-8", "5-4-3", "2-3-4"])
@pytest.mark.parametrize("training", [True, False])
@torch.no_grad()
def test_cloning_is_the_explicit_step_size_in_training_and_evaluation(trained, grown, training):
    network, images = trained
    architecture = Architecture(grown)
    cloned = grown_network(network, architecture)
    clone(network, cloned)
    reference = explicit_step_size(network, architecture)
    expected = reference.train(training)(images)
    actual = cloned.train(training)(images)
    assert (actual - expected).norm() <= 1e-5 * expected.norm()


@torch.no_grad()
def test_evaluation_would_not_agree_with_stale_running_statistics(trained):
    """What the rescaling is for: without it the tolerance above is missed by far."""
    network, images = trained
    architecture = Architecture("4-6-4")
    cloned = grown_network(network, architecture)
    clone(network, cloned)
    for blocks, old in zip(cloned.blocks, network.blocks, strict=True):
        for block, source in zip(blocks, clone_sources(len(old), len(blocks)), strict=True):
            block.bn1.running_var.copy_(old[source].bn1.running_var)
    expected = explicit_step_size(network, architecture).eval()(images)
    actual = cloned.eval()(images)
    assert (actual - expected).norm() > 0.1 * expected.norm()


def test_stem_shortcuts_and_classifier_are_inherited_as_they_are(trained):
    network, _ = trained
    cloned = grown_network(network, Architecture("4-6-4"))
    clone(network, cloned)
    old, new = network.state_dict(), cloned.state_dict()
    kept = [n for n in old if n.startswith(("stem", "classifier")) or "shortcut" in n]
    assert len(kept) == 6 + 2 + 2 * 6
    for name in kept:
        assert torch.equal(old[name], new[name])


def test_every_clone_owns_its_storage(trained):
    network, _ = trained
    cloned = grown_network(network, Architecture("4-6-4"))
    clone(network, cloned)
    tensors = [*network.state_dict().values(), *cloned.state_dict().values()]
    assert len({tensor.data_ptr() for tensor in tensors}) == len(tensors)

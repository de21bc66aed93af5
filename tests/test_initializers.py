import copy

import pytest
import torch
from conftest import first_quick
from hypothesis import given
from hypothesis import strategies as st

from growsearch.growth import inherit
from growsearch.growth.initializers.clone import clone_sources
from growsearch.growth.new_blocks import kept_sources
from growsearch.tasks.images.blocks import BasicBlock, StepSize
from growsearch.tasks.images.networks import build_network
from growsearch.trainer import Trainer
from growsearch.trial.architecture import Architecture
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError


def initialize(old, grown, config, epoch):
    sources = inherit.block_sources(old.architecture, grown.architecture, config)
    names = inherit.OldNames(sources, config.task.stacks, old, grown)
    inherit.initialize(old, grown, sources, names, old.architecture, config, epoch)


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


@given(st.integers(1, 40), st.integers(0, 80))
def test_where_blocks_are_alike_the_first_one_is_cloned_like_the_others(n, more):
    n_grown = n + more
    for i, source in enumerate(clone_sources(n, n_grown, alike=True)):
        distances = [abs(j * n_grown - i * n) for j in range(n)]
        assert source == distances.index(min(distances))  # the earlier of two


def test_no_block_can_be_cloned_from():
    with pytest.raises(InputError, match="0 blocks cannot grow by cloning"):
        clone_sources(0, 2, alike=True)


def test_the_first_block_of_images_is_not_cloned_by_request():
    assert TrialConfig(first_block="kept") == TrialConfig(initializer="clone")
    with pytest.raises(InputError, match="first_block 'cloned' needs first blocks of the shape"):
        TrialConfig(first_block="cloned")


def test_a_lone_block_is_an_error_that_names_the_smallest_seed():
    with pytest.raises(InputError, match=r"1 block .* at least 2"):
        clone_sources(1, 2)


def test_copies_of_a_lone_block_are_refused_before_the_trial():
    """The first block of a sub-network of images may change the shape; those of tasks are alike."""
    for options in ({"policy": "periodic"}, {"policy": "hand-tuned", "architecture": "2-1-2"}):
        with pytest.raises(InputError, match=r"1 block .* by copies.* at least 2"):
            TrialConfig(**options, initializer="copy")
    assert TrialConfig(architecture="2-2-2", policy="periodic", initializer="copy").policy.grows


@pytest.fixture(scope="module", params=["basic3resnet", "preact3resnet"])
def trained(request):
    """A trained network with its running statistics, and images of its data set."""
    config = TrialConfig(
        policy="none", network=request.param, architecture="2-3-2", epochs=3, lr=0.1
    )  # fmt: skip
    trainer = Trainer(config)
    list(trainer)
    images = next(trainer.task.dataset.evaluation_batches(trainer.task.dataset.val, 300)).images
    return trainer.state.network, images


def grown_network(network, architecture, initializer="clone", scaling="paper", placement=None):
    steps = []
    for n, n_grown in zip(network.architecture.blocks, architecture.blocks, strict=True):
        implicit = n / n_grown if scaling == "paper" else 1.0
        steps.append(StepSize(implicit, n / n_grown if scaling == "step-size" else 1.0))
    family = "basic3resnet" if isinstance(network.blocks[0][0], BasicBlock) else "preact3resnet"
    grown = build_network(family, architecture, (1, 8, 8), 10, seed=9, steps=steps)
    grown = grown.to(memory_format=torch.channels_last)
    config = TrialConfig(
        network=family, policy="fixed", growth_epochs=1, architecture="2-2-2",
        initializer=initializer, scaling=scaling, placement=placement,
    )  # fmt: skip
    initialize(network, grown, config, epoch=3)
    return grown


def explicit_step_size(network, grown_architecture):
    """The reference network: blocks are copied unscaled, and residuals are multiplied by N/N+."""
    depths = zip(network.architecture.blocks, grown_architecture.blocks, strict=True)
    reference = copy.deepcopy(network)
    for i, (n, n_grown) in enumerate(depths):
        blocks = network.blocks[i]
        sources = [max(round(j * n / n_grown - 1e-9), min(j, 1)) for j in range(n_grown)]
        copies = [copy.deepcopy(blocks[min(source, n - 1)]) for source in sources]
        for block in copies:
            last = block.bn2 if isinstance(block, BasicBlock) else block.conv2
            last.register_forward_hook(lambda _, __, out, s=n / n_grown: out * s)
        reference.subnetworks[i] = torch.nn.Sequential(*copies)
    return reference


@pytest.mark.parametrize("scaling", ["paper", "step-size"])
@pytest.mark.parametrize("grown", first_quick(["4-6-4", "5-4-3", "8-12-8", "2-3-4"], 1))
@pytest.mark.parametrize("training", [True, False])
@torch.no_grad()
def test_cloning_is_the_explicit_step_size_in_training_and_evaluation(
    trained, grown, training, scaling
):
    network, images = trained
    architecture = Architecture(grown)
    cloned = grown_network(network, architecture, scaling=scaling)
    reference = explicit_step_size(network, architecture)
    expected = reference.train(training)(images)
    actual = cloned.train(training)(images)
    assert (actual - expected).norm() <= 1e-5 * expected.norm()


@torch.no_grad()
def test_the_papers_literal_scaling_keeps_the_training_mode_alone(trained):
    """It leaves running statistics stale; the rescaling corrects them."""
    network, images = trained
    if not isinstance(network.blocks[0][0], BasicBlock):
        return  # scaling a last convolution leaves no stale statistics
    architecture = Architecture("4-6-4")
    literal = grown_network(network, architecture, scaling="paper-literal")
    reference = explicit_step_size(network, architecture)
    expected = reference.train()(images)
    assert (literal.train()(images) - expected).norm() < 1e-3 * expected.norm()
    literal = grown_network(network, architecture, scaling="paper-literal")
    expected = explicit_step_size(network, architecture).eval()(images)
    assert (literal.eval()(images) - expected).norm() > 0.3 * expected.norm()


def test_new_blocks_stand_behind_the_old_ones():
    assert kept_sources(3, 6, "between") == {0: 0, 2: 1, 4: 2}
    assert kept_sources(1, 2, "between") == {0: 0}
    assert kept_sources(2, 5, "between") == {0: 0, 3: 1}


@given(st.integers(1, 40), st.integers(0, 80))
def test_every_old_block_is_kept_once_and_in_order(n, more):
    kept = kept_sources(n, n + more, "between")
    assert list(kept.values()) == list(range(n))
    assert list(kept) == sorted(set(kept))
    assert max(kept) < n + more
    assert 0 in kept


@torch.no_grad()
def test_zero_keeps_the_function_and_the_old_blocks(trained):
    """The function is exactly equal in evaluation and, on the same batch, close in training."""
    network, images = trained
    for grown in ("4-6-4", "3-5-2"):
        zero = grown_network(network, Architecture(grown), "zero", None)
        assert torch.equal(zero.eval()(images), network.eval()(images))
        expected = copy.deepcopy(network).train()(images)
        assert torch.allclose(zero.train()(images), expected, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_default_changes_the_function_and_keeps_the_old_blocks(trained):
    network, images = trained
    random = grown_network(network, Architecture("4-6-4"), "default", None)
    assert not torch.allclose(random.eval()(images), network.eval()(images), rtol=0.1)
    for i, blocks in enumerate(network.blocks):
        for j, block in enumerate(blocks):
            kept, new = random.blocks[i][2 * j], random.blocks[i][2 * j + 1]
            assert torch.equal(kept.conv1.weight, block.conv1.weight)
            spread = new.conv1.weight.std().item()
            assert spread == pytest.approx((2 / (9 * new.conv1.out_channels)) ** 0.5, rel=0.1)


@pytest.mark.parametrize(
    ("initializer", "mean", "deviation", "low", "high"),
    [
        ("gaussian", 0, 1, -9, 9),
        ("uniform", 0, 1, -(3**0.5), 3**0.5),
        ("uniform-official", 0.5, 12**-0.5, 0, 1),
    ],
)
def test_random_normalizations_have_autogrows_distribution(initializer, mean, deviation, low, high):
    """The last normalization's scale and shift have a standard deviation of 1 (section 2.2)."""
    network = build_network("basic4resnet", Architecture("1-1-1-1"), (1, 8, 8), 10, seed=1)
    config = TrialConfig(network="basic4resnet", policy="periodic", initializer=initializer)
    deeper = Architecture("1-1-1-8")
    grown = build_network("basic4resnet", deeper, (1, 8, 8), 10, seed=2)
    as_built = copy.deepcopy(grown)
    initialize(network, grown, config, epoch=3)
    new = grown.blocks[3][1:]
    for kind in ("weight", "bias"):
        drawn = torch.cat([getattr(block.bn2, kind).detach() for block in new])
        assert low <= drawn.min() and drawn.max() <= high
        assert drawn.mean().item() == pytest.approx(mean, abs=0.06)
        assert drawn.std().item() == pytest.approx(deviation, rel=0.04)
    weights = as_built.state_dict()
    for name, tensor in grown.state_dict().items():
        if name in network.state_dict():
            assert torch.equal(tensor, network.state_dict()[name])
        else:
            drawn_anew = name.endswith(("bn2.weight", "bn2.bias"))
            assert torch.equal(tensor, weights[name]) != drawn_anew
    other = build_network("basic4resnet", deeper, (1, 8, 8), 10, seed=2)
    initialize(network, other, config, epoch=3)
    assert torch.equal(other.blocks[3][5].bn2.bias, grown.blocks[3][5].bn2.bias)
    initialize(network, other, config, epoch=4)
    assert not torch.equal(other.blocks[3][5].bn2.bias, grown.blocks[3][5].bn2.bias)


def test_autogrow_appends_new_sub_modules_at_the_end():
    """New sub-modules are stacked on top of the sub-network (AutoGrow, algorithm 1)."""
    assert kept_sources(2, 5, "end") == {0: 0, 1: 1}
    network = build_network("plain3net", Architecture("2-1-3"), (1, 8, 8), 10, seed=1)
    grown = build_network("plain3net", Architecture("2-2-3"), (1, 8, 8), 10, seed=2)
    config = TrialConfig(network="plain3net", policy="periodic", initializer="gaussian")
    as_built = grown.blocks[1][1].state_dict()["conv1.weight"].clone()
    initialize(network, grown, config, epoch=3)
    old = network.state_dict()
    for name, tensor in grown.state_dict().items():
        if name.startswith("subnetworks.1.1."):
            assert name not in old
        else:
            assert torch.equal(tensor, old[name])
    new = grown.blocks[1][1]
    assert torch.equal(new.conv1.weight, as_built)
    assert new.bn1.weight.eq(1).all() and new.bn1.bias.eq(0).all()  # default initial values


def test_stem_shortcuts_and_classifier_are_inherited_as_they_are(trained):
    network, _ = trained
    cloned = grown_network(network, Architecture("4-6-4"))
    old, new = network.state_dict(), cloned.state_dict()
    kept = [n for n in old if not n.startswith("subnetworks") or "shortcut" in n]
    assert {n.split(".")[0] for n in kept} >= {"stem", "classifier", "subnetworks"}
    for name in kept:
        assert torch.equal(old[name], new[name])


def test_every_clone_owns_its_storage(trained):
    network, _ = trained
    cloned = grown_network(network, Architecture("4-6-4"))
    tensors = [*network.state_dict().values(), *cloned.state_dict().values()]
    assert len({tensor.data_ptr() for tensor in tensors}) == len(tensors)

import pytest
import torch

from growsearch.tasks.images.costs import count_macs
from growsearch.tasks.images.networks import build_network
from growsearch.tasks.scores import count_parameters
from growsearch.trial.architecture import Architecture
from growsearch.trial.components import components


def build(
    architecture="2-2-2", shape=(3, 32, 32), classes=10, seed=0, family="basic3resnet"
):  # fmt: skip
    return build_network(family, Architecture(architecture), shape, classes, seed)


def test_parameters_are_the_papers(paper):
    for classes, counts in paper["parameters_rgb"].items():
        if classes != "source":
            for architecture, expected in counts.items():
                assert count_parameters(build(architecture, classes=int(classes))) == expected


def test_parameters_of_the_other_families_are_the_papers(paper):
    for family, counts in paper["other_parameters_rgb"].items():
        if family != "source":
            for architecture in set(counts) - {"classes"}:
                network = build(architecture, classes=counts["classes"], family=family)
                assert count_parameters(network) == counts[architecture]


@pytest.mark.slow
def test_parameters_of_autogrows_families_are_the_seeds_and_their_increments(autogrow):
    for family in autogrow["parameters"]["families"]:
        increments = family["increments"]
        made = {"family": family["network"], "classes": family["classes"]}
        ones = [1] * len(increments)
        assert count_parameters(build(ones, **made)) == family["seed"]
        for i, increment in enumerate(increments):
            deeper = Architecture(ones).grown(i)
            assert count_parameters(build(deeper, **made)) == family["seed"] + increment
    for whole in autogrow["parameters"]["whole"]:
        network = build(whole["architecture"], family=whole["network"], classes=1000)
        assert count_parameters(network) == whole["parameters"]
    for family, less in autogrow["parameters"]["one channel less two"].items():
        seed = [1] * (3 if "3" in family else 4)
        colour, grey = (build(seed, (c, 32, 32), family=family) for c in (3, 1))
        assert count_parameters(colour) - count_parameters(grey) == less


def test_multiply_accumulates_are_autogrows(autogrow):
    for architecture, expected in autogrow["macs"].items():
        if architecture != "source":
            assert count_macs(build(architecture), (3, 32, 32)) == expected


def test_multiply_accumulates_are_those_that_torch_counts():
    """The reference is torch's FLOP counter: two FLOPs for each multiply-accumulate."""
    from torch.utils.flop_counter import FlopCounterMode

    for family, subnetworks in ((n, f.subnetworks) for n, f in components("network").items()):
        network = build([2] * subnetworks, family=family).eval()
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            network(torch.zeros(1, 3, 64, 64))
        assert 2 * count_macs(network, (3, 64, 64)) == counter.get_total_flops()


def test_a_plain_network_is_a_stack_of_convolutions_and_has_autogrows_number_of_layers():
    """Plain4Net-6-6-6-6 has 26 layers: stem, 24 convolutions, classifier (AutoGrow, table 7)."""
    network = build("6-6-6-6", family="plain4net").eval()
    layers = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d | torch.nn.Linear)]
    assert len(layers) == 26
    x = images = torch.randn(2, 3, 32, 32)
    for conv, bn in zip(layers[:-1], _normalizations(network), strict=True):
        x = torch.relu(bn(conv(x)))
    assert torch.allclose(network(images), layers[-1](x.mean((2, 3))), atol=1e-5)


def _normalizations(network):
    return [m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)]


def test_scales_of_normalizations_start_at_one_or_uniform_as_in_2019():
    shape = (3, 32, 32)
    one = build("2-2-2")
    assert all(torch.equal(bn.weight, torch.ones_like(bn.weight)) for bn in _normalizations(one))
    then = build_network("basic3resnet", Architecture("9-9-9"), shape, 10, 0, None, "uniform")
    scales = torch.cat([bn.weight.detach() for bn in _normalizations(then)])
    assert 0 <= scales.min() < 0.01 and 0.99 < scales.max() <= 1
    assert scales.mean().item() == pytest.approx(0.5, abs=0.03)
    assert scales.std().item() == pytest.approx(12**-0.5, abs=0.02)


@pytest.mark.parametrize(
    ("name", "family", "architecture", "atol"),
    [
        ("resnet18", "basic4resnet-imagenet", "2-2-2-2", 1e-5),
        ("resnet50", "bottleneck4resnet-imagenet", "3-4-6-3", 1e-4),
    ],
)
def test_the_imagenet_forms_are_torchvisions(name, family, architecture, atol):
    """torchvision's networks are the reference: equal weights give equal logits."""
    from torchvision import models

    ours = build(architecture, classes=7, family=family)
    theirs = getattr(models, name)(num_classes=7)
    weights = ours.state_dict()
    theirs.load_state_dict({name: weights[_our_name(name)] for name in theirs.state_dict()})
    assert len(weights) == len(theirs.state_dict())
    images = torch.randn(2, 3, 64, 64)
    for mode in (True, False):
        assert torch.allclose(ours.train(mode)(images), theirs.train(mode)(images), atol=atol)


def _our_name(name: str) -> str:
    for theirs, own in (("conv1.", "stem.0."), ("bn1.", "stem.1."), ("fc.", "classifier.")):
        if name.startswith(theirs):
            return own + name.removeprefix(theirs)
    for k in range(4):
        name = name.replace(f"layer{k + 1}.", f"subnetworks.{k}.")
    return name.replace("downsample.", "shortcut.")


def test_pre_activation_blocks_normalize_first_and_leave_the_stream_alone():
    """Blocks with zero weights pass their input on; only the strided shortcuts change it."""
    network = build("2-2-2", family="preact3resnet").eval()
    for blocks in network.blocks:
        for block in blocks:
            block.silence_residual()
    images = torch.randn(2, 3, 16, 16)
    x = network.stem(images)
    assert isinstance(network.stem, torch.nn.Conv2d)
    for first in (network.blocks[1][0], network.blocks[2][0]):
        assert isinstance(first.shortcut, torch.nn.Conv2d)
        x = first.shortcut(x)
    assert torch.equal(network.features(images), x)
    expected = network.classifier(torch.relu(network.head[0](x)).mean((2, 3)))
    assert torch.allclose(network(images), expected, atol=1e-6)


def test_each_further_block_adds_its_sub_networks_increment(paper):
    seed = paper["seed_parameters_rgb"]
    for blocks in ((1, 1, 1), (4, 1, 2), (1, 3, 5)):
        expected = seed["1-1-1"] + sum(
            step * (n - 1) for step, n in zip(seed["increments"], blocks, strict=True)
        )
        assert count_parameters(build(blocks)) == expected


def test_ppe_of_the_papers_schedules(paper):
    for schedule, expected in paper["ppe"].items():
        if schedule != "source":
            counts = [count_parameters(build(depth)) for depth in schedule.split()]
            epochs = [60, 50, 54] if len(counts) == 3 else [60, 104]
            total = sum(n * e for n, e in zip(counts, epochs, strict=True))
            assert total / 164 == pytest.approx(expected, abs=5e-4)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32), (1, 28, 28), (2, 7, 11)])
def test_any_image_size_and_number_of_channels_gives_logits(shape):
    network = build("1-2-3", shape, classes=7)
    assert network(torch.randn(4, *shape)).shape == (4, 7)


def test_sub_networks_halve_the_image_and_only_their_first_block_may():
    network = build("2-3-2")
    x = network.stem(torch.randn(2, 3, 32, 32))
    sizes = []
    for block in (block for blocks in network.blocks for block in blocks):
        x = block(x)
        sizes.append(tuple(x.shape[1:]))
    assert sizes == [(16, 32, 32)] * 2 + [(32, 16, 16)] * 3 + [(64, 8, 8)] * 2
    strided = [m.stride for m in network.modules() if isinstance(m, torch.nn.Conv2d)]
    assert strided.count((2, 2)) == 4  # the convolution and the shortcut of two first blocks


def test_convolutions_start_with_he_normal_fan_out():
    network = build("3-3-3")
    conv = network.blocks[2][1].conv1
    assert conv.weight.std().item() == pytest.approx((2 / (9 * 64)) ** 0.5, rel=0.02)
    assert abs(conv.weight.mean().item()) < 1e-3


def test_weights_depend_on_the_seed_alone_and_leave_the_global_state():
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    one = build(seed=5)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(2)
    two, other = build(seed=5), build(seed=6)
    for name, weight in one.state_dict().items():
        assert torch.equal(weight, two.state_dict()[name])
    assert not torch.equal(one.classifier.weight, other.classifier.weight)

"""The task vision-transformer: its model, its data, its growth, and what it refuses."""

import math

import numpy as np
import pytest
import torch
from conftest import check_resumed_and_stored, first_quick, run, task_of
from torch import nn
from torch.nn import functional as F

from growsearch import Dataset, Study, Trainer, TrialConfig, load_network
from growsearch.tasks.images.vision_transformer import patches_of
from growsearch.training.growth import grow
from growsearch.training.state import TrainState
from growsearch.trial.architecture import Architecture
from growsearch.trial.errors import InputError

SMALL = {"task": "vision-transformer", "width": 16, "heads": 2, "patch": 2, "train_size": 60,
         "epochs": 4, "batch_size": 20, "lr_schedule": "constant",
         "precision": "float32"}  # fmt: skip


def config(**options) -> TrialConfig:
    return TrialConfig(**{**SMALL, **options})


def model_of(depth, **options):
    """The task, its model with weights of which no two are alike, and its validation images."""
    task = task_of(config(**options))
    torch.manual_seed(1)
    model = task.build(Architecture(depth)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.3)
    return task, model, next(iter(task.batches("val", 0, 0)))


# the model


def plain_encoder(block) -> nn.TransformerEncoderLayer:
    """torch's own layer with the weights of a block."""
    width, units = block.qkv.in_features, block.down.in_features
    layer = nn.TransformerEncoderLayer(
        width, block.heads, units, dropout=0, activation="gelu", batch_first=True, norm_first=True
    )
    copied = {
        "self_attn.in_proj_": block.qkv, "self_attn.out_proj.": block.proj, "linear1.": block.up,
        "linear2.": block.down, "norm1.": block.ln1, "norm2.": block.ln2,
    }  # fmt: skip
    state = {
        f"{name}{part}": getattr(module, part)
        for name, module in copied.items()
        for part in ("weight", "bias")
    }
    layer.load_state_dict(state)
    return layer.eval()


@torch.no_grad()
def plain_logits(model, images, patch, pooling):
    """The logits, by torch's own layers and a convolution for the patches."""
    width, channels = model.positions.shape[1], images.shape[1]
    kernel = model.embedding.weight.view(width, channels, patch, patch)
    x = F.conv2d(images, kernel, model.embedding.bias, stride=patch).flatten(2).mT
    if pooling == "token":
        x = torch.cat([model.token.view(1, 1, -1).repeat(len(x), 1, 1), x], dim=1)
    x = x + model.positions
    for block in model.blocks:
        x = plain_encoder(block)(x)
    x = F.layer_norm(x, (width,), model.ln.weight, model.ln.bias)
    pooled = x[:, 0] if pooling == "token" else x.mean(dim=1)
    return F.linear(pooled, model.head.weight, model.head.bias)


@pytest.mark.parametrize("pooling", ["mean", "token"])
@pytest.mark.parametrize("patch", [2, 4])
@pytest.mark.parametrize("depth", ["1", "3"])
def test_it_computes_what_torchs_own_layers_do(pooling, patch, depth):
    _, model, batch = model_of(depth, pooling=pooling, patch=patch, policy="none")
    expected = plain_logits(model, batch.images, patch, pooling)
    with torch.no_grad():
        torch.testing.assert_close(model(batch.images), expected, rtol=1e-4, atol=1e-4)


def test_without_blocks_it_classifies_the_mean_of_normalized_patches():
    _, model, batch = model_of("0", policy="none")
    expected = plain_logits(model, batch.images, 2, "mean")
    with torch.no_grad():
        torch.testing.assert_close(model(batch.images), expected, rtol=1e-4, atol=1e-4)


def test_patches_are_squares_of_the_image_in_the_order_of_reading():
    images = torch.arange(2 * 3 * 4 * 6).view(2, 3, 4, 6)
    found = patches_of(images, 2)
    assert found.shape == (2, 6, 12)
    places = [(row, column) for row in (0, 2) for column in (0, 2, 4)]
    for number, (row, column) in enumerate(places):
        square = images[:, :, row : row + 2, column : column + 2]
        assert torch.equal(found[:, number], square.flatten(1))


@pytest.mark.parametrize("pooling", ["mean", "token"])
def test_the_learned_token_and_positions_are_trained(pooling):
    trainer = Trainer(config(policy="none", architecture="1", pooling=pooling))
    before = {n: p.clone() for n, p in trainer.state.network.named_parameters()}
    assert ("token" in before) is (pooling == "token")
    next(trainer)
    for name, parameter in trainer.state.network.named_parameters():
        assert not torch.equal(parameter, before[name]), name


@pytest.mark.parametrize("pooling", ["mean", "token"])
@pytest.mark.parametrize("mlp", ["gelu", "swiglu"])
def test_a_plan_knows_the_size_that_records_have(pooling, mlp):
    trial = config(pooling=pooling, mlp=mlp, growth_epochs=2)
    for record in Trainer(trial):
        sizes = task_of(trial).size(Architecture(record.architecture))
        assert sizes == (record.parameters, record.macs)


def test_multiply_accumulates_are_those_of_the_formula():
    """Of matrices and attention: normalizations and activations are not counted."""
    patches, width, depth = 16, 16, 2
    block = patches * 12 * width**2 + 2 * patches**2 * width
    expected = patches * 4 * width + depth * block + 10 * width
    task = task_of(config(policy="none", architecture="2"))
    assert task.size(Architecture("2"))[1] == expected


def test_a_batch_trains_as_in_a_plain_loop():
    trainer = Trainer(config(policy="none", architecture="2"))
    task = trainer.task
    model = TrainState.initial(task).network
    matrices = [p for p in model.parameters() if p.dim() > 1]
    others = [p for p in model.parameters() if p.dim() <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.05}, {"params": others, "weight_decay": 0}],
        lr=trainer.config.lr, betas=(0.9, 0.999), fused=True,
    )  # fmt: skip
    for epoch in (1, 2):
        next(trainer)
        for batch in task.training_batches(epoch):
            optimizer.zero_grad()
            F.cross_entropy(model(batch.images), batch.labels).backward()
            optimizer.step()
    for mine, plain in zip(trainer.state.network.parameters(), model.parameters(), strict=True):
        assert torch.equal(mine, plain)


# the data


def test_it_trains_on_the_images_that_image_classification_has():
    options = {"train_size": 90, "seed": 3, "image_size": 12, "batch_size": 20}
    mine = task_of(config(**options))
    papers = task_of(TrialConfig(**options))
    assert mine.data_digest() == papers.data_digest()
    assert mine.load_key() == papers.load_key()
    batches = [list(task.training_batches(2)) for task in (mine, papers)]
    for one, other in zip(*batches, strict=True):
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.labels, other.labels)


def test_a_last_batch_of_one_image_is_trained_on():
    """Image classification refuses it, because of batch normalization."""
    trial = config(train_size=61, policy="none")
    assert math.isfinite(next(Trainer(trial)).train_loss)
    with pytest.raises(InputError, match="batch normalization needs two"):
        Trainer(TrialConfig(train_size=61, batch_size=20))


def test_data_sets_propose_their_patch_unless_it_is_given():
    proposed = {"digits": 4, "cifar10": 4, "fashion-mnist": 4, "tiny-imagenet": 8, "imagenet": 16}
    for dataset, patch in proposed.items():
        assert TrialConfig(task="vision-transformer", dataset=dataset).task.patch == patch
        assert config(dataset=dataset, patch=7).task.patch == 7


def test_arrays_in_colour_of_any_shape_are_learned():
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (80, 6, 9, 3), dtype=np.uint8)
    data = Dataset.from_arrays(images, np.arange(80) % 4, class_names=["a", "b", "c", "d"])
    trainer = Trainer(config(train_size=None, patch=3, growth_epochs=2), dataset=data)
    records = list(trainer)
    assert trainer.state.network.positions.shape == (2 * 3, 16)
    assert [record.example_tokens for record in records] == [6] * 4
    assert trainer.task.facts()["class_names"] == ("a", "b", "c", "d")


def test_it_learns_the_digits():
    trial = TrialConfig(task="vision-transformer", epochs=12, growth_epochs=(4, 8), train_size=600,
                        policy="fixed", precision="float32")  # fmt: skip
    records = list(Trainer(trial))
    assert records[-1].val_accuracy > 60


# growth


def grown(seed, to, initializer, **options):
    """A trained state of `seed` blocks and what it grows to, with logits of both."""
    trial = config(architecture=seed, initializer=initializer, policy="fixed", growth_epochs=2,
                   growth_architectures=to, **options)  # fmt: skip
    trainer = Trainer(trial)
    next(trainer)
    old = trainer.state
    new = grow(old, Architecture(to), trainer.task, 1)
    images = next(iter(trainer.task.batches("val", 0, 0))).images
    with torch.no_grad():
        return old, new, old.network(images), new.network(images)


@pytest.mark.parametrize(
    ("seed", "to", "form"),
    [
        ("0", "1", {}), ("0", "3", {"mlp": "swiglu"}), ("1", "4", {"pooling": "token"}),
        ("2", "3", {"patch": 4}),
    ],
)  # fmt: skip
def test_zero_keeps_the_function_to_the_bit(seed, to, form):
    _, new, before, after = grown(seed, to, "zero", **form)
    assert len(new.network.blocks) == int(to)
    assert torch.equal(before, after)


def test_copies_and_clones_are_those_of_the_nearest_blocks():
    for initializer, scale in [("copy", 1), ("clone", 0.5)]:
        old, new, _, _ = grown("2", "4", initializer)
        for block, source in zip(new.network.blocks, (0, 0, 1, 1), strict=True):
            of = old.network.blocks[source]
            assert torch.equal(block.qkv.weight, of.qkv.weight)
            assert torch.equal(block.down.weight, scale * of.down.weight)


def test_lipgrows_trigger_reads_the_jacobians_of_its_blocks():
    trial = config(architecture="2", policy="lipschitz", window=1, rtol=1e-6, initializer="clone")
    records = list(Trainer(trial))
    assert all(record.lipschitz > 0 for record in records)
    assert records[-1].architecture != "2"


@pytest.mark.parametrize("initializer", ["default", "zero", "partial"])
def test_a_network_grows_from_no_block(initializer):
    trainer = Trainer(
        config(architecture="0", policy="fixed", initializer=initializer, growth_epochs=2)
    )
    records = [r for r in trainer if r.phase == "training"]
    assert [r.architecture for r in records] == ["0", "0", "1", "1"]
    assert all(math.isfinite(r.val_loss) for r in records)


@pytest.mark.parametrize(
    "options",
    first_quick(
        [
            {"architecture": "0", "initializer": "zero"},
            {"architecture": "1", "initializer": "copy", "pooling": "token", "mlp": "swiglu"},
            {"architecture": "2", "initializer": "clone", "scaling": "step-size"},
        ],
        1,
        slow=0,
    ),
    ids=str,
)
def test_a_trial_resumes_and_comes_from_a_store_to_the_same_bits(options, tmp_path):
    trial = config(policy="fixed", growth_epochs=2, **options)
    check_resumed_and_stored(trial, tmp_path)


# whole programs


def test_a_trained_network_is_exported_loaded_and_predicts(capsys, tmp_path):
    from PIL import Image

    study, file = tmp_path / "run", tmp_path / "model.safetensors"
    options = [f"--{name.replace('_', '-')}={value}" for name, value in SMALL.items()]
    code, _, err = run(
        capsys, "train", *options, "--policy", "fixed", "--growth-epochs", 2, "--out", study
    )
    assert (code, err) == (0, "")
    assert run(capsys, "best", study)[0] == 0
    assert run(capsys, "export", study, "--out", file)[0] == 0
    network = load_network(file)
    best = Study(study)
    task = task_of(best.config(best.trials["trial_id"][0]))
    correct = [
        (network(batch.images).argmax(dim=1) == batch.labels).float()
        for batch in task.batches("val", 0, 0)
    ]
    row = best.trials.iloc[0]
    epochs = best.epochs
    recorded = epochs[epochs["epoch"] == row["best_epoch"]]["val_accuracy"].iloc[0]
    assert 100 * torch.cat(correct).mean().item() == pytest.approx(recorded)
    pixels = (task.dataset.val.images[0, 0] * 15).byte()  # of 16 shades
    Image.fromarray(pixels.numpy()).save(tmp_path / "digit.png")
    code, out, err = run(capsys, "predict", file, tmp_path / "digit.png")
    assert (code, err) == (0, "")
    assert "digit.png" in out


def test_a_loss_surface_has_the_loss_of_the_trained_network_in_its_middle(capsys, tmp_path):
    from growsearch.study.landscape import loss_surface

    options = [f"--{name.replace('_', '-')}={value}" for name, value in SMALL.items()]
    assert run(capsys, "train", *options, "--save-every", 4, "--out", tmp_path / "run")[0] == 0
    trainer = Trainer.load(next((tmp_path / "run" / "states").glob("*4.safetensors")))
    dataset = trainer.task.dataset
    (batch,) = dataset.evaluation_batches(dataset.train, 60)
    with torch.no_grad():
        expected = F.cross_entropy(trainer.state.network(batch.images), batch.labels).item()
    surface = loss_surface(tmp_path / "run", extent=0.5, resolution=3)
    middle = surface[(surface["x"] == 0) & (surface["y"] == 0)]
    assert middle["loss"].item() == pytest.approx(expected, rel=1e-5)
    assert surface["loss"].nunique() == 9


@pytest.mark.long
def test_the_checks_of_a_task_hold(capsys):
    code, out, err = run(
        capsys, "check-task", "vision-transformer", "--width", 16, "--heads", 2, "--train-size",
        60,
    )  # fmt: skip
    assert code == 0, out + err
    assert "all 15 checks hold" in out


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.usefixtures("ray")
def test_a_search_trains_what_a_trial_alone_does(tmp_path):
    from growsearch.tuning.tuner import run_search

    space = tmp_path / "space.py"
    options = {**SMALL, "growth_epochs": [2], "policy": "fixed"}
    space.write_text(
        "from ray import tune\n"
        f"param_space = {options!r} | {{'architecture': tune.grid_search(['0', '1'])}}\n"
    )
    assert not run_search(space, tmp_path / "study").failures
    study = Study(tmp_path / "study")
    for trial in study.trials["trial_id"]:
        alone = list(Trainer(study.config(trial)))
        rows = study.epochs[study.epochs["trial_id"] == trial]
        assert list(rows["val_loss"]) == [record.val_loss for record in alone]
        assert list(rows["test_accuracy"]) == [record.test_accuracy for record in alone]


def test_the_built_in_search_space_draws_trials_that_can_be():
    from growsearch.tuning.search_space import draw_trials, load_spaces, usual_front

    spaces = load_spaces("vit_growth", {})
    assert usual_front(spaces) == {"costs": ("ppe",), "metric": "val_accuracy"}
    drawn = draw_trials(spaces, 24, seed=0)
    assert {trial.task.name for trial in drawn} == {"vision-transformer"}
    assert len([trial for trial in drawn if trial.policy.grows]) == 18
    assert {trial.architecture for trial in drawn if trial.policy.grows} == {"0", "1"}


def test_keys_of_image_trials_have_no_options_of_vision_transformers():
    """Stores that are older than the task still match."""
    from growsearch.epochs.keys import keyed
    from growsearch.tasks.builtin.vision_transformer import VisionTransformer
    from growsearch.tasks.images.image_data import ImageDataTask
    from growsearch.trial.options import Role

    found = keyed(TrialConfig(), *Role)
    own = VisionTransformer.options().keys() - ImageDataTask.options().keys()
    assert own == {"width", "heads", "patch", "pooling", "mlp"}
    assert not found.keys() & own


# what is refused


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"heads": 3}, "heads=3 does not divide width=16"),
        (
            {"patch": 3},
            "patch=3 does not divide images of 8x8 pixels; choose patch from 1, 2, 4, 8",
        ),
        ({"image_size": 9}, "patch=2 does not divide images of 9x9 pixels; .* from 1, 3, 9"),
        ({"patch": 16}, "patch=16 does not divide"),
        ({"patch": 0}, "patch must be at least 1"),
        ({"architecture": "1-1"}, "has 2 sub-networks, but task 'vision-transformer' has 1"),
        ({"architecture": "0", "pooling": "token"}, "no block by which the learned token sees"),
        ({"dataset": "bible"}, "'bible' has text, but task 'vision-transformer' learns images"),
        ({"network": "plain3net"}, "network='plain3net' belongs to a task that has a network"),
        ({"lipschitz": "layers"}, "has none"),
        ({"initializer": "uniform"}, "'uniform' needs last_normalization of a block"),
        ({"initializer": "copy", "architecture": "0"}, "there is no block to copy"),
        ({"train_size": 10_000}, "train_size must be at most"),
        ({"train_fraction": 0.5}, "both say how many images"),
    ],
)
def test_what_cannot_be_is_one_line(options, said):
    with pytest.raises(InputError, match=said) as caught:
        Trainer(config(**options))
    assert "\n" not in str(caught.value)


def test_a_patch_that_does_not_fit_is_refused_before_a_search_starts():
    with pytest.raises(InputError, match="patch=3 does not divide"):
        task_of(config(patch=3)).check()

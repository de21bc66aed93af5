"""Examples of tasks: models, data and losses of one's own, from outside of the package."""

import difflib
import math
from importlib.util import module_from_spec, spec_from_file_location

import pytest
import torch
from conftest import ROOT
from torch.nn import functional as F

from growsearch import Trainer, TrialConfig, load_plugins

EXAMPLES = ROOT / "examples"


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_bytes(b"In the beginning was the loop, and the loop was short. " * 400)
    return str(path)


def trained(example: str, **options) -> Trainer:
    load_plugins([str(EXAMPLES / example)])
    trainer = Trainer(TrialConfig(**options, precision="float32"))
    list(trainer)
    return trainer


@pytest.mark.parametrize(
    ("example", "task", "options"),
    [
        ("mlp.py", "rings", {}),
        ("own_script.py", "digits-mlp", {}),
        ("vit.py", "vit", {"hidden": 8}),
        ("gpt.py", "gpt", {"width": 16, "context": 16, "steps_an_epoch": 20}),
        pytest.param("llama.py", "llama", {"hidden": 16}, marks=pytest.mark.slow),
    ],
)
def test_an_example_grows_and_learns(example, task, options, text, tmp_path):
    data = {"data_dir": text} if task in ("gpt", "llama") else {}
    trainer = trained(
        example, task=task, architecture="1", epochs=4, growth_epochs=2, growth_architectures="3",
        **data, **options,
    )  # fmt: skip
    assert [record.architecture for record in trainer.history] == ["1", "1", "3", "3"]
    losses = [record.val_loss for record in trainer.history]
    assert all(map(math.isfinite, losses))
    assert min(losses[2:]) < losses[0]


@pytest.mark.slow
def test_the_layers_of_a_grown_llama_have_the_indices_of_their_places(text):
    transformers = pytest.importorskip("transformers")
    trainer = trained(
        "llama.py", task="llama", architecture="1", epochs=2, growth_epochs=1, hidden=16,
        growth_architectures="3", data_dir=text,
    )  # fmt: skip
    model = trainer.state.network
    assert isinstance(model, transformers.LlamaForCausalLM)
    assert [layer.self_attn.layer_idx for layer in model.model.layers] == [0, 1, 2]
    assert model.config.num_hidden_layers == 3


def test_a_script_that_became_a_task_trains_as_its_loop_did():
    """The loop of own_script_before.py, on the batches of own_script.py."""
    trainer = trained("own_script.py", task="digits-mlp", policy="none", epochs=2, seed=3)
    task = trainer.task
    spec = spec_from_file_location("own_script_before", EXAMPLES / "own_script_before.py")
    before = module_from_spec(spec)
    spec.loader.exec_module(before)
    model = before.Net(2, before.WIDTH)
    fresh = Trainer(trainer.config)
    model.load_state_dict(fresh.state.network.state_dict())
    optimizer = torch.optim.SGD(model.parameters(), lr=before.LR, momentum=0.9)
    for epoch, record in enumerate(trainer.history, start=1):
        optimizer.param_groups[0]["lr"] = record.lr
        model.train()
        for x, y in task.batches("train", 3, epoch):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
    for name, expected in model.state_dict().items():
        assert torch.equal(trainer.state.network.state_dict()[name], expected), name


def test_the_diff_of_the_script_is_what_diff_shows():
    before, after = "own_script_before.py", "own_script.py"
    lines = [(EXAMPLES / name).read_text().splitlines() for name in (before, after)]
    shown = difflib.unified_diff(*lines, before, after, lineterm="")
    assert (EXAMPLES / "own_script.diff").read_text().splitlines() == list(shown)


@pytest.mark.parametrize("example", ["mlp", "vit", "llama", "own_script", "gpt"])
def test_a_task_of_the_examples_takes_fewer_than_forty_lines(example):
    text = (EXAMPLES / f"{example}.py").read_text()
    assert len(text[text.index('@register("task"') :].splitlines()) <= 40

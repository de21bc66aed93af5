"""The task language: its text, its model, its growth from no block or one, and what it refuses."""

import math
import resource
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from conftest import check_resumed_and_stored, first_quick, run, task_of
from torch.nn import functional as F

from growsearch import Trainer, TrialConfig
from growsearch.tasks.language.source import TextSource
from growsearch.tasks.language.task import LanguageTask
from growsearch.tasks.language.text import windows
from growsearch.training.growth import grow
from growsearch.training.state import TrainState
from growsearch.trial.architecture import Architecture
from growsearch.trial.components import register
from growsearch.trial.errors import InputError

SENTENCE = "Größer wächst das Netz, Zeile für Zeile, zehn € je Schicht. "
SMALL = {"task": "language", "width": 16, "heads": 2, "context": 8, "steps_an_epoch": 4,
         "eval_windows": 6, "epochs": 4, "lr_schedule": "constant",
         "precision": "float32"}  # fmt: skip


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text("".join(f"{i}. {SENTENCE}" for i in range(60)), encoding="utf-8")
    return str(path)


def config(text, **options) -> TrialConfig:
    return TrialConfig(**{**SMALL, "data_dir": text, **options})


def text_of(part, characters) -> str:
    if characters is None:
        return bytes(part.tolist()).decode()
    return "".join(characters[i] for i in part.tolist())


# the text


@pytest.mark.parametrize("tokens", ["bytes", "characters"])
def test_the_parts_in_their_order_are_the_text(text, tokens):
    loaded = task_of(config(text, tokens=tokens)).loaded
    parts = [text_of(part, loaded.characters) for part in loaded.parts.values()]
    whole = Path(text).read_text(encoding="utf-8")
    assert "".join(parts) == whole
    shares = [len(part.encode()) / len(whole.encode()) for part in parts]
    assert shares == pytest.approx([0.9, 0.05, 0.05], abs=0.002)
    assert loaded.vocabulary == (256 if tokens == "bytes" else len(set(whole)))


def test_both_kinds_of_tokens_divide_the_text_at_the_same_places(text):
    one, other = (task_of(config(text, tokens=t)).loaded for t in ("bytes", "characters"))
    for split in ("train", "val", "test"):
        assert text_of(one.parts[split], None) == text_of(other.parts[split], other.characters)


def test_training_windows_are_pieces_of_the_training_text_alone(text):
    task = task_of(config(text))
    piece = task.loaded.parts["train"].tolist()
    places = {tuple(piece[i : i + 9]) for i in range(len(piece) - 8)}
    batches = list(task.batches("train", 0, 1))
    assert len(batches) == 4
    for tokens, following in batches:
        assert tokens.shape == following.shape == (12, 8)
        assert torch.equal(tokens[:, 1:], following[:, :-1])
        for row, last in zip(tokens.tolist(), following[:, -1].tolist(), strict=True):
            assert (*row, last) in places


def test_training_windows_come_from_seed_and_epoch(text):
    task = task_of(config(text))

    def first(seed, epoch):
        return next(iter(task.batches("train", seed, epoch)))[0]

    assert torch.equal(first(0, 1), first(0, 1))
    assert not torch.equal(first(0, 1), first(0, 2))
    assert not torch.equal(first(0, 1), first(1, 1))


def test_fixed_windows_predict_each_token_once():
    text = torch.arange(100)
    found = windows(text, 8, most=1000)
    assert torch.equal(found[:, 1:].flatten(), text[1:97])
    assert torch.equal(found[:, :-1] + 1, found[:, 1:])


def test_fewer_windows_are_spread_over_the_text():
    found = windows(torch.arange(1000), 9, most=10)
    assert found[:, 0].tolist() == [99 * k for k in range(10)]


# what is measured


@pytest.mark.parametrize("tokens", ["bytes", "characters"])
def test_bits_a_byte_are_those_of_the_evaluated_text(text, tokens):
    task = task_of(config(text, tokens=tokens, eval_windows=1000))
    torch.manual_seed(1)
    model = task.build(Architecture("1")).eval()
    part, size = task.loaded.parts["val"].long(), task.context
    nats, read = 0.0, []
    with torch.no_grad():
        for begin in range(0, len(part) - size, size):  # by hand, token by token
            window = part[begin : begin + size + 1]
            for i in range(size):
                logits = model(window[None, : i + 1])[0, -1].double()
                nats -= F.log_softmax(logits, dim=0)[window[i + 1]].item()
                read.append(window[i + 1].item())
        found = task.evaluate(model, "val")
    if tokens == "bytes":
        evaluated = len(read)
    else:
        evaluated = len("".join(task.loaded.characters[i] for i in read).encode())
        assert evaluated > len(read)  # some characters have several bytes
    assert found["loss"] == pytest.approx(nats / len(read), rel=1e-5)
    assert found["bits_per_byte"] == pytest.approx(nats / math.log(2) / evaluated, rel=1e-5)


def test_a_record_has_losses_bits_and_tokens_and_no_accuracy(text):
    record, *_ = Trainer(config(text, policy="none", architecture="1"))
    assert record.val_accuracy is None
    assert record.train_accuracy is None
    assert set(record.metrics) == {"val_bits_per_byte", "test_loss", "test_bits_per_byte"}
    assert record.metrics["val_bits_per_byte"] == pytest.approx(record.val_loss / math.log(2))
    assert record.example_tokens == 8


def test_tokens_are_a_cost_that_is_known_beforehand(text):
    from growsearch.stopping.cost import cost_of, cost_so_far
    from growsearch.stopping.cost_bounds import CostBound, sizes_of

    trial = config(text, growth_epochs=2)
    trainer = Trainer(trial)
    bound, bounds = CostBound(trainer.config, sizes_of(trainer.config)), []
    for record in trainer:
        bound.extend(record)
        bounds.append(bound.costs(["tokens"])[0])
    spent = cost_so_far(cost_of("tokens"), trainer.history)
    assert spent == pytest.approx([4 * 12 * 8 * epoch for epoch in (1, 2, 3, 4)])
    assert bounds == pytest.approx([4 * 4 * 12 * 8] * 4)


def test_a_batch_trains_as_in_a_plain_loop(text):
    trainer = Trainer(config(text, policy="none", architecture="2", lr=1e-2))
    task = trainer.task
    model = TrainState.initial(task).network
    matrices = [p for p in model.parameters() if p.dim() > 1]
    others = [p for p in model.parameters() if p.dim() <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0}],
        lr=1e-2, betas=(0.9, 0.99), fused=True,
    )  # fmt: skip
    for epoch in (1, 2):
        next(trainer)
        for tokens, following in task.batches("train", 0, epoch):
            optimizer.zero_grad()
            F.cross_entropy(model(tokens).flatten(0, 1), following.flatten()).backward()
            optimizer.step()
    for mine, plain in zip(trainer.state.network.parameters(), model.parameters(), strict=True):
        assert torch.equal(mine, plain)


def test_tied_embeddings_are_one_tensor_after_a_growth_too(text):
    trainer = Trainer(config(text, growth_epochs=2, embeddings="tied"))
    list(trainer)
    network = trainer.state.network
    assert network.head.weight is network.tokens.weight
    apart = Trainer(config(text, policy="none", architecture="2")).state.network
    counts = [sum(p.numel() for p in n.parameters()) for n in (network, apart)]
    assert counts[1] - counts[0] == 256 * 16


# growth


def grown(text, seed, to, initializer, **options):
    """A trained state of `seed` blocks and what it grows to, with a batch and logits of both."""
    trial = config(text, architecture=seed, initializer=initializer, growth_epochs=2,
                   growth_architectures=to, **options)  # fmt: skip
    trainer = Trainer(trial)
    next(trainer)
    old = trainer.state
    new = grow(old, Architecture(to), trainer.task, 1)
    tokens = next(iter(trainer.task.batches("val", 0, 0)))[0]
    with torch.no_grad():
        return old, new, old.network(tokens), new.network(tokens)


@pytest.mark.parametrize(("seed", "to"), [("0", "1"), ("0", "3"), ("1", "4"), ("2", "3")])
@pytest.mark.parametrize("form", [{}, {"positions": "rotary", "mlp": "swiglu"}], ids=str)
def test_zero_keeps_the_function_to_the_bit(text, seed, to, form):
    _, new, before, after = grown(text, seed, to, "zero", **form)
    assert len(new.network.blocks) == int(to)
    assert torch.equal(before, after)


@pytest.mark.parametrize("initializer", ["default", "zero", "partial"])
@pytest.mark.parametrize("seed", ["0", "1"])
def test_a_network_grows_from_no_block_and_from_one(text, initializer, seed):
    trainer = Trainer(config(text, architecture=seed, initializer=initializer, growth_epochs=2))
    records = list(trainer)
    assert [r.architecture for r in records if r.phase == "training"] == (
        ["0", "0", "1", "1"] if seed == "0" else ["1", "1", "2", "2"]
    )
    assert all(math.isfinite(r.val_loss) for r in records)
    assert records[-1].parameters > records[0].parameters


def test_growth_from_no_block_keeps_embeddings_head_and_their_optimizer_state(text):
    old, new, _, _ = grown(text, "0", "2", "default")
    for name in ("tokens.weight", "positions.weight", "head.weight", "ln.bias"):
        before, after = (dict(s.network.named_parameters())[name] for s in (old, new))
        assert torch.equal(before, after)
        mine = new.optimizer.state[after]
        assert torch.equal(mine["exp_avg"], old.optimizer.state[before]["exp_avg"])
    for parameter in new.network.blocks.parameters():
        assert parameter not in new.optimizer.state


def test_a_lone_block_is_cloned_where_blocks_are_alike(text):
    old, new, _, _ = grown(text, "1", "3", "clone")
    (source,) = old.network.blocks
    for block in new.network.blocks:
        assert torch.equal(block.qkv.weight, source.qkv.weight)
        torch.testing.assert_close(block.down.weight, source.down.weight / 3)
        torch.testing.assert_close(block.proj.bias, source.proj.bias / 3)


def test_cloning_clones_the_first_block_unless_it_is_to_be_kept(text):
    for options, expected in [({}, [0, 0, 1, 1]), ({"first_block": "kept"}, [0, 1, 1, 1])]:
        old, new, _, _ = grown(text, "2", "4", "clone", **options)
        for block, source in zip(new.network.blocks, expected, strict=True):
            assert torch.equal(block.up.weight, old.network.blocks[source].up.weight)


def test_an_explicit_step_size_is_a_factor_of_both_residuals_and_leaves_weights(text):
    """The reference computes each block as x + step * f(x); so does scaling the last layers."""
    old, new, _, logits = grown(text, "2", "4", "clone", scaling="step-size")
    _, scaled, _, expected = grown(text, "2", "4", "clone")
    torch.testing.assert_close(logits, expected)
    with torch.no_grad():
        x = torch.randn(2, 5, 16)
        for block, source in zip(new.network.blocks, (0, 0, 1, 1), strict=True):
            whole = old.network.blocks[source]
            for mine, inherited in zip(block.parameters(), whole.parameters(), strict=True):
                assert torch.equal(mine, inherited)
            middle = x + 0.5 * whole.attention(whole.ln1(x))
            stepped = middle + 0.5 * whole.mlp(whole.ln2(middle))
            torch.testing.assert_close(block(x), stepped)
    assert not torch.equal(scaled.network.blocks[0].down.weight, new.network.blocks[0].down.weight)


def test_step_sizes_of_two_growths_multiply_and_weights_know_them(text):
    two = {"growth_epochs": (1, 2), "growth_architectures": ("2", "4"), "architecture": "1"}
    trainer = Trainer(config(text, initializer="clone", scaling="step-size", **two))
    list(trainer)
    network = trainer.state.network
    assert [block.step.explicit for block in network.blocks] == [0.25] * 4
    other = Trainer(config(text, policy="none", architecture="4")).state.network
    with pytest.raises(RuntimeError, match="made for step sizes"):
        other.load_state_dict(network.state_dict())


@pytest.mark.parametrize(
    ("initializer", "said"),
    [
        ("copy", "a sub-network of 0 blocks cannot grow by copies: there is no block to copy"),
        ("clone", "architecture '0' cannot grow by cloning: there is no block to clone"),
    ],
)
def test_what_needs_a_block_is_refused_from_none_before_the_trial(text, initializer, said):
    with pytest.raises(InputError, match=said):
        config(text, architecture="0", initializer=initializer)
    config(text, architecture="1", initializer=initializer)


@pytest.mark.parametrize("seed", ["0", "1"])
def test_initializers_of_normalizations_are_refused_before_the_trial(text, seed):
    with pytest.raises(InputError, match="'uniform' needs last_normalization of a block"):
        config(text, architecture=seed, initializer="uniform")


def test_growing_from_none_by_default_goes_to_one_block_and_then_doubles(text):
    trial = config(text, architecture="0", policy="fixed", growth_epochs=(1, 2, 3))
    assert trial.policy.growth_architectures == ("1", "2", "4")


def test_blocks_that_are_not_there_yet_are_asked_before_the_trial(text, own_registry):
    """A task that does not tell what its blocks have; its seed network has none to ask."""

    @register("task", "untold")
    @dataclass(frozen=True, kw_only=True)
    class Untold(LanguageTask):
        """Language, of blocks that nothing is known of."""

        block_methods = None

    trial = config(text, task="untold", architecture="0", initializer="uniform")
    with pytest.raises(InputError, match="'uniform' needs last_normalization"):
        Trainer(trial)


# resuming, stores, other processes


@pytest.mark.parametrize(
    "options",
    first_quick(
        [
            {"architecture": "0", "initializer": "zero"},
            {"architecture": "1", "initializer": "copy", "positions": "rotary", "mlp": "swiglu"},
            {"architecture": "2", "initializer": "clone", "tokens": "characters"},
            {"architecture": "1", "initializer": "clone", "scaling": "step-size"},
        ],
        slow=0,
    ),
    ids=str,
)
def test_a_trial_resumes_and_comes_from_a_store_to_the_same_bits(text, options, tmp_path):
    trial = config(text, growth_epochs=2, **options)
    check_resumed_and_stored(trial, tmp_path)


def test_a_text_of_a_plugin_is_bytes_and_is_looked_at_when_a_trial_goes_on(own_registry):
    members = {"read": lambda self, data_dir: SENTENCE * 60}
    poem = register("dataset", "poem")(type("Poem", (TextSource,), members))
    trial = TrialConfig(**SMALL, dataset="poem")
    with pytest.raises(InputError, match="'poem' reads a str; return the text as bytes in UTF-8"):
        trial.task.loaded  # noqa: B018
    poem.read = lambda self, data_dir: (SENTENCE * 60).encode()
    poem.plugin = "0" * 64
    began = trial.task.own_data()
    trial.task.check_unchanged(began)
    with pytest.raises(InputError, match="changed since"):
        trial.task.check_unchanged(began | {"digest": "another"})


@pytest.mark.long
def test_the_checks_of_a_task_hold(text, capsys):
    code, out, err = run(
        capsys, "check-task", "language", "--data-dir", text, "--width", 16, "--context", 8,
        "--steps-an-epoch", 4, "--eval-windows", 6,
    )  # fmt: skip
    assert code == 0, out + err
    assert "failed" not in out


@pytest.mark.long
@pytest.mark.usefixtures("ray")
def test_a_search_compares_bits_a_byte_for_flops_and_trains_what_a_trial_alone_does(text, tmp_path):
    from growsearch import Study
    from growsearch.tuning.tuner import run_search

    space = tmp_path / "space.py"
    options = {**SMALL, "data_dir": text, "growth_epochs": [2], "policy": "fixed"}
    space.write_text(
        "from ray import tune\n"
        f"param_space = {options!r} | {{'architecture': tune.grid_search(['0', '1'])}}\n"
    )
    assert not run_search(space, tmp_path / "study").failures
    study = Study(tmp_path / "study")
    assert study.metric == "metric/val_bits_per_byte"
    assert study.info["settings"]["costs"] == ["flops"]
    front = study.front()
    assert list(front["train_flops"]) == sorted(front["train_flops"])
    for trial in study.trials["trial_id"]:
        alone = list(Trainer(study.config(trial)))
        rows = study.epochs[study.epochs["trial_id"] == trial]
        assert list(rows["val_loss"]) == [record.val_loss for record in alone]
        assert list(rows["cost/tokens"]) == [4 * 12 * 8 * epoch for epoch in (1, 2, 3, 4)]
        bits = [record.metrics["test_bits_per_byte"] for record in alone]
        assert list(rows["metric/test_bits_per_byte"]) == bits


def test_the_built_in_search_space_draws_trials_that_can_be(text):
    from growsearch.tuning.search_space import draw_trials, load_spaces, usual_front

    spaces = load_spaces("gpt_growth", {"data_dir": text})
    assert usual_front(spaces) == {"costs": ("flops",), "metric": "val_bits_per_byte"}
    drawn = draw_trials(spaces, 24, seed=0)
    grown = [trial for trial in drawn if trial.policy.grows]
    assert len(grown) == 18
    assert {trial.policy.growth_architectures for trial in grown} == {
        ("4",), ("2", "4"), ("2", "3", "4"),
    }  # fmt: skip


def test_a_network_is_rebuilt_without_its_text(text):
    from growsearch.study.network_spec import NetworkSpec, rebuilt

    trainer = Trainer(config(text, growth_epochs=2, tokens="characters"))
    list(trainer)
    network = trainer.state.network
    spec = NetworkSpec.of(trainer.config.replaced(data_dir="gone.txt"), "2", trainer.task.facts())
    again = rebuilt(NetworkSpec.from_dict(spec.to_dict()), network.state_dict())
    tokens = next(iter(trainer.task.batches("val", 0, 0)))[0]
    assert torch.equal(again(tokens), network.eval()(tokens))


def most_memory() -> int:
    """The most bytes that this process has had."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def test_a_context_that_is_far_larger_than_the_weights_is_refused_before_it_takes_memory(text):
    """Rotary positions have no weights, so nothing else in a file limits the context."""
    from growsearch.study.network_spec import NetworkSpec, rebuilt

    task = config(text, policy="none", architecture="1", positions="rotary").task
    network = task.build(Architecture("1"))
    spec = NetworkSpec.of(task.trial, "1", task.facts())
    rebuilt(spec, network.state_dict())
    before = most_memory()
    size = task.width // task.heads  # a cosine and a sine of 4 bytes for each number of a head
    for context, said in ((20_000_000, str(20_000_000 * size * 2 * 4)), (2**62, "")):
        stranger = replace(spec, options={**spec.options, "context": context})
        with pytest.raises(InputError, match=f"{said}.*export the network again"):
            rebuilt(stranger, network.state_dict())
    assert most_memory() < before + 2**27


def test_a_trial_whose_text_has_changed_is_not_resumed(text, tmp_path):
    mine = tmp_path / "mine.txt"
    shutil.copy(text, mine)
    trainer = Trainer(config(str(mine)))
    next(trainer)
    trainer.save(tmp_path / "state.safetensors")
    mine.write_text(mine.read_text(encoding="utf-8").replace("Netz", "Nest"), encoding="utf-8")
    with pytest.raises(InputError, match="have changed since the trial began"):
        Trainer.load(tmp_path / "state.safetensors")


def test_keys_of_image_trials_have_no_options_of_language():
    """Stores that are older than the task still match."""
    from growsearch.epochs.keys import keyed
    from growsearch.tasks.builtin.language import Language
    from growsearch.trial.options import Role

    found = keyed(TrialConfig(), Role.NETWORK, Role.EPOCH, Role.GROWTH)
    assert not found.keys() & {*Language.options(), "first_block"}


# what is refused


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"heads": 3}, "heads=3 does not divide width=16"),
        ({"positions": "rotary", "width": 6}, "heads of 3"),
        ({"architecture": "1-1"}, "has 2 sub-networks, but task 'language' has 1"),
        ({"dataset": "digits"}, "dataset 'digits' has images, but task 'language' learns text"),
        ({"dataset": "bible"}, "must be left out"),
        ({"policy": "lipschitz", "lipschitz": "layers"}, "lipschitz 'layers'"),
        ({"policy": "periodic"}, "reads validation accuracy"),
        ({"context": 1000}, "context=1000 needs a val text of at least 1001 bytes"),
        ({"batch_size": 10**9}, "batch_size=1000000000 takes about .* GB; choose a smaller one"),
    ],
)
def test_what_cannot_be_is_one_line(text, options, said):
    with pytest.raises(InputError, match=said) as caught:
        Trainer(config(text, **options))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        ("Größe ".encode("latin1") * 99, r"is not UTF-8 \(byte 0xf6 at position 2\)"),
        (b"text" * 99 + b"\0" * 99, "is binary, not text"),
        (b"short", "context=8 needs a train text of at least 9 bytes, and that of .* has 4"),
    ],
)
def test_a_file_that_is_no_text_is_one_line(tmp_path, content, said):
    path = tmp_path / "text.txt"
    path.write_bytes(content)
    with pytest.raises(InputError, match=said):
        Trainer(config(str(path)))


def test_a_missing_file_is_one_line(tmp_path):
    for path, said in [(tmp_path / "no", "does not exist"), (tmp_path, "is a folder")]:
        with pytest.raises(InputError, match=said):
            Trainer(config(str(path)))
    with pytest.raises(InputError, match=r"give it by --data-dir text\.txt"):
        Trainer(TrialConfig(**SMALL))


def test_image_classification_learns_no_text():
    with pytest.raises(InputError, match="dataset 'bible' has text, but task 'image-class"):
        TrialConfig(dataset="bible")


def test_the_bible_without_its_packages_names_the_command_that_installs_them(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="apt-get install bible-kjv bible-kjv-text"):
        Trainer(TrialConfig(task="language", dataset="bible"))
    program = tmp_path / "bible"
    program.write_text("#!/bin/sh\necho no text here >&2\nexit 1\n")
    program.chmod(0o755)
    with pytest.raises(InputError, match=r"printed 0 bytes.*no text here.*apt-get install"):
        Trainer(TrialConfig(task="language", dataset="bible"))


@pytest.mark.skipif(shutil.which("bible") is None, reason="needs Debian's package bible-kjv")
def test_the_bible_is_the_same_however_wide_the_terminal_is(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "40")
    from growsearch.tasks.language.texts.bible import Bible

    text = Bible().read(None)
    assert len(text) == 4_298_239
    assert b"In the beginning God created the heaven and the earth." in text
    assert Bible().read(None) == text == (tmp_path / "growsearch/bible-kjv.txt").read_bytes()

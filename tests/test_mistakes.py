"""What a user can get wrong in spaces and settings is one line, before anything starts."""

import socket

import pytest
from conftest import run

from growsearch.epochs.store import EpochStore
from growsearch.searches.settings import SearchSettings
from growsearch.stopping.budget import parse_budget
from growsearch.stopping.cost import OwnNumber
from growsearch.stopping.judge import ParetoStopping
from growsearch.tasks.seed_models import built
from growsearch.trainer import Trainer
from growsearch.trial.architecture import Architecture
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError
from growsearch.tuning.search_space import draw_trials, load_spaces


def drawn(tmp_path, text, trials=None):
    (tmp_path / "space.py").write_text(f"from ray import tune\n{text}\n")
    return draw_trials(load_spaces(tmp_path / "space.py"), trials, 0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("param_space = {}", "without a field"),
        ("param_space = [{}]", "without a field"),
        ("param_space = {'lr': {'grid_search': 5}}", "grid_search of '5'; give a list"),
        ("param_space = {'lr': {'grid_search': []}}", "give a list"),
        ("param_space = {'lr': tune.quniform(0.1, 0.5, -0.1)}", "steps of -0.1"),
        ("class Odd(BaseException): pass\nraise Odd('why')", "Odd: why"),
        ("param_space = {'lr': tune.sample_from(lambda spec: exit())}", "cannot be drawn"),
        (
            "param_space = {n: tune.grid_search([1] * 2**16) for n in ('lr', 'seed', 'epochs', "
            "'batch_size')}",
            "18,446,744,073,709,551,616 trials, and a search has at most 100,000",
        ),
        ("param_space = {'seed': tune.grid_search(list(range(200_000)))}", "200,000 trials"),
        ("import itertools\nparam_space = {'seed': {'grid_search': itertools.count()}}", "a list"),
        ("import os\nos._exit(0)", "in line 3: SystemExit: os._exit(0)"),
        (
            "import os\nparam_space = {'lr': tune.sample_from(lambda spec: os._exit(0))}",
            "cannot be drawn: SystemExit: os._exit(0)",
        ),
        (
            "param_space = {'lr': tune.sample_from(lambda spec: tune.grid_search([0.1, 0.2]))}",
            "gave 2 trials in place of 1",
        ),
    ],
)
def test_a_space_that_cannot_be_is_refused_in_one_line(tmp_path, text, said):
    with pytest.raises(InputError) as error:
        drawn(tmp_path, text, 1 if "sample_from" in text else None)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_space_may_start_processes_that_end_themselves(tmp_path):
    """Processes of multiprocessing end by os._exit."""
    text = (
        "import multiprocessing\n"
        "child = multiprocessing.get_context('fork').Process(target=print)\n"
        "child.start(); child.join()\n"
        "param_space = {'lr': 0.1 + child.exitcode}"
    )
    assert [trial.lr for trial in drawn(tmp_path, text)] == [0.1]


def test_a_value_of_none_is_as_if_it_were_not_given(tmp_path):
    assert drawn(tmp_path, "param_space = {'lr': None, 'epochs': 3}") == [TrialConfig(epochs=3)]


def test_a_domain_that_depends_on_others_is_drawn_by_the_seed(tmp_path):
    text = "param_space = {'lr': tune.sample_from(lambda spec: tune.uniform(0.1, 0.2))}"
    found = [trial.lr for trial in drawn(tmp_path, text, 20)]
    assert found == [trial.lr for trial in drawn(tmp_path, text, 20)]
    assert len(set(found)) == 20
    assert all(0.1 <= lr <= 0.2 for lr in found)


@pytest.mark.parametrize("seconds", [0, -1, float("inf"), float("nan"), 1e300])
def test_a_timeout_that_never_comes_is_refused(seconds):
    with pytest.raises(InputError, match="epoch_timeout"):
        SearchSettings(epoch_timeout=seconds)


@pytest.mark.parametrize(("metric", "delta"), [("val_accuracy", 101), ("val_loss", 11)])
def test_a_front_may_not_lose_more_than_there_is(metric, delta):
    with pytest.raises(InputError, match=f"^delta={delta} is more than the whole range of") as said:
        ParetoStopping(delta=delta, metric=metric)
    assert "\n" not in str(said.value)
    ParetoStopping(delta=delta - 1, metric=metric)
    ParetoStopping(delta=delta, metric=OwnNumber(number="val_perplexity"))


@pytest.mark.parametrize("amount", ["1\n", " 1", "1 ", "1\t", "", "0", "-1", "inf", "nan", "1,5"])
def test_a_budget_is_a_number_without_space_around_it(amount):
    with pytest.raises(InputError, match="is no amount; write it like seconds=1e9") as said:
        parse_budget(f"seconds={amount}")
    assert "\n" not in str(said.value)
    assert parse_budget("seconds=1.5e9") == ("seconds", 1.5e9)


def test_a_batch_of_more_images_than_there_are_trains_as_one_of_them_all():
    trial = TrialConfig(
        dataset="digits", train_size=100, epochs=2, policy="none", precision="float32",
        compile="off",
    )  # fmt: skip
    found = [
        [(record.train_loss, record.val_loss) for record in Trainer(trial.replaced(batch_size=n))]
        for n in (100, 10**9)
    ]
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("place", "meant"),
    [("s3:/x", "s3://x"), ("s3:x", "s3://x"), ("gs:/bucket/x", "gs://bucket/x")],
)
def test_an_address_that_is_misspelt_is_no_folder(tmp_path, monkeypatch, place, meant):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=f"neither a folder nor an address; .* like {meant},"):
        EpochStore(place)
    assert list(tmp_path.iterdir()) == []
    EpochStore("./s3:x")
    assert [path.name for path in tmp_path.iterdir()] == ["s3:x"]


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (["train", "--dataset", "digits", "--out", "{long}"], "File name too long"),
        (["search", "{here}/space.py", "--out", "{long}"], "File name too long"),
        (["plan", "{long}"], "File name too long"),
        (["store", "ls", "{long}"], "File name too long"),
        (["train", "--dataset", "digits", "--store", "{here}/loop"], "Too many levels of"),
    ],
)
def test_a_name_that_no_disk_takes_is_one_short_line(tmp_path, monkeypatch, capsys, command, why):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "space.py").write_text("param_space = {'lr': 0.1}")
    given = [word.format(long="x" * 3000, here=tmp_path) for word in command]
    code, _, err = run(capsys, *given)
    assert (code, err.count("\n")) == (1, 1)
    assert f"error: a file cannot be read or written ({why}" in err
    assert err.endswith("or give a place that is there and can be written\n")
    assert len(err) < 800


@pytest.mark.parametrize("verb", ["ls", "verify"])
def test_a_store_that_does_not_answer_is_one_line(capsys, verb):
    with socket.socket() as taken:  # it does not listen
        taken.bind(("127.0.0.1", 0))
        server = f"127.0.0.1:{taken.getsockname()[1]}"
        place = f"s3://bucket/x?endpoint_override={server}&scheme=http"
        code, _, err = run(capsys, "store", verb, place)
    assert (code, err.count("\n")) == (2, 1)
    assert f"store {place!r} cannot be read" in err


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--image-size", 10**9, "image_size=1000000000 for all images takes about 1,797,000,000,"),
        ("--image-size", 2**63, "less than 2**63"),
        ("--architecture", "1000000000-2-2", "architecture 1000000000-2-2 takes about"),
        ("--architecture", "9" * 5000 + "-2-2", "has a number of over 15 digits"),
        ("--epochs", "9" * 5000, "--epochs: invalid int value"),
        ("--growth-epochs", "9" * 5000, "--growth-epochs: invalid"),
    ],
)
def test_a_size_that_no_memory_holds_is_refused_in_one_short_line(
    capsys, tmp_path, option, value, said
):
    out = tmp_path / "one"
    code, _, err = run(capsys, "train", "--dataset", "digits", option, value, "--out", out)
    assert (code, err.count("\n")) == (2, 1)
    assert said in err
    assert len(err) < 700
    assert not out.exists()


def test_a_deep_network_that_memory_holds_is_built():
    task = TrialConfig(dataset="digits", architecture="1001-2-2").task
    model = built(task, Architecture("1001-2-2"), seed=0)
    assert [len(blocks) for blocks in task.blocks(model)] == [1001, 2, 2]

"""Exported networks have the recorded accuracy, or there is an error."""

import ast
import errno
import io
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import ROOT, first_quick, run
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from growsearch import (
    Architecture,
    Dataset,
    ImageFamily,
    InputError,
    Study,
    Trainer,
    TrialConfig,
    load_network,
    register,
)
from growsearch.cli.train import begin
from growsearch.epochs.kept_networks import kept_weights
from growsearch.epochs.store import STATES, EpochStore
from growsearch.study.model_file import METADATA, ModelFile, read_model, write_model
from growsearch.study.network_spec import NetworkSpec
from growsearch.study.prediction import normalized, predict
from growsearch.tasks.images.blocks import BasicBlock
from growsearch.tasks.images.facts import ImageFacts
from growsearch.tasks.images.networks import build_network
from growsearch.tasks.language.model import GPT
from growsearch.training.state import read_state

GROWS = {
    "train_size": 600, "epochs": 6, "lr": 0.1, "policy": "fixed", "growth_epochs": (2, 4),
    "precision": "float32", "compile": "off",
}  # fmt: skip
WAYS = [
    {"scaling": "step-size"},
    {"scaling": "paper"},
    {"network": "preact3resnet", "scaling": "step-size"},
    {"initializer": "zero"},
    {"network": "plain3net", "initializer": "default", "lr": 0.05},
    {"network": "bottleneck4resnet", "epochs": 3, "growth_epochs": (2,), "train_size": 200},
]


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    """The folder of a trial that has grown in one of the ways; each is trained once."""
    made = {}

    def study(way: dict) -> Path:
        name = json.dumps(way)
        if name not in made:
            made[name] = tmp_path_factory.mktemp("studies") / "one"
            assert begin(TrialConfig(**{**GROWS, **way}), made[name], {}) is None
        return made[name]

    return study


@pytest.fixture
def study(studies):
    return Study(studies(WAYS[0]))


@pytest.fixture
def model(study, tmp_path):
    return study.export(tmp_path / "model.safetensors")


def accuracies(network, config) -> list[float]:
    """On validation and test images, in percent, in plain torch."""
    dataset = config.task.dataset
    found = []
    for split in (dataset.val, dataset.test):
        pixels = split.images.float() / dataset.spec.pixel_max
        images = (pixels - dataset.spec.mean[0]) / dataset.spec.std[0]
        with torch.no_grad():
            right = network(images).argmax(dim=1) == split.labels
        found.append(100 * right.sum().item() / len(split))
    return found


def val_loss(network, config) -> float:
    """The mean cross-entropy on validation images, in plain torch."""
    dataset = config.task.dataset
    pixels = dataset.val.images.float() / dataset.spec.pixel_max
    images = (pixels - dataset.spec.mean[0]) / dataset.spec.std[0]
    with torch.no_grad():
        return torch.nn.functional.cross_entropy(network(images), dataset.val.labels).item()


def recorded_loss(study, epoch) -> float:
    row = study.trials.iloc[0]
    number = row["epochs"] if epoch == "last" else row["best_epoch"]
    return study.epochs.set_index("epoch").loc[number, "val_loss"]


def recorded(study, epoch) -> list[float]:
    row = study.trials.iloc[0]
    names = {
        "last": ("val_accuracy", "test_accuracy"),
        "best": ("best_val_accuracy", "test_accuracy_at_best"),
    }
    return [row[name] for name in names[epoch]]


@pytest.mark.parametrize("epoch", ["last", "best"])
@pytest.mark.parametrize("way", first_quick(WAYS, 0, slow=1))
def test_an_exported_network_has_the_recorded_accuracy(studies, tmp_path, way, epoch):
    study = Study(studies(way))
    file = study.export(tmp_path / "model.safetensors", epoch=epoch)
    loaded = load_network(file)
    assert not loaded.training
    expected = recorded(study, epoch)
    assert accuracies(loaded, study.config()) == expected
    assert val_loss(loaded, study.config()) == pytest.approx(recorded_loss(study, epoch), rel=1e-5)
    assert accuracies(study.network(epoch=epoch), study.config()) == expected


def test_the_best_epoch_of_a_trial_that_grew_after_it_is_the_network_before_the_growth(tmp_path):
    config = TrialConfig(**{**GROWS, "epochs": 2, "growth_epochs": (1,), "train_size": 200})
    begin(config, tmp_path / "one", {})
    study = Study(tmp_path / "one")
    if study.trials["best_epoch"].item() != 1:
        pytest.fail("the trial does not have its best epoch before it grows; choose another seed")
    assert study.network(epoch="best").architecture == Architecture("2-2-2")
    assert accuracies(study.network(epoch="best"), config) == recorded(study, "best")


def test_the_file_says_what_the_network_is(model, study):
    with safe_open(model, "pt") as file:
        about = json.loads(file.metadata()[METADATA])
    row = study.trials.iloc[0]
    assert about["architecture"] == row["architecture"] == "8-8-8"
    assert about["options"]["network"] == "basic3resnet"
    assert about["dataset"] == "digits"
    assert about["class_names"] == list("0123456789")
    assert about["facts"]["image_shape"] == [1, 8, 8]
    assert about["facts"]["mean"] == [0.3049]
    assert about["val_accuracy"] == row["val_accuracy"]
    assert about["test_accuracy"] == row["test_accuracy"]
    assert about["steps"] == [[1.0, 0.25]] * 3
    assert about["constants"]["subnetworks.0.0.step.explicit"] == 0.25
    assert about["constants"]["subnetworks.2.1.bn2.eps"] == 1e-5
    assert TrialConfig.from_flat(about["config"]) == study.config()


def test_the_folder_of_the_data_is_not_in_the_file(tmp_path, studies):
    about = read_model(Study(studies(WAYS[0])).export(tmp_path / "m.safetensors")).about
    assert str(tmp_path.parent) not in json.dumps(dict(about))


@pytest.mark.slow
def test_eps_of_grown_blocks_is_in_the_file(studies, tmp_path):
    file = Study(studies(WAYS[1])).export(tmp_path / "model.safetensors")
    found = read_model(file).about["constants"]["subnetworks.0.0.bn2.eps"]
    assert found == 1e-5 * 0.25**4


def network_without_step_sizes():
    return build_network("basic3resnet", Architecture("8-8-8"), (1, 8, 8), 10, 0)


def test_weights_do_not_load_into_a_network_with_other_step_sizes(study, model):
    """The shapes match: the network would have the accuracy of guessing."""
    trial = study.trials.iloc[0]
    kept = kept_weights(study.folder / "networks", trial["key"])["network"]
    _, _, state = read_state(study.folder / "state.safetensors")
    for weights in (kept, state["network"], load_file(model), study.network().state_dict()):
        with pytest.raises(RuntimeError, match="step sizes"):
            network_without_step_sizes().load_state_dict(weights)
        with pytest.raises(RuntimeError, match="step sizes"):
            network_without_step_sizes().load_state_dict(weights, strict=False)


def test_states_of_an_older_growsearch_load(study):
    weights = study.network().state_dict()
    for part in weights._metadata.values():
        part.pop("step_sizes", None)
    network_without_step_sizes().load_state_dict(weights)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": [[1, 1]] * 3}, "step sizes"),
        ({"architecture": "4-4-4"}, "are not those of a basic3resnet 4-4-4"),
        ({"architecture": "x"}, "architecture"),
        ({"options": {"network": "nothing"}}, "cannot be made here .unknown network 'nothing'"),
        ({"options": {"girth": 3}}, "a trial has no field 'girth'"),
        ({"options": {"network": "nothing"}, "plugins": {"network": "01"}}, "is not known here"),
        ({"plugins": {"network": "0123"}}, "of another version here; load the plugin"),
        ({"constants": {}}, "computes with"),
        ({"facts": {}}, "damaged metadata"),
        ({"steps": None}, "damaged metadata"),
        ({"steps": [[10**400, 1]] * 3}, "damaged metadata .OverflowError"),
        ({"plugins": {"": None}}, "damaged metadata .ValueError: plugins has ''."),
        ({"plugins": {"task": "01"}, "options": {"task": []}}, "damaged metadata"),
        ({"plugins": {"network": "01"}, "options": {}}, "damaged metadata"),
    ],
)
def test_a_file_whose_metadata_do_not_fit_its_weights_is_refused(model, changes, message):
    about = json.loads(read_metadata(model))
    save_file(load_file(model), model, {METADATA: json.dumps(about | changes)})
    with pytest.raises(InputError, match=message) as error:
        load_network(model)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"image_shape": [float("inf"), 8, 8]},
        {"image_shape": [1, 12_000, 12_000]},
        {"classes": float("inf")},
        {"shorter": float("inf")},
        {"mean": [10**400]},
        {"mean": [0.1] * 5},
        {"std": []},
    ],
)
def test_facts_of_images_that_cannot_be_are_refused(model, changes):
    about = json.loads(read_metadata(model))
    about["facts"] |= changes
    save_file(load_file(model), model, {METADATA: json.dumps(about)})
    with pytest.raises(InputError, match=r"made of damaged metadata .*; export the network again"):
        load_network(model)


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"image_shape": [1, 8]}, "does not say what images"),
        ({"image_shape": [1, 8, 8], "classes": 2, "mean": [0], "std": [1]}, "does not take the"),
    ],
)
def test_facts_of_images_beside_a_network_for_text_are_refused(tmp_path, facts, message):
    gpt = GPT(1, 32, 4, context=8, vocabulary=256)
    options = {"task": "language", "dataset": "text", "width": 32, "context": 8}
    spec = NetworkSpec(options=options, plugins={}, architecture="1", steps=((1.0, 1.0),),
                       facts={"characters": None} | facts)  # fmt: skip
    write_model(tmp_path / "text.safetensors", gpt, spec, {})
    Image.new("L", (8, 8)).save(tmp_path / "a.png")
    with pytest.raises(InputError, match=f"{message}.*; export the network again"):
        predict(read_model(tmp_path / "text.safetensors"), [tmp_path / "a.png"])


def test_a_network_of_a_family_that_computes_with_numbers_as_it_is_built_is_loaded(
    tmp_path, own_registry
):
    """A network without memory has no numbers, so a plugin's is built once."""

    class Measured(BasicBlock):
        def __init__(self, *sizes, **options) -> None:
            super().__init__(*sizes, **options)
            self.conv1.weight.data /= self.conv1.weight.norm().item()

    @register("network", "measured")
    @dataclass(frozen=True, kw_only=True)
    class Family(ImageFamily):
        subnetworks, residual, widths = 2, True, (4, 8)

        def block(self):
            return Measured

    config = TrialConfig(network="measured", policy="none", architecture="1-1", epochs=1)
    task = TrialConfig(train_size=40, network="measured", policy="none", architecture="1-1").task
    network = build_network("measured", Architecture("1-1"), (1, 8, 8), 10, seed=0)
    path = tmp_path / "network.safetensors"
    write_model(path, network, NetworkSpec.of(config, "1-1", task.facts()), {})
    loaded = load_network(path)
    assert loaded.state_dict().keys() == network.state_dict().keys()
    assert all(torch.equal(loaded.state_dict()[n], v) for n, v in network.state_dict().items())


@pytest.mark.slow
def test_loading_a_network_imports_no_algebra(model):
    """torch's own way to build without memory imports sympy, which takes over a second."""
    code = "import sys, growsearch as g; g.load_network(sys.argv[1]); print('sympy' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code, model], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"


def read_metadata(path) -> str:
    with safe_open(path, "pt") as file:
        return file.metadata()[METADATA]


def test_other_files_are_refused(model, tmp_path):
    with pytest.raises(InputError, match="there is no file"):
        load_network(tmp_path / "nothing.safetensors")
    save_file({"weight": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(InputError, match="does not say of which network"):
        load_network(tmp_path / "other.safetensors")
    whole = model.read_bytes()
    model.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="is not a file of weights"):
        load_network(model)


PLAIN = """
import sys, torch
program = torch.export.load(sys.argv[1]).module()
images, labels = torch.load(sys.argv[2], weights_only=True)
print(100 * (program(images).argmax(dim=1) == labels).sum().item() / len(labels))
assert not [name for name in sys.modules if name.startswith("growsearch")]
"""


@pytest.mark.slow
def test_a_script_without_growsearch_has_the_recorded_test_accuracy(study, tmp_path):
    program = study.export(tmp_path / "model.pt2", format="torch-export")
    dataset = study.config().task.dataset
    batch = next(dataset.evaluation_batches(dataset.test, len(dataset.test)))
    torch.save((batch.images, batch.labels), tmp_path / "test.pt")
    command = [sys.executable, "-c", PLAIN, str(program), str(tmp_path / "test.pt")]
    out = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert float(out.stdout) == study.trials["test_accuracy"].item(), out.stderr


@pytest.mark.slow
def test_an_onnx_program_has_the_recorded_accuracies(study, tmp_path):
    import onnx
    import onnxruntime

    path = study.export(tmp_path / "model.onnx", format="onnx")
    session = onnxruntime.InferenceSession(path)

    def network(images):
        return torch.from_numpy(session.run(["logits"], {"images": images.numpy()})[0])

    assert accuracies(network, study.config()) == recorded(study, "last")
    (entry,) = [e for e in onnx.load(path).metadata_props if e.key == METADATA]
    assert json.loads(entry.value)["architecture"] == "8-8-8"


def test_a_program_that_computes_something_else_is_not_kept(study, tmp_path):
    from growsearch.study.programs import check_program

    network = study.network()
    with pytest.raises(InputError, match="was not kept: its logits differ"):
        check_program(
            network, lambda x: network(x) + 1e-3, lambda n: torch.randn(n, 1, 8, 8),
            tmp_path / "model.pt2",
        )  # fmt: skip


def test_a_full_disk_leaves_nothing_of_a_file(study, tmp_path, monkeypatch):
    def fill(weights, file, metadata):
        Path(file).write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", fill)
    with pytest.raises(InputError, match=r"cannot be written .*No space left.*; make room"):
        study.export(tmp_path / "model.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_exists_is_not_replaced(study, tmp_path):
    (tmp_path / "model").write_text("mine")
    with pytest.raises(InputError, match="exists; choose another --out"):
        study.export(tmp_path / "model")
    with pytest.raises(InputError, match="in a folder that does not exist"):
        study.export(tmp_path / "no" / "model")
    assert (tmp_path / "model").read_text() == "mine"


def pictures(study, folder: Path) -> tuple[list[Path], list[int]]:
    """Test images of the digits as files; pixels from 0 to 16 become 0 to 240."""
    test = study.config().task.dataset.test
    files = []
    for n in range(20):
        files.append(folder / f"{n:02}.png")
        Image.fromarray((15 * test.images[n, 0]).numpy()).save(files[-1])
    return files, test.images[:20]


def test_predict_gives_the_networks_classes_and_probabilities(capsys, study, model, tmp_path):
    (tmp_path / "images").mkdir()
    files, images = pictures(study, tmp_path / "images")
    capsys.readouterr()  # what the training of the study has printed
    code, out, _ = run(capsys, "predict", model, tmp_path / "images", "--json")
    assert code == 0
    found = json.loads(out)
    assert [one["file"] for one in found] == list(map(str, files))
    with torch.no_grad():
        chances = study.network()(((15 * images).float() / 255 - 0.3049) / 0.3758).softmax(1)
    assert [one["label"] for one in found] == chances.argmax(1).tolist()
    assert [one["name"] for one in found] == [str(n) for n in chances.argmax(1).tolist()]
    assert [one["probability"] for one in found] == pytest.approx(chances.amax(1).tolist())
    code, out, _ = run(capsys, "predict", model, files[0])
    assert code == 0 and str(files[0]) in out and "%" in out


def test_pictures_in_colour_and_of_other_sizes_are_converted(study, model, tmp_path):
    files, _ = pictures(study, tmp_path)
    before = Image.open(files[0])
    before.convert("RGB").resize((16, 16), Image.Resampling.NEAREST).save(tmp_path / "large.png")
    before.convert("RGB").save(tmp_path / "colour.png")
    plain, colour, large = predict(
        read_model(model), [files[0], tmp_path / "colour.png", tmp_path / "large.png"]
    )
    assert colour.probability == pytest.approx(plain.probability)
    assert large.label == plain.label


def test_images_that_were_padded_in_training_are_padded(tmp_path):
    config = TrialConfig(
        policy="none", epochs=1, train_size=200, image_size=12, precision="float32"
    )
    begin(config, tmp_path / "one", {})
    study = Study(tmp_path / "one")
    model = read_model(study.export(tmp_path / "m.safetensors"))
    test = config.task.dataset.test  # padded
    Image.fromarray((15 * test.images[0, 0, 2:10, 2:10]).numpy()).save(tmp_path / "a.png")
    (found,) = predict(model, [tmp_path / "a.png"])
    with torch.no_grad():
        chances = model.network(((15 * test.images[:1]).float() / 255 - 0.3049) / 0.3758).softmax(1)
    assert found.probability == pytest.approx(chances.max().item())


def test_pictures_of_a_folder_are_prepared_as_in_training(tmp_path):
    """Small, wide and high ones: each is the image that the trial had."""
    draw, sizes = np.random.default_rng(0), [(16, 16), (80, 40), (30, 70), (33, 33)]
    for label in ("one", "two"):
        (tmp_path / "data" / label).mkdir(parents=True)
        for n in range(20):
            pixels = draw.integers(256, size=(*sizes[n % 4][::-1], 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "data" / label / f"{n:02}.png")
    config = TrialConfig(
        dataset="folder", data_dir=str(tmp_path / "data"), policy="none", epochs=1, lr=0.01,
        precision="float32",
    )  # fmt: skip
    begin(config, tmp_path / "one", {})
    model = read_model(Study(tmp_path / "one").export(tmp_path / "m.safetensors"))
    images, spec = config.task.dataset.train, config.task.dataset.spec
    mean, std = (torch.tensor(values)[:, None, None] for values in (spec.mean, spec.std))
    trained = (images.images.float() / 255 - mean) / std
    files = sorted((tmp_path / "data").rglob("*.png"))
    given = torch.stack([normalized(model, file) for file in files])
    for image in trained:
        assert any(torch.allclose(image, other, atol=1e-5) for other in given)


def test_large_images_pass_the_network_a_few_at_a_time(tmp_path):
    """256 MiB of float32 are sixteen images of 2,048 x 2,048."""
    facts = ImageFacts(
        image_shape=(1, 2048, 2048), classes=2, mean=(0.5,), std=(1.0,), shorter=None
    ).to_dict()
    config, sizes = TrialConfig(policy="none", epochs=1), []

    class Mean(torch.nn.Module):
        def forward(self, images):
            sizes.append(len(images))
            return torch.stack([images.mean((1, 2, 3)), torch.zeros(len(images))], dim=1)

    model = ModelFile(Mean(), NetworkSpec.of(config, (2, 2, 2), facts), {})
    files = [tmp_path / f"{n:02}.png" for n in range(18)]
    for n, file in enumerate(files):
        Image.new("L", (2048, 2048), 15 * n).save(file)
    assert [found.label for found in predict(model, files)] == [1] * 9 + [0] * 9
    assert sizes == [16, 2]


def test_a_network_of_arrays_on_another_scale_refuses_image_files(tmp_path):
    X = np.random.default_rng(0).uniform(0, 255, size=(60, 8, 8)).astype(np.float32)
    dataset = Dataset.from_arrays(X, np.arange(60) % 2, val=0.2, test=0.2)
    trainer = Trainer(TrialConfig(policy="none", epochs=1, lr=0.01), dataset=dataset)
    next(trainer)
    facts = trainer.task.facts()
    spec = NetworkSpec.of(trainer.config, trainer.state.architecture, facts)
    model = ModelFile(trainer.state.network, spec, {})
    Image.new("L", (8, 8)).save(tmp_path / "a.png")
    with pytest.raises(InputError, match=r"learned arrays with means 12\d.*load_network"):
        predict(model, [tmp_path / "a.png"])


def test_files_that_are_no_images_are_all_named(capsys, model, tmp_path):
    for name in ("a.png", "b.jpg"):
        (tmp_path / name).write_text("text")
    code, out, err = run(capsys, "predict", model, tmp_path)
    assert (code, out) == (2, "")
    assert "2 of 2 files" in err and "a.png" in err and "b.jpg" in err
    code, _, err = run(capsys, "predict", model, tmp_path / "none.png")
    assert code == 2 and "there is no" in err
    (tmp_path / "empty").mkdir()
    assert "no PNG or JPEG" in run(capsys, "predict", model, tmp_path / "empty")[2]


class Evil:
    """A pickle that makes a file when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_nothing_that_is_read_runs_code(study, tmp_path, caplog):
    ran, state = tmp_path / "ran", tmp_path / "state.pt"
    contents = {"network": Evil(ran), "architecture": "2-2-2"}
    torch.save(contents, state)
    torch.load(state, weights_only=False)
    assert ran.exists()  # it would
    ran.unlink()
    for file in (state, tmp_path / "model.safetensors"):
        torch.save(contents, file)
        with pytest.raises(InputError):
            load_network(file)
        with pytest.raises(InputError, match="is not a saved state"):
            read_state(file)
    (tmp_path / "networks" / "one").mkdir(parents=True)
    torch.save(contents, tmp_path / "networks" / "one" / "key.safetensors")
    assert kept_weights(tmp_path / "networks", "key") is None
    store = EpochStore(str(tmp_path / "store"))
    with io.BytesIO() as buffer:
        torch.save(contents, buffer)
        store._write(STATES, "key", buffer.getvalue())
    assert store.state("key") is None
    assert "states/ke/key in store" in caplog.text and "is no such entry" in caplog.text
    assert not ran.exists()


PICKLED_BY_THE_PARENT = ("worker.py", "plugins.py")
"""Modules that read what their own parent process has pickled, never files of a study."""


def test_each_load_reads_tensors_only():
    for path in (ROOT / "growsearch").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                options = {k.arg: ast.unparse(k.value) for k in node.keywords}
                if called == "torch.load":
                    assert options.get("weights_only") == "True", path
                if path.name not in PICKLED_BY_THE_PARENT:
                    assert called not in ("pickle.load", "pickle.loads"), path
                assert called != "cloudpickle.loads", path
                assert options.get("allow_pickle", "False") == "False", path

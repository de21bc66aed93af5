"""Saved tensors and values come back to the last bit; any reader of safetensors opens the files."""

import io
import json
import math
import shutil
import struct
import tracemalloc
from collections import OrderedDict

import pytest
import torch
from conftest import run
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load
from torch import nn

from growsearch import read_study
from growsearch.epochs.store import STATES, EpochStore
from growsearch.machine.saved import load_tensors, save_tensors
from growsearch.study.folder import read_info
from growsearch.trainer import Trainer
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError

DTYPES = [
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.complex64, torch.complex128,
    torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.uint16, torch.uint32,
    torch.uint64, torch.bool, torch.float8_e4m3fn, torch.float8_e5m2,
]  # fmt: skip


def written(contents) -> bytes:
    buffer = io.BytesIO()
    save_tensors(contents, buffer)
    return buffer.getvalue()


def parts(content: bytes) -> tuple[dict, bytes]:
    """The header, and the bytes of the tensors."""
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def joined(header: dict, tensors: bytes) -> bytes:
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + tensors


def bits(value):
    """A value with floats and tensors as their bits, and tensors with their strides."""
    if isinstance(value, torch.Tensor):
        content = value.contiguous().reshape(-1).view(torch.uint8).tolist()
        # the stride of an axis of one element says nothing
        strides = [s for s, n in zip(value.stride(), value.shape, strict=True) if n > 1]
        return value.dtype, value.shape, strides if value.numel() else [], content
    if isinstance(value, float):
        return struct.pack("d", value) if not math.isnan(value) else "nan"
    if isinstance(value, dict):
        return type(value), [(bits(key), bits(item)) for key, item in value.items()]
    if isinstance(value, list | tuple):
        return type(value), [bits(item) for item in value]
    return type(value), value


@st.composite
def tensors(draw):
    """Of any type and bits, with axes in any order in memory."""
    shape = draw(st.lists(st.integers(0, 3), max_size=4))
    dtype = draw(st.sampled_from(DTYPES))
    count = math.prod(shape) * dtype.itemsize
    content = bytearray(draw(st.binary(min_size=count, max_size=count)))
    if dtype is torch.bool:
        content = bytearray(byte % 2 for byte in content)
    flat = torch.frombuffer(content, dtype=dtype) if count else torch.empty(0, dtype=dtype)
    return flat.reshape(shape).permute(draw(st.permutations(range(len(shape)))))


KEYS = st.text() | st.integers() | st.booleans() | st.none() | st.tuples(st.integers(), st.text())
PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
VALUES = st.recursive(
    PLAIN | tensors(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text(), inner, max_size=4)
        | st.dictionaries(KEYS, inner, max_size=4)
        | st.dictionaries(st.text(), inner, max_size=4).map(OrderedDict)
        | st.sets(st.integers())
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), VALUES, max_size=5))
def test_what_is_saved_comes_back_with_its_types_bits_and_strides(contents):
    content = written(contents)
    assert bits(load_tensors(content)) == bits(contents)
    load(content)  # safetensors itself opens it


def test_readers_of_safetensors_find_the_tensors_by_their_places():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    network.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters())
    network(torch.randn(2, 3, 5, 5)).sum().backward()
    optimizer.step()
    found = load(written({"network": network.state_dict(), "optimizer": optimizer.state_dict()}))
    for name, tensor in network.state_dict().items():
        assert torch.equal(found[f"network/{name}"], tensor)
    moments = optimizer.state_dict()["state"]
    assert torch.equal(found["optimizer/state/0/exp_avg"], moments[0]["exp_avg"])
    assert len(found) == len(network.state_dict()) + sum(map(len, moments.values()))


def test_tied_weights_stand_in_the_file_once_and_are_tied_when_they_are_read():
    weights = torch.randn(100, 100)
    content = written({"one": weights, "two": weights.t(), "three": weights})
    assert len(content) < 2.1 * 40_000
    found = load_tensors(content)
    assert found["one"] is found["three"]
    assert torch.equal(found["two"], weights.t())


def test_the_versions_of_a_networks_modules_are_saved():
    """By which torch's modules convert what an older one has saved."""
    state = nn.BatchNorm2d(2).state_dict()
    assert load_tensors(written({"network": state}))["network"]._metadata == state._metadata


@pytest.mark.parametrize("value", [object(), 1j, torch.eye(2).to_sparse(), torch.float32])
def test_what_cannot_be_saved_is_named_by_its_place(value, tmp_path, caplog):
    with pytest.raises(
        InputError, match=r"^optimizer/0/momentum is (a tensor )?of .* be saved; keep"
    ):
        save_tensors({"optimizer": {0: {"momentum": value}}}, tmp_path / "state")
    assert not list(tmp_path.iterdir())
    store = EpochStore(str(tmp_path / "store"))
    assert not store.keep("abc", {"network": value})
    assert "cannot keep a state (network is " in caplog.text
    assert not list(store.entries(STATES))


REFUSED = (ValueError, TypeError, KeyError, AttributeError, RecursionError, RuntimeError)
HONEST = {"one": torch.arange(6.0).reshape(2, 3), "two": torch.arange(3), "text": "values"}


def changed(name, key, value):
    def change(header):
        header[name] = {**header[name], key: value}

    return change


@pytest.mark.parametrize(
    "change",
    [
        changed("one", "shape", [2**40, 2**40]),
        changed("one", "shape", [2, -3]),
        changed("one", "shape", [0, 2**62, 2**62]),
        changed("one", "shape", [6.0]),
        changed("one", "shape", "23"),
        changed("one", "data_offsets", [0, 2**50]),
        changed("one", "data_offsets", [0, 24]),
        changed("one", "data_offsets", [-24, 0]),
        changed("one", "data_offsets", [0, 24, 48]),
        changed("one", "dtype", "F32X"),
        changed("one", "dtype", "I32"),  # of the same size
        changed("__metadata__", "values", '{"dict":{"one":{"tensor":"none"}}}'),
        changed("__metadata__", "crc32", 7),
        lambda header: header.pop("one"),
        lambda header: header.pop("__metadata__"),
        lambda header: header.update(other={**header["one"]}),
        lambda header: header.update(one=7),
    ],
)
def test_a_header_that_says_something_else_is_refused_without_taking_memory(change):
    header, content = parts(written(HONEST))
    change(header)
    tracemalloc.start()
    with pytest.raises(REFUSED):
        load_tensors(joined(header, content))
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


@pytest.mark.parametrize(
    "content",
    [b"", b"1234567", b"\xff" * 8, b"\xff" * 100, bytes(8), bytes(100), bytes(7) + b"\1"],
)
def test_what_is_no_file_of_safetensors_is_refused(content):
    with pytest.raises(REFUSED):
        load_tensors(content)


@pytest.mark.parametrize(
    "values",
    [
        '{"unknown":1}', "[]", "7", '{"dict":[[[],1]]}', '{"tuple":7}', "{}",
        '{"dict":{"a":{"tensor":"one","order":[0,0]}}}', '{"dict":{"a":{"tensor":["one"]}}}',
        '{"dict":{"a":{"tensor":"one","dtype":"qint8","shape":[24]}}}', "[" * 100_000,
    ],
)  # fmt: skip
def test_values_that_were_never_packed_are_refused(values, monkeypatch):
    """Also where the checksum fits."""
    monkeypatch.setattr("growsearch.machine.saved._dumped", lambda value: (
        values if isinstance(value, dict) and "dict" in value
        else json.dumps(value, separators=(",", ":"))))  # fmt: skip
    content = written(HONEST)
    monkeypatch.undo()
    with pytest.raises(REFUSED):
        load_tensors(content)


def test_one_tensor_again_and_again_is_refused_where_it_is_far_more_than_its_file():
    weights = torch.zeros(2**20)
    assert len(load_tensors(written({"many": [weights] * 50}))["many"]) == 50
    with pytest.raises(ValueError, match="far more than its file has"):
        load_tensors(written({"many": [weights] * 200}))


def as_before(path):
    """Replaces a file by what an older version wrote."""
    torch.save(load_tensors(path), path.with_suffix(".pt"))
    path.unlink()


TRIAL = {
    "train_size": 200, "epochs": 4, "policy": "fixed", "growth_epochs": (2,), "lr": 0.1,
    "compile": "off", "precision": "float32",
}  # fmt: skip
FLAGS = [f"--{name.replace('_', '-')}={value}" for name, value in TRIAL.items()
         if name != "growth_epochs"] + ["--growth-epochs", "2"]  # fmt: skip


def test_a_study_whose_states_torch_has_saved_goes_on_and_is_read(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(capsys, "train", *FLAGS, "--save-every", 1, "--out", "one")[0] == 0
    rows = read_study("one")
    old = shutil.copytree("one", tmp_path / "old")
    shutil.copy(old / "states/00002.safetensors", old / "state.safetensors")
    for path in [*old.rglob("*.safetensors")]:
        as_before(path)
    assert not [*old.rglob("*.safetensors")]
    exported = {}
    for name in ("one", "old"):
        assert run(capsys, "export", name, "--out", f"{name}.safetensors")[0] == 0
        found = load((tmp_path / f"{name}.safetensors").read_bytes())
        exported[name] = bits(dict(sorted(found.items())))
    assert exported["one"] == exported["old"]
    assert run(capsys, "resume", "old")[0] == 0
    assert read_study(old)["val_loss"].tolist() == rows["val_loss"].tolist()
    assert not (old / "state.pt").exists()
    assert list(Trainer.load(old / "state.safetensors")) == []
    assert read_info(old) == read_info("one")


def test_states_that_torch_has_saved_in_a_store_are_read(tmp_path):
    config, store = TrialConfig(**TRIAL), EpochStore(str(tmp_path / "store"))
    alone = list(Trainer(config, store=store, keep_states="all"))
    for entry in [*store.entries(STATES)]:
        contents, buffer = store.state(entry.base_name), io.BytesIO()
        torch.save(contents, buffer)
        store.drop(entry.base_name)
        store._write(STATES, entry.base_name, buffer.getvalue())
    again = list(Trainer(config, store=EpochStore(store.place)))
    assert [record.key for record in again] == [record.key for record in alone]
    assert all(record.reused for record in again)
    trained, found = (two_epochs(config, store=other) for other in (None, store))
    assert bits(found.state.contents()["network"]) == bits(trained.state.contents()["network"])


def two_epochs(config, **options):
    trainer = Trainer(config, **options)
    next(trainer), next(trainer)
    return trainer

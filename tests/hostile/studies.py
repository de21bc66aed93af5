"""Makes hostile files, each from honest ones: what a stranger could send.

    python tests/hostile/studies.py FOLDER

Nothing here is of unknown origin, and nothing does harm: code would write the file `proof`, links
point to the file `precious`, and servers would be at an address of this machine.
"""

import gzip
import io
import json
import os
import pickle
import shutil
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import honest
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file

from growsearch.epochs.store import RECORDS, STATES, entry_path
from growsearch.machine.saved import load_tensors, save_tensors
from growsearch.study.model_file import METADATA
from growsearch.study.plugins import describe
from growsearch.study.sealed import seal
from growsearch.tasks.language.model import GPT
from growsearch.trial.plugins import Plugin

TEBIBYTE = 2**40
ROWS = 20_000
SCRIPT = "</script><script>alert(1)</script>\x1b]0;owned\x07"
LISTS = "lipschitz_subnetworks"
"""A column that growsearch writes itself."""


@dataclass(frozen=True)
class Outside:
    """What is outside of the hostile files, and must stay as it is."""

    proof: Path
    """A file that is there if code of the stranger has run."""
    precious: Path
    """A file of the user, beside others in a folder."""
    address: str
    """Host and port of a server that nobody may ask."""

    @property
    def store(self) -> Path:
        """An epoch store of the user, with the epochs of the honest study. The last state of each
        trial is damaged, and one of another key is whole."""
        return self.precious.with_name("store")

    def fill(self, honest_files: Path) -> None:
        """Makes the user's files."""
        folder = self.precious.parent
        (folder / "more").mkdir(parents=True)
        for name in ("precious", "report.html", "search.lock", "more/00002.parquet"):
            (folder / name).write_text(name)
        shutil.copytree(honest_files / "epochs", self.store)
        for table in (honest_files / "study/trials").glob("*.parquet"):
            last = pq.read_table(table)["key"][-1].as_py()
            state = self.store / entry_path(STATES, last)
            whole = self.store / entry_path(STATES, honest.KEY)
            whole.parent.mkdir(exist_ok=True)
            shutil.copy(state, whole)
            state.write_bytes(state.read_bytes()[:-1] + b"?")


class Runs:
    """Writes `proof` when it is unpickled."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.write_text, (self.proof, "ran")


@dataclass(frozen=True)
class Hostile:
    """One way to be hostile."""

    make: Callable[[Path, Outside], None]
    """Changes the honest files in a folder."""
    reads: str
    """What is read then: see reading.commands."""
    says: str
    """What a command must say of it; "" if it is read as if it were honest."""
    resume: str
    """What `resume` must say as it refuses; "" if it might go on."""


HOSTILE: dict[str, Hostile] = {}
Make = Callable[[Path, Outside], None]


def hostile(reads: str, says: str = "", resume: str = "") -> Callable[[Make], Make]:
    def add(make: Make) -> Make:
        HOSTILE[make.__name__.replace("_", "-")] = Hostile(make, reads, says, resume)
        return make

    return add


def make(name: str, folder: Path, outside: Outside, honest_files: Path) -> Hostile:
    """Makes the files of that name in the new `folder`."""
    shutil.copytree(honest_files, folder)
    HOSTILE[name].make(folder, outside)
    return HOSTILE[name]


# -- studies: study.json and code ---------------------------------------------------------------


def _info(folder: Path, **changes: Any) -> None:
    file = folder / "study/study.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def _code(outside: Outside) -> str:
    return f"import pathlib; pathlib.Path({str(outside.proof)!r}).write_text('ran')\n"


@hostile("study", resume="--trust")
def a_plugin_and_a_space_that_run(folder: Path, outside: Outside) -> None:
    plugin = Plugin("theirs.py", _code(outside))
    (folder / "study/plugins").mkdir()
    (folder / "study/plugins" / plugin.file_name).write_text(plugin.source)
    (folder / "study/space.py").write_text(_code(outside) + "param_space = {}\n")
    for name in ("sitecustomize.py", "torch.py", "conftest.py", "pyarrow.py"):
        (folder / "study" / name).write_text(_code(outside))
    _info(folder, plugins=describe([plugin]))


@hostile("study", resume="--trust")
def a_plugin_whose_module_lies_beside_it(folder: Path, outside: Outside) -> None:
    """Who looks for study.evil.x by Python's own finder imports study/evil.py."""
    a_plugin_and_a_space_that_run(folder, outside)
    (folder / "study/evil.py").write_text(_code(outside))
    plugins = json.loads((folder / "study/study.json").read_text())["plugins"]
    _info(folder, plugins=[plugins[0] | {"name": "study.evil.x"}])


@hostile("study", resume="--trust")
def servers_that_would_be_asked(folder: Path, outside: Outside) -> None:
    place = f"s3://bucket/store?scheme=http&endpoint_override={outside.address}"
    settings = {"metric": "val_loss", "store": place, "copy_to": place}
    _info(folder, settings=settings, options={"store": place, "copy_to": place})
    shutil.rmtree(folder / "study/networks")


@hostile("study")
def texts_that_are_code(folder: Path, outside: Outside) -> None:
    _info(folder, searched=["lr", SCRIPT], command=SCRIPT, overrides={SCRIPT: SCRIPT})
    table = _table(folder)
    _write(folder, table.append_column(f"config/{SCRIPT}", pa.array([SCRIPT] * len(table))))


@hostile("study", "setting metric is", "restore")
def settings_of_other_types(folder: Path, outside: Outside) -> None:
    _info(folder, settings={"metric": [], "costs": 5, "scheduler": {}})


@hostile("study", "recursion", "restore")
def json_without_an_end(folder: Path, outside: Outside) -> None:
    (folder / "study/study.json").write_text("[" * 1_000_000)


@hostile("study", "digits", "restore")
def a_number_of_a_million_digits(folder: Path, outside: Outside) -> None:
    (folder / "study/study.json").write_text('{"trials": ' + "9" * 1_000_000 + "}")


@hostile("study", "on disk", "on disk")
def a_study_json_of_a_tebibyte(folder: Path, outside: Outside) -> None:
    os.truncate(folder / "study/study.json", TEBIBYTE)


@hostile("study", "it is a link", "link")
def a_study_json_that_is_a_link(folder: Path, outside: Outside) -> None:
    (folder / "study/study.json").unlink()
    (folder / "study/study.json").symlink_to(outside.precious)


@hostile("study", resume="--trust")
def a_store_that_is_the_users(folder: Path, outside: Outside) -> None:
    place = {"store": str(outside.store), "state_megabytes": 0}
    _info(folder, settings={"metric": "val_loss", **place}, options=place)
    shutil.rmtree(folder / "study/networks")


# -- studies: names, links, pipes ---------------------------------------------------------------


@hostile("study", resume="restore")
def names_that_lead_out(folder: Path, outside: Outside) -> None:
    away = os.path.relpath(outside.precious, folder / "study/trials")
    table = _table(folder)
    _write(folder, _with(table, trial_id=[away] * len(table), key=[away] * len(table)))
    with (folder / "study/search.jsonl").open("a") as log:
        for name in (away, str(outside.precious), "..", ""):
            log.write(json.dumps({"trial": name, "given": {"lr": 1}}) + "\n")


@hostile("study", resume="is a link that leads out")
def links_where_files_are_written(folder: Path, outside: Outside) -> None:
    for name in ("report.html", "front.csv", "front.png", "ended.parquet", "search.lock"):
        (folder / "study" / name).unlink(missing_ok=True)
        (folder / "study" / name).symlink_to(outside.precious)
        (folder / "study" / f"{name}.unfinished").symlink_to(outside.precious)


@hostile("study", "it is a link", "is a link that leads out")
def tables_and_networks_that_are_links(folder: Path, outside: Outside) -> None:
    (folder / "study/trials/00002.parquet").symlink_to(outside.precious)
    (folder / "study/search.jsonl").unlink()
    (folder / "study/search.jsonl").symlink_to(outside.precious)
    for network in (folder / "study/networks").glob("*/*.safetensors"):
        network.unlink()
        network.symlink_to(outside.precious)


@hostile("study", "is a link", "is a link that leads out")
def networks_that_are_a_link(folder: Path, outside: Outside) -> None:
    moved = outside.precious.parent / f"networks of {folder.name}"
    (folder / "study/networks").rename(moved)
    (folder / "study/networks").symlink_to(moved)


@hostile("study")
def names_that_a_terminal_obeys(folder: Path, outside: Outside) -> None:
    name = "a\x1b]0;owned\x07.parquet"
    (folder / "study/trials" / name).write_bytes(b"no table")


@hostile("study", "it is no file", "neither file nor folder")
def pipes_that_never_end(folder: Path, outside: Outside) -> None:
    os.mkfifo(folder / "study/trials/00002.parquet")
    for name in ("search.jsonl", "ended.parquet", "report.html"):
        (folder / "study" / name).unlink(missing_ok=True)
        os.mkfifo(folder / "study" / name)


# -- studies: tables and logs that would take memory --------------------------------------------


def _table(folder: Path) -> pa.Table:
    return pq.read_table(folder / "study/trials/00000.parquet")


def _with(table: pa.Table, **columns: list) -> pa.Table:
    for name, values in columns.items():
        place = table.column_names.index(name)
        table = table.set_column(place, name, pa.array(values))
    return table


def _many(folder: Path) -> pa.Table:
    """The first epoch, many times, with times that differ."""
    table = _table(folder).take([0] * ROWS)
    return _with(table, seconds=np.random.default_rng(0).random(ROWS).tolist())


def _write(folder: Path, table: pa.Table, name: str = "00000", **options: Any) -> None:
    path = folder / f"study/trials/{name}.parquet"
    pq.write_table(table, path, **options)
    seal(path)


@hostile("study", "bytes of text", "bytes of text")
def a_text_that_is_there_again_and_again(folder: Path, outside: Outside) -> None:
    _write(folder, _repeated(folder, "x" * 1_000_000, pa.string()), "00002")


@hostile("study", "bytes of text", "bytes of text")
def bytes_of_one_length_again_and_again(folder: Path, outside: Outside) -> None:
    _write(folder, _repeated(folder, b"x" * 100_000, pa.binary(100_000)), "00002")


def _repeated(folder: Path, value: Any, kind: pa.DataType) -> pa.Table:
    same = pa.DictionaryArray.from_arrays(pa.array([0] * ROWS, pa.int32()), pa.array([value], kind))
    return _many(folder).append_column("own/text", same).replace_schema_metadata(None)


@hostile("study", "bytes of text", "bytes of text")
def a_text_of_which_the_footer_says_that_it_is_short(folder: Path, outside: Outside) -> None:
    path = folder / "study/trials/00002.parquet"
    table = _repeated(folder, "x" * 100_000, pa.string())
    pq.write_table(table, path, compression="none", store_schema=False)
    _say_less(path, "own/text")


@hostile("study", "bytes unpacked", "bytes unpacked")
def a_list_of_which_the_footer_says_that_it_is_short(folder: Path, outside: Outside) -> None:
    table = _table(folder)
    long = pa.array([[1.0] * 4_000_000] + [[1.0]] * (len(table) - 1), pa.list_(pa.float64()))
    path, place = folder / "study/trials/00002.parquet", table.column_names.index(LISTS)
    pq.write_table(table.set_column(place, LISTS, long), path, compression="none",
                   store_schema=False)  # fmt: skip
    _say_less(path, f"{LISTS}.list.element")


@hostile("study", "values of parts", "values of parts")
def a_column_of_lists(folder: Path, outside: Outside) -> None:
    table = _table(folder)
    lists = pa.array([[1.0, 2.0]] * len(table), pa.list_(pa.float64()))
    _write(folder, table.append_column("config/plugged", lists), "00002")


@hostile("study", "two columns of one name", "two columns of one name")
def two_columns_of_one_name(folder: Path, outside: Outside) -> None:
    table = _table(folder)
    for _ in range(2):
        table = table.append_column("own/x", pa.array([1.0] * len(table)))
    _write(folder, table, "00002")


@hostile("study", "architecture", "architecture")
def an_architecture_that_is_none(folder: Path, outside: Outside) -> None:
    table = _table(folder)
    _write(folder, _with(table, architecture=[SCRIPT] * len(table)), "00002")


@hostile("study", "UTF8")
def texts_that_are_no_utf_8(folder: Path, outside: Outside) -> None:
    table = _table(folder)
    broken = pa.array([b"\xff\xfe"] * len(table), pa.binary()).view(pa.string())
    table = table.set_column(table.column_names.index("reason"), "reason", broken)
    _write(folder, table, "00002")


@hostile("study", "bytes unpacked", "bytes unpacked")
def thousands_of_columns_of_one_number(folder: Path, outside: Outside) -> None:
    zeros = pa.array(np.zeros(ROWS))
    many = _many(folder)
    columns = {f"own/{n}": zeros for n in range(2000)}
    _write(folder, pa.table(columns | dict(zip(many.column_names, many.columns, strict=True))),
           "00002")  # fmt: skip


@hostile("study", "as differences", "as differences")
def texts_that_are_differences(folder: Path, outside: Outside) -> None:
    texts = pa.array(["x" * 1000] * ROWS)
    _write(folder, _many(folder).append_column("own/text", texts), "00002", use_dictionary=False,
           column_encoding={"own/text": "DELTA_BYTE_ARRAY"})  # fmt: skip


@hostile("study", "bytes unpacked", "bytes unpacked")
def a_page_that_unpacks_to_more_than_the_footer_says(folder: Path, outside: Outside) -> None:
    table = _table(folder)
    path = folder / "study/trials/00002.parquet"
    zeros = pa.array([b"\0" * 150_000_000] * len(table))
    pq.write_table(table.append_column("own/text", zeros), path, compression="zstd",
                   use_dictionary=False)  # fmt: skip
    _say_less(path, "own/text")


def _say_less(path: Path, column: str) -> None:
    """Lets the footer say that a column has 20 bytes and few values."""

    def chunk() -> Any:
        group = pq.read_metadata(path).row_group(0)
        chunks = map(group.column, range(group.num_columns))
        return next(chunk for chunk in chunks if chunk.path_in_schema == column)

    content, rows = path.read_bytes(), pq.read_metadata(path).num_rows
    footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    said, before = content[footer:], chunk()
    size = _varint(before.total_uncompressed_size)
    said = said.replace(size, _varint(20, len(size)), 1)  # the size on disk comes after it
    if before.num_values != rows:
        count = _varint(before.num_values)
        said = said.replace(count, _varint(2, len(count)), 1)
    path.write_bytes(content[:footer] + said)
    assert chunk().total_uncompressed_size == 20
    seal(path)


def _varint(number: int, length: int = 1) -> bytes:
    """A positive number as Thrift writes it, in at least so many bytes."""
    rest, out = number << 1, []
    while rest or len(out) < length:
        out.append(rest & 127)
        rest >>= 7
    return bytes([part | 128 for part in out[:-1]] + out[-1:])


@hostile("study")
def a_type_that_is_unpickled(folder: Path, outside: Outside) -> None:
    """As pyarrow did it before version 14.0.1 (CVE-2023-47248)."""
    field = pa.field("own/x", pa.int64(), metadata={
        "ARROW:extension:name": "arrow.py_extension_type",
        "ARROW:extension:metadata": pickle.dumps(Runs(outside.proof)),
    })  # fmt: skip
    table = _table(folder)
    _write(folder, table.append_column(field, pa.array([1] * len(table))))


@hostile("study", "on disk", "on disk")
def a_table_of_a_tebibyte(folder: Path, outside: Outside) -> None:
    path = folder / "study/trials/00002.parquet"
    path.write_bytes(b"PAR1")
    os.truncate(path, TEBIBYTE)


@hostile("study", resume="on disk")
def a_log_of_a_tebibyte(folder: Path, outside: Outside) -> None:
    os.truncate(folder / "study/search.jsonl", TEBIBYTE)


@hostile("study")
def numbers_that_are_none(folder: Path, outside: Outside) -> None:
    table, odd = _table(folder), [float("nan"), float("inf")]
    columns = {name: [odd[n % 2] for n in range(len(table))] for name in (
        "val_accuracy", "val_loss", "ppe", "seconds") if name in table.column_names}  # fmt: skip
    _write(folder, _with(table, **columns))


# -- stores and states --------------------------------------------------------------------------


def _pickled(outside: Outside) -> bytes:
    with io.BytesIO() as file:
        torch.save({"network": Runs(outside.proof), "architecture": "2", "facts": {}}, file)
        return file.getvalue()


@hostile("study", "cannot be read")
def a_network_that_is_unpickled(folder: Path, outside: Outside) -> None:
    for network in (folder / "study/networks").glob("*/*.safetensors"):
        network.write_bytes(_pickled(outside))


@hostile("state", "is not a saved state")
def a_state_that_is_unpickled(folder: Path, outside: Outside) -> None:
    (folder / "state.safetensors").write_bytes(_pickled(outside))


@hostile("state", "compressed")
def a_state_that_is_inflated(folder: Path, outside: Outside) -> None:
    with zipfile.ZipFile(folder / "state.safetensors", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data/0", bytes(2**28))


@hostile("state", "on disk")
def a_state_of_a_tebibyte(folder: Path, outside: Outside) -> None:
    os.truncate(folder / "state.safetensors", TEBIBYTE)


def _change(path: Path, **changes: Any) -> None:
    """As older versions wrote it, where a few bytes may stand for many."""
    torch.save(load_tensors(path) | changes, path)


def _laughs() -> list[Any]:
    """A list that has two lists, each of which is one list that has two, and so on."""
    found: list[Any] = ["ha"]
    for _ in range(60):
        found = [found, found]
    return found


@hostile("study", "far more than its file")
def networks_with_lists_of_lists(folder: Path, outside: Outside) -> None:
    for network in (folder / "study/networks").glob("*/*.safetensors"):
        _change(network, facts={"laughs": _laughs()})


@hostile("study", "far more than its file")
def networks_of_one_number_again_and_again(folder: Path, outside: Outside) -> None:
    for network in (folder / "study/networks").glob("*/*.safetensors"):
        _change(network, network={"weight": torch.zeros(1).expand(30_000, 30_000)})


@hostile("state", "far more than its file")
def a_state_with_lists_of_lists(folder: Path, outside: Outside) -> None:
    _change(folder / "state.safetensors", phase=_laughs())


@hostile("state", "far more than its file")
def a_state_of_one_number_again_and_again(folder: Path, outside: Outside) -> None:
    _change(folder / "state.safetensors", network={"weight": torch.zeros(1).expand(30_000, 30_000)})


@hostile("state", "is not a saved state")
def a_state_with_a_tensor_of_a_tebibyte(folder: Path, outside: Outside) -> None:
    path = folder / "state.safetensors"
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    name = max(header.keys() - {"__metadata__"}, key=lambda name: header[name]["data_offsets"])
    header[name] = {"dtype": "U8", "shape": [TEBIBYTE], "data_offsets": [0, TEBIBYTE]}
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + length :])


@hostile("state", "far more than its file")
def a_state_of_one_tensor_again_and_again(folder: Path, outside: Outside) -> None:
    path, weights = folder / "state.safetensors", torch.zeros(2**18)
    network = {str(n): weights for n in range(1000)}
    save_tensors(load_tensors(path) | {"network": network}, path)


@hostile("store")
def a_store_of_pickles_links_and_holes(folder: Path, outside: Outside) -> None:
    states, records = (folder / "store" / kind for kind in (STATES, RECORDS))
    (folder / "store" / entry_path(STATES, honest.KEY)).write_bytes(_pickled(outside))
    os.truncate(folder / "store" / entry_path(RECORDS, honest.KEY), TEBIBYTE)
    for kind in (states, records):
        (kind / "cd").symlink_to(outside.precious.parent)
        (kind / "ab" / ("ab" + "1" * 30)).symlink_to(outside.precious)
        os.mkfifo(kind / "ab" / ("ab" + "2" * 30))


# -- exported networks --------------------------------------------------------------------------


def _exported(folder: Path, **changes: Any) -> None:
    path = folder / "network.safetensors"
    with safe_open(path, framework="pt") as file:
        about = json.loads(file.metadata()[METADATA])
        weights = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    save_file(weights, path, {METADATA: json.dumps(about | changes)})


def _options(folder: Path) -> dict[str, Any]:
    with safe_open(folder / "network.safetensors", framework="pt") as file:
        return dict(json.loads(file.metadata()[METADATA])["options"])


@hostile("network", "blocks, but has")
def a_network_of_a_trillion_blocks(folder: Path, outside: Outside) -> None:
    _exported(folder, architecture="1000000000000")


@hostile("network", "blocks, but has")
def a_network_of_blocks_without_weights(folder: Path, outside: Outside) -> None:
    path = folder / "network.safetensors"
    with safe_open(path, framework="pt") as file:
        text = file.metadata()[METADATA]
    weights = {f"empty{n}": torch.zeros(0) for n in range(5000)}
    save_file(weights, path, {METADATA: json.dumps(json.loads(text) | {"architecture": "5000"})})


@hostile("picture", "no list of texts")
def names_of_classes_that_are_none(folder: Path, outside: Outside) -> None:
    _exported(folder, class_names=[[1]])


@hostile("picture")
def names_of_classes_that_a_terminal_obeys(folder: Path, outside: Outside) -> None:
    _exported(folder, class_names=["\x1b]0;owned\x07"] * 10)


@hostile("picture", "cannot be read as images")
def a_picture_that_starts_a_program(folder: Path, outside: Outside) -> None:
    """Pillow has Ghostscript draw an EPS file."""
    (folder / "picture.png").write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n"
    )


@hostile("picture", "cannot be read as images")
def a_picture_of_far_more_pixels_than_bytes(folder: Path, outside: Outside) -> None:
    Image.new("L", (13_000, 13_000)).save(folder / "picture.png")


@hostile("picture", "cannot be read as images")
def a_network_that_takes_huge_pictures(folder: Path, outside: Outside) -> None:
    with safe_open(folder / "network.safetensors", framework="pt") as file:
        facts = json.loads(file.metadata()[METADATA])["facts"]
    _exported(folder, facts=facts | {"shorter": 10**6})


@hostile("network", "numbers, and the file")
def a_network_that_is_a_million_wide(folder: Path, outside: Outside) -> None:
    _exported(folder, options=_options(folder) | {"width": 1_000_000})


@hostile("network", "buffers of")
def a_network_of_a_huge_context(folder: Path, outside: Outside) -> None:
    gpt = GPT(1, 32, 4, context=8, vocabulary=256, rotary=True)
    about = {
        "options": {"task": "language", "dataset": "text", "width": 32, "positions": "rotary",
                    "context": 20_000_000},
        "plugins": {}, "architecture": "1", "steps": [[1, 1]], "facts": {"characters": None},
        "constants": {},
    }  # fmt: skip
    save_file(gpt.state_dict(), folder / "network.safetensors", {METADATA: json.dumps(about)})


@hostile("network", "; ")
def a_network_of_huge_images(folder: Path, outside: Outside) -> None:
    _exported(folder, facts={"image_shape": [1, 10**9, 10**9], "classes": 10**12})


@hostile("network", "on disk")
def a_network_of_a_tebibyte(folder: Path, outside: Outside) -> None:
    os.truncate(folder / "network.safetensors", TEBIBYTE)


@hostile("network", "not known here")
def a_network_with_code_of_theirs(folder: Path, outside: Outside) -> None:
    (folder / "theirs.py").write_text(_code(outside))
    _exported(folder, options={"task": "theirs"}, plugins={"task": "theirs.py"})


# -- data ---------------------------------------------------------------------------------------


@hostile("copy", "on disk")
def a_copy_of_a_tebibyte(folder: Path, outside: Outside) -> None:
    os.truncate(folder / "study/trials/00001.parquet", TEBIBYTE)


@hostile("images", "unpacks to more than")
def images_that_are_inflated(folder: Path, outside: Outside) -> None:
    packed = gzip.compress(bytes(2**24), 9)  # each of them is whole
    (folder / "images").write_bytes(packed * 20)


@hostile("arrays", "unpacks to")
def arrays_that_are_inflated(folder: Path, outside: Outside) -> None:
    images = np.zeros((500_000, 28, 28), np.uint8)
    np.savez_compressed(folder / "images.npz", X=images, y=np.arange(500_000) % 2)


@hostile("arrays", "Python objects")
def arrays_that_are_unpickled(folder: Path, outside: Outside) -> None:
    labels = np.array([Runs(outside.proof)] * 20, dtype=object)
    np.savez(folder / "images.npz", X=np.zeros((20, 4, 4), np.uint8), y=labels)


@hostile("arrays", "cannot be read")
def arrays_that_say_they_are_large(folder: Path, outside: Outside) -> None:
    with io.BytesIO() as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "|u1", "fortran_order": False, "shape": (10**13, 4, 4)}
        )
        header = file.getvalue()
    with zipfile.ZipFile(folder / "images.npz", "w") as archive:
        archive.writestr("X.npy", header + bytes(100))
        archive.writestr("y.npy", header + bytes(100))


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True)
    outside = Outside(folder / "proof", folder / "outside/precious", "127.0.0.1:9")
    files = folder / "honest"
    files.mkdir()
    honest.made(files)
    outside.fill(files)
    for name in HOSTILE:
        make(name, folder / name, outside, files)


if __name__ == "__main__":
    main()

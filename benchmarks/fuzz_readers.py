"""What benchmarks/fuzz.py feeds: readers of files that strangers send, with files to begin from."""

import hashlib
import io
import itertools
import json
import struct
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from honest import KEY

from growsearch import TrialConfig
from growsearch.epochs.store import RECORDS, STATES, EpochStore, entry_path
from growsearch.machine.pickled import TAIL
from growsearch.searches.ledger import Ledger
from growsearch.study.model_file import METADATA, read_model
from growsearch.study.page import fill_page
from growsearch.study.page_data import page_data
from growsearch.study.report import study_subject
from growsearch.study.results import read_histories
from growsearch.study.search_log import ending_order, given_in_log
from growsearch.tasks.images.mnist import read_idx
from growsearch.training.state import read_state
from growsearch.trial.errors import InputError

_PAGES = itertools.count()
_END = struct.Struct("<4sHHHHIIH")
"""The end of a zip archive as zipfile writes it."""


@dataclass(frozen=True)
class Reader:
    """One kind of file."""

    place: str
    """Where it is, in the folder that `honest.made` has filled."""
    read: Callable[[Path], object]
    """Reads it, given that folder."""
    whole: Callable[[bytes, bytes], bytes] = lambda data, _: data
    """The file of an input and of the file that `made` left: with a right checksum, say."""
    inner: Callable[[bytes], bytes] = lambda content: content
    """The input of a file, so that the fuzzer does not waste time on checksums."""
    json: str = ""
    """Whether inputs are JSON: "text", or "lines"."""
    slow: bool = False
    """Whether an input takes a second: each is read like a study, not refused."""


def _resealed(data: bytes, _: bytes) -> bytes:
    footer = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    if data[-4:] != b"PAR1" or footer < 0:
        return data
    mark = b"growsearch-sha256:" + hashlib.sha256(data).hexdigest().encode()
    return data[:footer] + mark + data[footer:]


def _unsealed(content: bytes) -> bytes:
    at = content.rfind(b"growsearch-sha256:")
    return content if at < 0 else content[:at] + content[at + 82 :]


def _rows_of(content: bytes) -> bytes:
    rows = pq.read_table(io.BytesIO(content)).to_pylist()
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def _of_rows(data: bytes, content: bytes) -> bytes:
    """A table of rows, with the types of the first one where they still fit."""
    buffer = io.BytesIO()
    try:
        rows = [json.loads(line) for line in data.splitlines()]
        table = pa.Table.from_pylist(rows)
        for field in pq.read_schema(io.BytesIO(content)):
            at = table.schema.get_field_index(field.name)
            with suppress(pa.ArrowException):
                table = (
                    table.set_column(at, field, table[at].cast(field.type)) if at >= 0 else table
                )
        pq.write_table(table, buffer)
    except (ValueError, TypeError, AttributeError, OverflowError, pa.ArrowException):
        return data  # no table
    return _resealed(buffer.getvalue(), content)


def _hashed(data: bytes, _: bytes) -> bytes:
    return b"growsearch-1 " + hashlib.sha256(data).hexdigest().encode() + b"\n" + data


def _unhashed(content: bytes) -> bytes:
    return content.partition(b"\n")[2]


def _pickle_of(content: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return archive.read(_pickle(archive))


def _with_pickle(data: bytes, content: bytes) -> bytes:
    """The archive with another pickle, right checksums, and an end as torch.save writes it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(buffer, "w") as new:
        for name in old.namelist():
            new.writestr(name, data if name == _pickle(old) else old.read(name))
    body, end = buffer.getvalue()[: -_END.size], _END.unpack(buffer.getvalue()[-_END.size :])
    count, length, start = end[4:7]
    record = (b"PK\6\6", 44, 45, 45, 0, 0, count, count, length, start)
    return body + TAIL.pack(*record, b"PK\6\7", 0, len(body), 1, *end)


def _pickle(archive: zipfile.ZipFile) -> str:
    return next(name for name in archive.namelist() if name.endswith("data.pkl"))


def _parts(content: bytes) -> tuple[dict[str, Any], bytes]:
    """The header of a file of safetensors, and the bytes of its tensors."""
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def _joined(header: dict[str, Any], tensors: bytes) -> bytes:
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + tensors


def _values_of(content: bytes) -> bytes:
    return str(_parts(content)[0]["__metadata__"]["values"]).encode()


def _with_values(data: bytes, content: bytes) -> bytes:
    """The saved state with other values, and their checksum."""
    header, tensors = _parts(content)
    del header["__metadata__"]
    values, table = data.decode(errors="replace"), json.dumps(header, separators=(",", ":"))
    checksum = zlib.crc32((table + values).encode() + tensors)
    return _joined(header | {"__metadata__": {"values": values, "crc32": str(checksum)}}, tensors)


def _metadata_of(content: bytes) -> bytes:
    return str(_parts(content)[0]["__metadata__"][METADATA]).encode()


def _with_metadata(data: bytes, content: bytes) -> bytes:
    header, tensors = _parts(content)
    return _joined(header | {"__metadata__": {METADATA: data.decode(errors="replace")}}, tensors)


def _report(folder: Path) -> None:
    subject = study_subject(folder / "study")
    if next(_PAGES) % 32 == 0:  # a page takes long
        fill_page(subject.title, page_data(subject))


def _tables(folder: Path) -> None:
    with suppress(InputError):
        read_histories(folder / "study")
    _report(folder)


def _log(folder: Path) -> None:
    with suppress(InputError):
        Ledger.read(folder / "study")
    log = folder / "study" / "search.jsonl"
    ending_order(log), given_in_log(log)


STUDY, STORE = "study/trials/00000.parquet", f"store/{entry_path(RECORDS, KEY)}"
READERS = {
    "table": Reader(STUDY, _tables, _resealed, _unsealed, slow=True),
    "rows": Reader(STUDY, _tables, _of_rows, _rows_of, "lines", slow=True),
    "study": Reader("study/study.json", _report, json="text"),
    "log": Reader("study/search.jsonl", _log, json="lines"),
    "state": Reader(
        "state.safetensors", lambda f: read_state(f / "state.safetensors"),
        _with_values, _values_of, "text",
    ),
    "state-file": Reader("state.safetensors", lambda f: read_state(f / "state.safetensors")),
    "old-state": Reader(
        "state.pt", lambda f: read_state(f / "state.pt"), _with_pickle, _pickle_of
    ),
    "old-state-file": Reader("state.pt", lambda f: read_state(f / "state.pt")),
    "record": Reader(
        STORE, lambda f: EpochStore(str(f / "store")).record(KEY), _hashed, _unhashed, "text"
    ),
    "store-state": Reader(
        f"store/{entry_path(STATES, KEY)}",
        lambda f: EpochStore(str(f / "store")).state(KEY), _hashed, _unhashed,
    ),
    "network": Reader(
        "network.safetensors", lambda f: read_model(f / "network.safetensors"),
        _with_metadata, _metadata_of, "text",
    ),
    "network-file": Reader(
        "network.safetensors", lambda f: read_model(f / "network.safetensors")
    ),
    "images": Reader("images", lambda f: read_idx(f / "images", 3)),
    "arrays": Reader(
        "images.npz",
        lambda f: TrialConfig(data_dir=str(f / "images.npz"), dataset="arrays").task.loaded,
    ),
}  # fmt: skip

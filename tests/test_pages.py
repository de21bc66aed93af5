"""What the pages of a Parquet file unpack to, by their headers."""

import io
import random
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from growsearch.study.pages import pages_of


def followed(pages: bytes):
    column = SimpleNamespace(
        data_page_offset=0, dictionary_page_offset=None, total_compressed_size=len(pages)
    )
    return pages_of(pages, column)


def number(value: int) -> bytes:
    """In Thrift's compact protocol, the last bit being the sign."""
    value, found = (value << 1) ^ (value >> 63), []
    while value > 127:
        value, found = value >> 7, [*found, value & 127 | 128]
    return bytes([*found, value])


def header(unpacked: int, packed: int, values: int) -> bytes:
    """A data page: its type, two sizes, and a struct with a number of values and an encoding."""
    of_data = b"\x15" + number(values) + b"\x15" + number(0) + b"\0"
    sizes = b"\x15" + number(0) + b"\x15" + number(unpacked) + b"\x15" + number(packed)
    return sizes + b"\x2c" + of_data + b"\0"


@pytest.mark.parametrize("compression", ["none", "snappy", "zstd"])
@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_honest_pages_come_to_what_pyarrow_wrote(compression, version):
    table = pa.table({"number": range(5000), "text": [f"{n % 7}" * 9 for n in range(5000)]})
    file = io.BytesIO()
    pq.write_table(
        table, file, compression=compression, data_page_version=version, data_page_size=1000
    )
    group = pq.read_metadata(file).row_group(0)
    for chunk in map(group.column, range(2)):
        pages = pages_of(file.getvalue(), chunk)
        assert pages.values == 5000
        # pyarrow counts headers too, of less than 100 bytes each
        assert 0 <= chunk.total_uncompressed_size - pages.unpacked < 100 * 200


def test_sizes_and_numbers_of_values_add_up():
    pages = header(700, 3, 40) + b"abc" + header(2**40, 0, 5)
    assert followed(pages) == (700 + 2**40, 45)


@pytest.mark.parametrize(
    "pages",
    [
        header(-1, 0, 1), header(1, -1, 1), header(1, 9, 1), header(1, 0, -1),
        b"\x15\0\x18\0\x15\0\0",  # a text where a size should be
        b"\x15" + b"\x80" * 11 + b"\0",  # a number of more than 64 bits
        b"\x19" * 10_000,  # lists of lists
        b"\x1c" * 10_000,  # structs of structs
        b"\x1d",
        b"\x15",
    ],
)  # fmt: skip
def test_pages_that_cannot_be_followed_are_refused(pages):
    with pytest.raises(ValueError, match="it has"):
        followed(pages)


def test_whatever_bytes_come_they_are_followed_or_refused():
    draw, honest = random.Random(0), header(700, 3, 40) + b"abc"
    read, refusals = 0, []
    for _ in range(20_000):
        pages = bytearray(honest)
        for _ in range(draw.randrange(1, 4)):
            pages[draw.randrange(len(pages))] = draw.randrange(256)
        try:
            unpacked, values = followed(bytes(pages))
            read += unpacked >= 0 <= values
        except ValueError as error:
            refusals.append(str(error))
    assert all(said.startswith("it has") for said in refusals)
    assert read > 100

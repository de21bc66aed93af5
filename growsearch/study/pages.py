"""What the pages of a Parquet file unpack to, by their own headers, which a reader goes by.

The footer of a file may say less. Headers are in Thrift's compact protocol (Apache Parquet format,
struct PageHeader).
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import pyarrow.parquet as pq

_UNPACKED, _PACKED = 2, 3
"""Fields of a PageHeader: sizes in bytes."""
_OF_DATA, _VALUES = {5: 2, 8: 4}, 1
"""The fields for the two kinds of pages of data, and the fields there that say how values are
stored, and how many there are."""
_AS_DIFFERENCES = 7
"""DELTA_BYTE_ARRAY: a text that begins like the last one takes hardly a byte."""
_MOST_NESTED = 8
_BOOLS, _BYTE, _WHOLE, _DOUBLE, _BINARY, _LISTS, _STRUCT = (1, 2), 3, (4, 5, 6), 7, 8, (9, 10), 12


class Pages(NamedTuple):
    """What the pages of a column come to."""

    unpacked: int
    """Bytes."""
    values: int


def pages_of(content: bytes, chunk: pq.ColumnChunkMetaData) -> Pages:
    """The pages of a column of the file with this content.

    Raises ValueError for pages that cannot be followed, and for texts that are stored as
    differences, which may unpack to any size and which growsearch does not write.
    """
    start, first = chunk.data_page_offset, chunk.dictionary_page_offset
    if first is not None and 0 < first < start:
        start = first
    end = start + chunk.total_compressed_size
    if not 0 <= start <= end <= len(content):
        raise ValueError("it has a column that leads out of the file")
    return _followed(content[start:end])


def _followed(pages: bytes) -> Pages:
    reader = _Compact(pages)
    unpacked = values = 0
    while reader.place < len(pages):
        try:
            header = dict(reader.struct())
            size, packed = header[_UNPACKED], header[_PACKED]
        except (IndexError, KeyError) as error:
            raise ValueError("it has a page without a header") from error
        reader.place += packed
        if size < 0 or packed < 0 or reader.place > len(pages):
            raise ValueError("it has a page that leads out of its column")
        for kind, encoding in _OF_DATA.items():
            of_data = header.get(kind, {})
            if of_data.get(encoding) == _AS_DIFFERENCES:
                raise ValueError("it has texts that are stored as differences")
            values += of_data.get(_VALUES, 0)
        unpacked += size
    return Pages(unpacked, values)


class _Compact:
    """Reads Thrift's compact protocol. Raises IndexError at the end of the data."""

    def __init__(self, data: bytes) -> None:
        self.data, self.place = data, 0

    def struct(self, nested: int = 0) -> Iterator[tuple[int, Any]]:
        """The fields of a struct with their values: whole numbers, and dicts for structs."""
        if nested > _MOST_NESTED:
            raise ValueError("it has a page whose header is nested too deep")
        field = 0
        while kind := self.byte():
            field = field + (kind >> 4) if kind >> 4 else self.number()
            yield field, self.value(kind & 15, nested)

    def value(self, kind: int, nested: int) -> Any:
        if kind in _WHOLE:
            return self.number()
        if kind == _STRUCT:
            return dict(self.struct(nested + 1))
        if kind in _BOOLS:
            return None
        if kind in _LISTS:
            head = self.byte()
            for _ in range(head >> 4 if head >> 4 < 15 else self.unsigned()):
                self.byte() if head & 15 in _BOOLS else self.value(head & 15, nested + 1)
            return None
        if kind not in (_BYTE, _DOUBLE, _BINARY):
            raise ValueError("it has a page whose header cannot be read")
        length = {_BYTE: 1, _DOUBLE: 8}.get(kind) or self.unsigned()
        self.place += length
        return None

    def number(self) -> int:
        """A whole number whose last bit is its sign."""
        value = self.unsigned()
        return (value >> 1) ^ -(value & 1)

    def unsigned(self) -> int:
        value = shift = 0
        while (byte := self.byte()) & 128:
            value |= (byte & 127) << shift
            shift += 7
        return value | byte << shift

    def byte(self) -> int:
        self.place += 1
        return self.data[self.place - 1]

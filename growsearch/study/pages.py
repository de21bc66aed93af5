"""What the pages of a Parquet file unpack to, by their own headers, which a reader goes by.

The footer of a file may say less. Headers are in Thrift's compact protocol (Apache Parquet format,
struct PageHeader).
"""

from collections.abc import Iterator
from typing import Any

import pyarrow.parquet as pq

_UNPACKED, _PACKED = 2, 3
"""Fields of a PageHeader: sizes in bytes."""
_ENCODING = {5: 2, 8: 4}
"""The fields for the two kinds of pages of data, and the field there that says how values are
stored."""
_AS_DIFFERENCES = 7
"""DELTA_BYTE_ARRAY: a text that begins like the last one takes hardly a byte."""
_LITTLE_PACKED = ("SNAPPY", "UNCOMPRESSED")
_MOST_NESTED = 8
_BOOLS, _BYTE, _WHOLE, _DOUBLE, _BINARY, _LISTS, _STRUCT = (1, 2), 3, (4, 5, 6), 7, 8, (9, 10), 12


def unpacked_bytes(content: bytes, metadata: pq.FileMetaData) -> int:
    """The bytes that pages unpack to, of columns where that may be any multiple of their size.

    These are texts, and what is compressed in other ways than by snappy, whose multiple is at most
    22. Raises ValueError for pages that cannot be followed, and for texts that are stored as
    differences, which may unpack to any size and which growsearch does not write.
    """
    total = 0
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        for chunk in map(group.column, range(group.num_columns)):
            if chunk.physical_type != "BYTE_ARRAY" and chunk.compression in _LITTLE_PACKED:
                continue
            start, first = chunk.data_page_offset, chunk.dictionary_page_offset
            if first is not None and 0 < first < start:
                start = first
            end = start + chunk.total_compressed_size
            if not 0 <= start <= end <= len(content):
                raise ValueError("it has a column that leads out of the file")
            total += _unpacked(content[start:end])
    return total


def _unpacked(pages: bytes) -> int:
    reader = _Compact(pages)
    total = 0
    while reader.place < len(pages):
        try:
            header = dict(reader.struct())
            size, packed = header[_UNPACKED], header[_PACKED]
        except (IndexError, KeyError) as error:
            raise ValueError("it has a page without a header") from error
        reader.place += packed
        if size < 0 or packed < 0 or reader.place > len(pages):
            raise ValueError("it has a page that leads out of its column")
        for kind, field in _ENCODING.items():
            if header.get(kind, {}).get(field) == _AS_DIFFERENCES:
                raise ValueError("it has texts that are stored as differences")
        total += size
    return total


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

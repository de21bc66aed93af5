"""What the pages of a Parquet file unpack to, by their own headers, which a reader goes by.

The footer of a file may say less. Headers are in Thrift's compact protocol (Apache Parquet format,
struct PageHeader).
"""

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
            header = reader.struct()
        except IndexError as error:
            raise ValueError("it has a page without a header") from error
        size, packed = _natural(header, _UNPACKED), _natural(header, _PACKED)
        reader.place += packed
        if reader.place > len(pages):
            raise ValueError("it has a page that leads out of its column")
        for kind, encoding in _OF_DATA.items():
            of_data = header.get(kind)
            if not isinstance(of_data, dict):
                continue
            if of_data.get(encoding) == _AS_DIFFERENCES:
                raise ValueError("it has texts that are stored as differences")
            values += _natural(of_data, _VALUES)
        unpacked += size
    return Pages(unpacked, values)


def _natural(header: dict[int, Any], field: int) -> int:
    value = header.get(field)
    if not isinstance(value, int) or value < 0:
        raise ValueError("it has a page whose header lacks a size or a number of values")
    return value


class _Compact:
    """Reads Thrift's compact protocol. Raises IndexError at the end of the data."""

    def __init__(self, data: bytes) -> None:
        self.data, self.place = data, 0

    def struct(self, nested: int = 0) -> dict[int, Any]:
        """The fields of a struct: whole numbers, dicts for structs, and None for others."""
        fields, field = dict[int, Any](), 0
        while kind := self.byte():
            field = field + (kind >> 4) if kind >> 4 else self.number()
            fields[field] = self.value(kind & 15, nested)
        return fields

    def value(self, kind: int, nested: int) -> Any:
        if nested > _MOST_NESTED:
            raise ValueError("it has a page whose header is nested too deep")
        if kind in _WHOLE:
            return self.number()
        if kind == _STRUCT:
            return self.struct(nested + 1)
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
        value = 0
        for shift in range(0, 64, 7):  # a longer one would take the square of its length in time
            byte = self.byte()
            value |= (byte & 127) << shift
            if not byte & 128:
                return value
        raise ValueError("it has a page whose header has a number of more than 64 bits")

    def byte(self) -> int:
        self.place += 1
        return self.data[self.place - 1]

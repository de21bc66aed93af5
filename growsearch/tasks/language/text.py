"""A text as tokens: read, divided by position, and cut into windows."""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import torch
from torch import Tensor

from growsearch.machine.batches import add_tensor
from growsearch.tasks.language.source import TextSource
from growsearch.trial.errors import InputError

SPLITS = ("train", "val", "test")
SHARES = (0.9, 0.95)
"""Where in the text validation and test text begin, as shares of its bytes."""


@dataclass(frozen=True)
class Text:
    """Tokens of the three parts of a text, which do not overlap."""

    parts: dict[str, Tensor]
    """By split, its tokens [n]: bytes as uint8, or numbers of characters as int32."""
    characters: str | None
    """All characters of the text in the order of their numbers; None if tokens are bytes."""
    digest: str
    """A hash of all of it."""

    @property
    def vocabulary(self) -> int:
        """How many different tokens there may be."""
        return vocabulary(self.characters)

    def bytes_of(self, tokens: Tensor) -> int:
        """How many bytes of UTF-8 the tokens are."""
        if self.characters is None:
            return tokens.numel()
        lengths = torch.tensor([len(character.encode()) for character in self.characters])
        return int(lengths.to(tokens.device)[tokens.long()].sum())


def vocabulary(characters: str | None) -> int:
    """How many different tokens there may be; `characters` is None if they are bytes."""
    return 256 if characters is None else len(characters)


def read_text(source: TextSource, data_dir: str | None, tokens: str) -> Text:
    """The text of `source`, in `tokens` "bytes" or "characters", read again if it has changed.

    Raises InputError for a file that is missing, empty or not UTF-8.
    """
    return _read_text(source, data_dir, tokens, source.state(data_dir))


@lru_cache(maxsize=2)
def _read_text(source: TextSource, data_dir: str | None, tokens: str, state: str) -> Text:
    raw = source.read(data_dir)
    _check(raw, f"data_dir {data_dir!r}" if data_dir else f"dataset {source.name!r}")
    cuts = [0, *(_character_from(raw, int(len(raw) * share)) for share in SHARES), len(raw)]
    raws = [raw[begin:end] for begin, end in pairwise(cuts)]
    characters = None
    if tokens == "bytes":
        parts = [_numbers(part, torch.uint8) for part in raws]
    else:
        characters = "".join(sorted(set(raw.decode())))
        points = _code_points(characters)
        parts = [torch.searchsorted(points, _code_points(p.decode())).int() for p in raws]
    named = dict(zip(SPLITS, parts, strict=True))
    digest = hashlib.sha256(repr(characters).encode())
    for split, part in named.items():
        add_tensor(digest, split, part)
    return Text(named, characters, digest.hexdigest())


def _check(raw: bytes, where: str) -> None:
    if not isinstance(raw, bytes):
        raise InputError(f"{where} reads a {type(raw).__name__}; return the text as bytes in UTF-8")
    if not raw:
        raise InputError(f"{where} is empty; give a text file in UTF-8")
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        raise InputError(
            f"{where} is not UTF-8 (byte 0x{raw[error.start]:02x} at position {error.start:,}); "
            "give a text file, or convert it: iconv -f latin1 -t utf8"
        ) from error
    if (at := raw.find(0)) >= 0:
        raise InputError(
            f"{where} is binary, not text (byte 0x00 at position {at:,}); give a text file in UTF-8"
        )


def _code_points(text: str) -> Tensor:
    """The code points of the characters, [n]."""
    return _numbers(text.encode("utf-32-le"), torch.int32)


def _numbers(raw: bytes, dtype: torch.dtype) -> Tensor:
    """The numbers that the bytes are, [n]."""
    return torch.frombuffer(bytearray(raw), dtype=dtype) if raw else torch.zeros(0, dtype=dtype)


def _character_from(raw: bytes, at: int) -> int:
    """The first position from `at` on where a character begins."""
    while at < len(raw) and raw[at] & 0xC0 == 0x80:
        at += 1
    return at


def windows(tokens: Tensor, size: int, most: int) -> Tensor:
    """Windows [n, size + 1] of the tokens that predict each token at most once.

    They overlap in one token, which the one before predicts and the next one begins with. If there
    are more than `most`, `most` that are equally far apart are taken.
    """
    count = (len(tokens) - 1) // size
    chosen = torch.arange(min(count, most)) * count // min(count, most)
    return tokens.unfold(0, size + 1, size)[chosen.to(tokens.device)]

"""Decoding once the pictures of a folder that is laid out like ImageNet."""

import hashlib
import os
import shutil
from collections.abc import Generator
from contextlib import closing
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from growsearch.tasks.images.decoded import PARTS, PIXELS, is_decoded, write_index
from growsearch.tasks.images.encoded import ImageFiles, open_file
from growsearch.tasks.images.folders import given_folder
from growsearch.tasks.images.imagenet import LAYOUT, read_files
from growsearch.tasks.images.streamed import CHUNK, SHORTER, resized
from growsearch.tasks.images.workers import in_workers
from growsearch.trial.errors import InputError, one_line


class Decoding:
    """To iterate is to decode: each picture's bytes are yielded when it is written.

    The folder has the name `out` when all is written; of an iteration that fails or is closed
    nothing stays. Raises InputError if `data_dir` is not laid out like ImageNet, a picture cannot
    be read, or `out` is neither new nor empty, or cannot be written.
    """

    def __init__(self, data_dir: str, out: str) -> None:
        folder = given_folder(data_dir, LAYOUT)
        if is_decoded(folder):
            raise InputError(f"data_dir {data_dir!r} is decoded already; train from it")
        self.out = Path(os.path.abspath(out))
        self.unfinished = self.out.with_name(f"{self.out.name}.unfinished")
        try:
            self._check_out()
        except OSError as error:
            raise self._failed("made", error) from error
        self.splits = dict(zip(PARTS, read_files(folder), strict=True))

    def __len__(self) -> int:
        return sum(map(len, self.splits.values()))

    def __iter__(self) -> Generator[int, None, None]:
        try:
            self.unfinished.mkdir(parents=True)
        except OSError as error:
            raise self._failed("made", error) from error
        try:
            self._check_space()
            for part, files in self.splits.items():
                yield from self._write(part, files)
            self.unfinished.rename(self.out)
        except OSError as error:
            raise self._failed("written", error) from error
        finally:
            shutil.rmtree(self.unfinished, ignore_errors=True)

    def _check_out(self) -> None:
        if self.out.exists() and (not self.out.is_dir() or any(self.out.iterdir())):
            held = "decoded images" if is_decoded(self.out) else "other files"
            raise InputError(
                f"output folder {str(self.out)!r} holds {held}; nothing was changed: choose a new "
                "folder"
            )
        if self.out.is_mount():
            raise InputError(
                f"output folder {str(self.out)!r} is where a disk is mounted, and cannot be "
                "renamed when all is written; choose a new folder in it"
            )
        if self.unfinished.exists():
            raise InputError(
                f"{str(self.unfinished)!r} is there: another growsearch decode writes it, or was "
                "killed; wait for its end, or remove the folder"
            )

    def _check_space(self) -> None:
        least = len(self) * SHORTER * SHORTER * 3  # if all were square
        free = shutil.disk_usage(self.unfinished).free
        if free < least:
            raise InputError(
                f"{len(self):,} pictures take at least {least / 1e9:,.1f} GB, but {free / 1e9:,.1f}"
                f" GB are free for output folder {str(self.out)!r}; choose another disk"
            )

    def _failed(self, what: str, error: OSError) -> InputError:
        why = error.strerror or one_line(error)
        return InputError(
            f"output folder {str(self.out)!r} cannot be {what} ({why}); choose another, or make "
            "room for it"
        )

    def _write(self, part: str, files: ImageFiles) -> Generator[int, None, None]:
        chunks = [files.paths[i : i + CHUNK] for i in range(0, len(files), CHUNK)]
        workers = min(len(os.sched_getaffinity(0)), len(files) // CHUNK)
        sha256, sizes = hashlib.sha256(), []
        with (
            (self.unfinished / f"{part}{PIXELS}").open("wb") as file,
            closing(in_workers(_decoded, chunks, workers)) as decoded,
        ):
            for pixels, some in decoded:
                file.write(pixels.numpy().data)
                sha256.update(pixels.numpy().data)
                sizes.append(some.numpy())
                yield from (some.prod(dim=1) * 3).tolist()
            file.flush()
            os.fsync(file.fileno())
        folders = dict.fromkeys(os.path.dirname(path) for path in files.paths)
        classes = [os.path.basename(folder) for folder in folders]
        write_index(
            self.unfinished, part, np.concatenate(sizes), files.labels, classes, sha256.hexdigest()
        )


def _decoded(paths: list[str]) -> tuple[Tensor, Tensor]:
    """Pixels of all of them, uint8, one picture after the other, and their sizes, int64 [n, 2]."""
    pictures = [np.asarray(resized(open_file(path))) for path in paths]
    sizes = torch.tensor([picture.shape[:2] for picture in pictures])
    return torch.from_numpy(np.concatenate([picture.ravel() for picture in pictures])), sizes

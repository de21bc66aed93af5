"""Decodes the pictures of a folder with ImageNet's layout once, for faster training."""

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
    """Decodes pictures while it is iterated; yields the bytes of each picture that is written.

    Files are written to `out`.unfinished, which is renamed to `out` at the end, and removed if the
    iteration fails or is closed. Raises InputError if `data_dir` does not have ImageNet's layout,
    a picture cannot be read, or `out` is not new or empty, or cannot be written.
    """

    def __init__(self, data_dir: str, out: str) -> None:
        folder = given_folder(data_dir, LAYOUT)
        if is_decoded(folder):
            raise InputError(f"data_dir {data_dir!r} is already decoded; train from it")
        self.out = Path(os.path.abspath(out))
        self.unfinished = self.out.with_name(f"{self.out.name}.unfinished")
        try:
            self._check_out()
        except OSError as error:
            raise self._failed("created", error) from error
        self.splits = dict(zip(PARTS, read_files(folder), strict=True))

    def __len__(self) -> int:
        return sum(map(len, self.splits.values()))

    def __iter__(self) -> Generator[int, None, None]:
        try:
            self.unfinished.mkdir(parents=True)
        except OSError as error:
            raise self._failed("created", error) from error
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
                f"output folder {str(self.out)!r} is a mount point, which cannot be replaced by "
                "the finished folder; choose a new folder in it"
            )
        if self.unfinished.exists():
            raise InputError(
                f"{str(self.unfinished)!r} exists: another growsearch decode is writing it, or was "
                "killed; wait until it ends, or remove the folder"
            )

    def _check_space(self) -> None:
        least = len(self) * SHORTER * SHORTER * 3  # square pictures are the smallest
        free = shutil.disk_usage(self.unfinished).free
        if free < least:
            raise InputError(
                f"{len(self):,} pictures take at least {least / 1e9:,.1f} GB, but only "
                f"{free / 1e9:,.1f} GB are free for output folder {str(self.out)!r}; choose "
                "another disk"
            )

    def _failed(self, verb: str, error: OSError) -> InputError:
        why = error.strerror or one_line(error)
        return InputError(
            f"output folder {str(self.out)!r} cannot be {verb} ({why}); choose another, or make "
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
    """The pictures' pixels, uint8, one after the other, and heights and widths, int64 [n, 2]."""
    pictures = [np.asarray(resized(open_file(path))) for path in paths]
    sizes = torch.tensor([picture.shape[:2] for picture in pictures])
    return torch.from_numpy(np.concatenate([picture.ravel() for picture in pictures])), sizes

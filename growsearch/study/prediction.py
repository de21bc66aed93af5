"""The classes of image files, by an exported network."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from growsearch.machine.bounds import LITTLE
from growsearch.study.model_file import ModelFile
from growsearch.tasks.images.encoded import opened_picture, upright
from growsearch.tasks.images.facts import ImageFacts
from growsearch.tasks.images.streamed import centre, resized
from growsearch.trial.errors import InputError, one_line

if TYPE_CHECKING:
    from torch import Tensor

SUFFIXES = (".png", ".jpg", ".jpeg")
_BATCH = 64


@dataclass(frozen=True)
class Prediction:
    """The most probable class of an image."""

    file: str
    label: int
    """The number of the class, from 0."""
    name: str
    """What it is called; its number if that is not known."""
    probability: float
    """By the network, from 0 to 1."""


def image_files(paths: Iterable[str | Path]) -> list[Path]:
    """The files among `paths`, and the PNG and JPEG files in folders, in order of their names.

    Raises InputError if one of them does not exist, or if there is no file in the end.
    """
    files: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            files += sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES)
        elif path.is_file():
            files.append(path)
        else:
            raise InputError(f"there is no {str(path)!r}; give image files or folders of them")
    if not files:
        raise InputError("the folders have no PNG or JPEG files; give others")
    return files


def predict(model: ModelFile, files: Iterable[Path]) -> list[Prediction]:
    """The class of each image file.

    An image becomes grey or coloured as the network needs, and has the network's size. Where the
    trial's pictures were resized and cropped, it is treated alike. Where its images were padded,
    one that is not larger is centred on black. Any other is resized (bilinear). Pixels are scaled
    to 0 to 1 and normalized as the file says. Raises
    InputError, which names all of them, for files that are no images.
    """
    import torch
    from PIL import Image

    unusable = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)
    if "image_shape" not in model.spec.facts:
        raise InputError(
            f"the model is of task {model.spec.options['task']!r}, which has no images; use "
            "growsearch.load_network"
        )
    try:
        facts = ImageFacts.from_dict(model.spec.facts)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise InputError(
            f"the model does not say what images its network takes ({type(error).__name__}: "
            f"{one_line(error)[:200]}); export the network again"
        ) from error
    if not all(0 <= mean <= 1 for mean in facts.mean):
        raise InputError(
            "the network learned arrays with means "
            f"{' '.join(f'{mean:.4g}' for mean in facts.mean)}, and pixels of image files are "
            "scaled to 0 to 1; load it with growsearch.load_network and give it arrays"
        )
    files, names = list(files), model.about.get("class_names") or []
    if not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
        raise InputError(
            f"the model's class_names are {str(names)[:100]}, and no list of texts; export the "
            "network again"
        )
    found, unreadable = [], []
    # fewer at once where they are large, as a stranger's may be
    count = min(_BATCH, max(1, LITTLE // (4 * math.prod(facts.image_shape))))
    for start in range(0, len(files), count):
        batch = {}
        for file in files[start : start + count]:
            try:
                batch[file] = normalized(model, file)
            except unusable:
                unreadable.append(str(file))
        if not batch:
            continue
        try:
            with torch.no_grad():
                chances = model.network(torch.stack(list(batch.values()))).softmax(dim=1)
        except RuntimeError as error:
            raise InputError(
                f"the network does not take the images that the model says it takes "
                f"({one_line(error)[:200]}); export the network again"
            ) from error
        for file, chance in zip(batch, chances, strict=True):
            label = int(chance.argmax())
            name = names[label] if label < len(names) else str(label)
            found.append(Prediction(str(file), label, name, chance[label].item()))
    if unreadable:
        raise InputError(
            f"{len(unreadable)} of {len(files)} files cannot be read as images: "
            f"{', '.join(unreadable)}; remove or replace them"
        )
    return found


def normalized(model: ModelFile, file: Path) -> "Tensor":
    """The image as the network takes it: float32 [channels, height, width]."""
    import numpy as np
    import torch
    from PIL import Image

    facts = ImageFacts.from_dict(model.spec.facts)
    channels, height, width = facts.image_shape
    with opened_picture(file) as opened:
        picture = upright(opened).convert("L" if channels == 1 else "RGB")
    if facts.shorter is not None:
        scale = facts.shorter / min(picture.size)
        if picture.width * picture.height * scale**2 * channels > LITTLE:
            raise ValueError(f"its size would be {facts.shorter} at its shorter side")
        picture = centre(resized(picture, facts.shorter), width)
    elif model.about.get("padded") and picture.width <= width and picture.height <= height:
        canvas = Image.new(picture.mode, (width, height))
        canvas.paste(picture, ((width - picture.width) // 2, (height - picture.height) // 2))
        picture = canvas
    elif picture.size != (width, height):
        picture = picture.resize((width, height), Image.Resampling.BILINEAR)
    pixels = torch.from_numpy(np.array(picture)).reshape(height, width, channels)
    mean, std = (torch.tensor(v)[:, None, None] for v in (facts.mean, facts.std))
    return (pixels.permute(2, 0, 1).float() / 255 - mean) / std

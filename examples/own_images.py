"""Your own pictures, a folder for each class; here they are made: discs and squares.

python examples/own_images.py, which is, with a folder of yours,
growsearch train --dataset folder --data-dir DIR --image-size 24 --policy none --epochs 2
"""

import random
import tempfile
from pathlib import Path

from PIL import Image, ImageDraw

from growsearch import Trainer, TrialConfig


def make_pictures(folder: Path, each: int = 200) -> None:
    draw = random.Random(0)
    for shape in ("disc", "square"):
        (folder / shape).mkdir()
        for number in range(each):
            picture = Image.new("RGB", (draw.randint(40, 60), draw.randint(40, 60)), "white")
            x, y, size = draw.randint(5, 15), draw.randint(5, 15), draw.randint(12, 22)
            pen = ImageDraw.Draw(picture)
            paint = pen.ellipse if shape == "disc" else pen.rectangle
            paint((x, y, x + size, y + size), fill=draw.choice(["red", "green", "blue"]))
            picture.save(folder / shape / f"{number:03}.png")


with tempfile.TemporaryDirectory() as folder:
    make_pictures(Path(folder))
    config = TrialConfig(
        dataset="folder", data_dir=folder, image_size=24, augmentation="flip", batch_size=16,
        policy="none", epochs=2, lr=0.01,
    )  # fmt: skip
    trainer = Trainer(config)
    print("classes:", *trainer.task.dataset.spec.class_names)
    for record in trainer:
        print(f"epoch {record.epoch}: {record.val_accuracy:.1f} % of the validation images")

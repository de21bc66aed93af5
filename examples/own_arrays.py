"""Your own images in arrays; here they are made: bright spots in one of four corners.

python examples/own_arrays.py, which is, with arrays that numpy.savez("spots.npz", X=X, y=y) wrote,
growsearch train --dataset arrays --data-dir spots.npz --policy fixed --growth-epochs 1 --epochs 2
"""

import numpy as np

from growsearch import Dataset, Trainer, TrialConfig

draw = np.random.default_rng(0)
corners = draw.integers(4, size=400)
images = draw.normal(0, 0.3, (400, 12, 12)).astype(np.float32)  # (N, H, W)
for image, corner in zip(images, corners, strict=True):
    row, column = 6 * (corner // 2), 6 * (corner % 2)
    image[row + 1 : row + 4, column + 1 : column + 4] += 1

names = ["top left", "top right", "bottom left", "bottom right"]
dataset = Dataset.from_arrays(images, corners, val=0.2, test=0.1, class_names=names)
config = TrialConfig(policy="fixed", growth_epochs=1, epochs=2, batch_size=32, lr=0.05)
trainer = Trainer(config, dataset=dataset)
for record in trainer:
    print(f"epoch {record.epoch}: {record.architecture}, {record.val_accuracy:.1f} %")
print("data:", trainer.config.data_dir, "of mean", *dataset.spec.mean)

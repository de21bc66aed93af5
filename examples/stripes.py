"""A data set of your own, made here: noisy stripes of four directions.

growsearch train --plugin examples/stripes.py --dataset stripes --policy none --epochs 5
"""

from dataclasses import dataclass

from growsearch import DataSpec, Images, ImageSource, option, register


@register("dataset", "stripes")
@dataclass(frozen=True, kw_only=True)
class Stripes(ImageSource):
    """Grey images of 12x12 pixels with noisy stripes of four directions."""

    noise: float = option(0.3, "deviation of the noise, of pixels between 0 and 1", least=0)
    spec = DataSpec(classes=4, val_per_class=25, mean=(0.5,), std=(0.4,))

    def read(self, data_dir):
        import torch

        draw = torch.Generator().manual_seed(0)
        labels = torch.arange(800) % 4
        y, x = torch.meshgrid(torch.arange(12.0), torch.arange(12.0), indexing="ij")
        waves = torch.stack([x, y, x + y, x - y])[labels]
        phases = 6.3 * torch.rand(800, 1, 1, generator=draw)
        images = 0.5 + 0.5 * torch.sin(waves + phases)
        images += self.noise * torch.randn(images.shape, generator=draw)
        pixels = (255 * images.clamp(0, 1)).to(torch.uint8)[:, None]
        return Images(pixels, labels), None

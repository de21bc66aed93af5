"""A network family of your own: two sub-networks of few channels.

growsearch train --plugin examples/slim.py --network slim2resnet --architecture 2-2 --epochs 5
"""

from dataclasses import dataclass

from growsearch import ImageFamily, register


@register("network", "slim2resnet")
@dataclass(frozen=True, kw_only=True)
class Slim2ResNet(ImageFamily):
    """Two sub-networks of basic blocks with 8 and 16 channels."""

    subnetworks = 2
    residual = True
    widths = (8, 16)

    def block(self):
        from growsearch.tasks.images.blocks import BasicBlock

        return BasicBlock

"""Data sets: their files, their splits, and batches that are made on the device.

Images are uint8 [n, channels, height, width], labels int64 [n].
"""

from growsearch.data.dataset import Dataset, DataSpec
from growsearch.data.images import Images
from growsearch.data.loading import SPECS, load_dataset

__all__ = ["SPECS", "DataSpec", "Dataset", "Images", "load_dataset"]

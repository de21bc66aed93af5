"""Data sets: their files, their splits, and batches that are made on the device.

Images are uint8 [n, channels, height, width], labels int64 [n].
"""

from growsearch.data.dataset import Dataset
from growsearch.data.images import Images, Split
from growsearch.data.loading import SPECS, load_dataset, load_trial_dataset
from growsearch.data.spec import DataSpec

__all__ = ["SPECS", "DataSpec", "Dataset", "Images", "Split", "load_dataset", "load_trial_dataset"]

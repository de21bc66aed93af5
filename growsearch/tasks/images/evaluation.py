"""What a network knows of a split of images."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from growsearch.machine.processes import ranks
from growsearch.tasks.images.dataset import Dataset
from growsearch.tasks.images.images import Split


def loss_and_accuracy(
    network: nn.Module, dataset: Dataset, split: Split, batch_size: int
) -> tuple[float, float]:
    """Mean cross-entropy in nats, and accuracy in percent, on `split`, over all processes."""
    total = torch.zeros(2, dtype=torch.float64, device=split.labels.device)
    processes = ranks()
    mine = split if processes.count == 1 else split[processes.share(len(split))]
    for batch in dataset.evaluation_batches(mine, batch_size):
        logits = network(batch.images)
        total[0] += F.cross_entropy(logits, batch.labels, reduction="sum")
        total[1] += (logits.argmax(dim=1) == batch.labels).sum()
    return mean_and_percent(processes.total(total), len(split))


def mean_and_percent(total: Tensor, images: int) -> tuple[float, float]:
    """Mean loss, and accuracy in percent; `total` is the sum of losses and of correct images."""
    loss, correct = total.tolist()
    # one rounding only, because AutoGrow compares differences of accuracies with tau
    return loss / images, 100 * correct / images

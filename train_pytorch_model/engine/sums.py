"""What is measured in an epoch: sums over images, never a mean of means."""

import torch
from torch import Tensor


class Sums:
    """Loss and correct answers over images, added up on the device without waiting for it."""

    def __init__(self) -> None:
        self.images = 0
        self._sums = torch.zeros((), dtype=torch.float64)

    def add(self, logits: Tensor, labels: Tensor, loss: Tensor) -> None:
        """Add a batch: logits (b, classes), labels (b,) int64, and its mean loss, a scalar."""
        count = len(labels)
        top = logits.detach().topk(min(5, logits.shape[1]), dim=1).indices
        hits = top == labels[:, None]
        self.images += count
        self._sums = self._sums + torch.stack(
            (loss.detach().double() * count, hits[:, 0].sum().double(), hits.sum().double())
        )

    def means(self) -> tuple[float, float, float]:
        """Mean loss, top-1 accuracy and top-5 accuracy (of fewer classes, their number)."""
        loss, top1, top5 = (self._sums / self.images).tolist()
        return loss, top1, top5

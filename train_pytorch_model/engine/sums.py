"""What is measured in an epoch: sums over images, never a mean of means."""

import torch
from torch import Tensor


class Sums:
    """Loss and correct answers over images, added up on the device without waiting for it.

    Attributes:
        images: how many there are.
        values: (3,) float64: the loss, the correct answers, and those among the first five.
    """

    def __init__(self, images: int = 0, values: Tensor | None = None) -> None:
        self.images = images
        self.values = torch.zeros(3, dtype=torch.float64) if values is None else values

    def add(self, logits: Tensor, labels: Tensor, loss: Tensor) -> None:
        """Add a batch: logits (b, classes), labels (b,) int64, and its mean loss, a scalar."""
        count = len(labels)
        top = logits.detach().topk(min(5, logits.shape[1]), dim=1).indices
        hits = top == labels[:, None]
        batch = torch.stack(
            (loss.detach().double() * count, hits[:, 0].sum().double(), hits.sum().double())
        )
        self.values = self.values + batch if self.images else batch
        self.images += count

    def means(self) -> tuple[float, float, float]:
        """Mean loss, top-1 accuracy and top-5 accuracy (of fewer classes, their number)."""
        loss, top1, top5 = (self.values / self.images).tolist()
        return loss, top1, top5

"""A plain PyTorch training loop, as a good engineer writes it in an hour.

``python -m benchmarks.plain_loop`` trains on class folders with as many decoding workers as the
machine has cores, validates after each epoch and saves the state dict. ``--workers 5
--synchronise`` makes it the original's loop as the original runs it on a GPU: single precision,
channels first, five workers, the results of each step fetched and the device waited for. After each
epoch it prints how many images a second it trained on.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader
from torchvision import models
from torchvision.datasets import ImageFolder
from torchvision.transforms import Compose, Normalize, ToTensor

Loader = DataLoader[tuple[Tensor, Tensor]]


def loader(folder: Path, args: argparse.Namespace, training: bool) -> Loader:
    """Class folders → batches: images (b, 3, height, width) float32, -1…1, and labels (b,)."""
    images = ImageFolder(folder, Compose([ToTensor(), Normalize([0.5] * 3, [0.5] * 3)]))
    return DataLoader(
        images,
        args.batch_size,
        shuffle=training,
        drop_last=training,
        num_workers=args.workers,
        persistent_workers=args.workers > 0,
        pin_memory=args.device == "cuda",
    )


def optimiser(
    net: nn.Module, args: argparse.Namespace
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    """SGD, and a learning rate that falls as ``(1 - epoch / epochs)²``."""
    sgd = torch.optim.SGD(
        net.parameters(), args.learning_rate, momentum=0.9, weight_decay=1e-4, nesterov=True
    )
    return sgd, torch.optim.lr_scheduler.PolynomialLR(sgd, args.epochs, power=2)


def train_epoch(
    net: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    sgd: torch.optim.Optimizer,
    device: torch.device,
    synchronise: bool,
) -> int:
    """One pass over the training batches; how many images it took."""
    net.train()
    count = 0
    for batch in batches:
        images, labels = (part.to(device, non_blocking=True) for part in batch)
        logits = net(images)
        loss = cross_entropy(logits, labels)
        if synchronise:
            loss.item()
            (logits.argmax(1) == labels).float().mean().item()
        sgd.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch does not type it
        sgd.step()
        if synchronise and device.type == "cuda":
            torch.cuda.synchronize()
        count += len(labels)
    if device.type == "cuda":
        torch.cuda.synchronize()  # the epoch's time is that of its work, not of its queue
    return count


@torch.inference_mode()
def evaluate(net: nn.Module, batches: Loader, device: torch.device) -> tuple[float, float]:
    """One pass over the validation batches; mean loss and accuracy."""
    net.eval()
    loss = correct = torch.zeros((), device=device)
    count = 0
    for batch in batches:
        images, labels = (part.to(device, non_blocking=True) for part in batch)
        logits = net(images)
        loss = loss + cross_entropy(logits, labels, reduction="sum")
        correct = correct + (logits.argmax(1) == labels).sum()
        count += len(labels)
    return loss.item() / count, correct.item() / count


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line, which Lightning's loop shares."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    add = parser.add_argument
    add("--training", type=Path, required=True, help="class folders")
    add("--validation", type=Path, required=True, help="class folders")
    add("--output", type=Path, required=True, help="the state dict")
    add("--model", default="resnet18", help="by torchvision's name; default resnet18")
    add("--epochs", type=int, default=3, help="default 3")
    add("--batch-size", type=int, default=16, help="default 16")
    add("--learning-rate", type=float, default=0.001, help="default 0.001")
    add("--workers", type=int, default=os.cpu_count(), help="decoding processes; default: cores")
    add("--device", choices=("cpu", "cuda"), default="cpu", help="default cpu")
    add("--synchronise", action="store_true", help="fetch results and wait after each step")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Train."""
    args = parse(argv)
    torch.manual_seed(1)
    device = torch.device(args.device)
    training, validation = loader(args.training, args, True), loader(args.validation, args, False)
    classes = len(training.dataset.classes)  # type: ignore[attr-defined]  # an ImageFolder's
    net = models.get_model(args.model, num_classes=classes).to(device)
    sgd, schedule = optimiser(net, args)
    for epoch in range(args.epochs):
        start = time.perf_counter()
        count = train_epoch(net, training, sgd, device, args.synchronise)
        rate = count / (time.perf_counter() - start)
        schedule.step()
        loss, accuracy = evaluate(net, validation, device)
        sys.stdout.write(
            f"epoch {epoch + 1}: {rate:.2f} images/s, validation loss {loss:.4f}, "
            f"accuracy {accuracy:.1%}\n"
        )
    torch.save(net.state_dict(), args.output)


if __name__ == "__main__":
    main()

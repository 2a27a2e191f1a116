"""Lightning's Trainer on the data, the model and the optimiser of ``plain_loop``.

``python -m benchmarks.lightning_loop`` takes the same command line. What the Trainer has beside the
training (its logger, checkpoints, progress bar and summary) is switched off, which is to its
advantage. After each epoch it prints how many images a second it trained on.
"""

import sys
import time
from collections.abc import Sequence
from typing import Any

import torch
from pytorch_lightning import LightningModule, Trainer, seed_everything
from torch import Tensor
from torch.nn.functional import cross_entropy
from torchvision import models

from benchmarks.plain_loop import loader, optimiser, parse


class Classifier(LightningModule):  # type: ignore[misc]  # its types are not checked
    """A torchvision network, trained as in ``plain_loop``."""

    def __init__(self, args: Any, classes: int) -> None:
        super().__init__()
        self.args = args
        self.net = models.get_model(args.model, num_classes=classes)
        self.started = self.ended = 0.0
        self.count = 0

    def on_train_epoch_start(self) -> None:
        """Start the clock."""
        self.started, self.count = time.perf_counter(), 0

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        """The loss of a batch."""
        images, labels = batch
        self.count += len(labels)
        return cross_entropy(self.net(images), labels)

    def on_train_batch_end(self, *_: Any) -> None:
        """Note the time: the last batch ends before validation starts."""
        self.ended = time.perf_counter()

    def validation_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
        """The loss and the accuracy of a batch."""
        images, labels = batch
        logits = self.net(images)
        self.log("loss", cross_entropy(logits, labels), batch_size=len(labels))
        self.log("accuracy", (logits.argmax(1) == labels).float().mean(), batch_size=len(labels))

    def on_train_epoch_end(self) -> None:
        """Print."""
        rate = self.count / (self.ended - self.started)
        told = {name: value.item() for name, value in self.trainer.callback_metrics.items()}
        sys.stdout.write(
            f"epoch {self.current_epoch + 1}: {rate:.2f} images/s, validation loss "
            f"{told['loss']:.4f}, accuracy {told['accuracy']:.1%}\n"
        )

    def configure_optimizers(self) -> tuple[list[Any], list[Any]]:
        """The optimiser, and its schedule, which steps after each epoch."""
        sgd, schedule = optimiser(self.net, self.args)
        return [sgd], [schedule]


def main(argv: Sequence[str] | None = None) -> None:
    """Train."""
    args = parse(argv)
    seed_everything(1, verbose=False)
    training, validation = loader(args.training, args, True), loader(args.validation, args, False)
    classes = len(training.dataset.classes)  # type: ignore[attr-defined]  # an ImageFolder's
    model = Classifier(args, classes)
    trainer = Trainer(
        max_epochs=args.epochs,
        accelerator="gpu" if args.device == "cuda" else "cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(model, training, validation)
    torch.save(model.net.state_dict(), args.output)


if __name__ == "__main__":
    main()

"""Ours against the original and others: how fast is Train PyTorch Model, and in how much memory?

``python -m benchmarks.training`` trains a ResNet-18 with each side in turn, as whole processes that
take the cores as they would at a user's, on two sets of images: Fashion-MNIST (28x28 pixels, PNG)
and photographs (224x224, JPEG and PNG in turn; crops of those that scikit-image ships). The exit
code is 1 when a target is missed.

- ours: ``python -m train_pytorch_model``;
- original: the designer's module;
- plain: ``benchmarks/plain_loop.py``, a PyTorch loop with a decoding worker for each core;
- lightning: ``benchmarks/lightning_loop.py``, the same with Lightning's Trainer;
- ceiling: ``benchmarks/ceiling.py``, our own step on one batch that stays on the device, every few
  batches of our own epochs. Ours is compared with it within that process.

Images/s are those of training alone, from the second epoch on, as each side measures them itself;
the original's follow from the times at which it logs the first and the last batch of an epoch, as
its ``train_ips`` leaves out the first backward pass, most of a short epoch's first batch. Peak
memory is that of a side's largest process; the decoding workers of the loops come on top, and five
of the original's where there are ten cores or more. What is compared are the medians of all runs.

``--work`` keeps what was measured in a folder: started again with it, the benchmark goes on where
it was ended. ``--workloads``, ``--sides``, ``--images`` and ``--epochs`` make it a part of itself.

``--device cuda`` measures on a GPU, PNG photographs alone, ResNet-18 and ResNet-50 in batches of
16, 64 and 256: ours, the ceiling, and the original's loop re-created (``plain_loop --workers 5
--synchronise``). This part has not been run yet.

Measured on 2026-11-28 with ``--workloads fashion-mnist``, on a machine that others use too::

    AMD EPYC with AVX2, 2 cores, no GPU; torch 2.15.0 (ours), 2.8.0 (original),
    pytorch-lightning 2.6.6
    Fashion-MNIST, 28x28 pixels, 6,000 + 1,000 images, resnet18 in batches of 16, 3 epochs; 5 runs

                images/s slowest–fastest  ours is  whole process  ours is  peak memory
    ours           239.8     203.5–287.5                   87.2s                938 MB
    original        76.7       67.6–88.6    3.13x         257.4s    2.95x     1,018 MB
    plain           78.7       61.6–88.0    3.05x         244.0s    2.80x       930 MB
    lightning       78.9      61.5–104.1    3.04x         244.7s    2.81x     1,059 MB
    ceiling        226.8     212.7–250.7    0.97x

    images/s: 3.13 times the original's, expected at least 1.5: yes
    whole process: 2.95 times the original's, expected at least 2: yes
    images/s: 0.97 times the ceiling's, expected at least 0.95: yes
    peak memory: 0.92 times the original's, expected at most 1: yes

and on 2026-11-29 with ``--workloads fashion-mnist --sides ours original ceiling``, since when
convolutions that give few pixels are products for each tap::

                images/s slowest–fastest  ours is  whole process  ours is  peak memory
    ours           297.8     256.3–373.0                   72.0s                927 MB
    original        93.0      83.9–104.3    3.20x         207.1s    2.88x       959 MB
    ceiling        315.3     299.6–417.8    1.00x

    images/s: 3.20 times the original's, expected at least 1.5: yes
    whole process: 2.88 times the original's, expected at least 2: yes
    images/s: 1.00 times the ceiling's, expected at least 0.95: yes
    peak memory: 0.97 times the original's, expected at most 1: yes

Measured on 2026-11-27 with ``--workloads fashion-mnist --sides ours original ceiling``, on another
AMD EPYC, with AVX-512::

                images/s slowest–fastest  ours is  whole process  ours is  peak memory
    ours           683.1     662.6–880.0                   31.2s                942 MB
    original       366.4     314.4–396.6    1.86x          56.6s    1.82x       943 MB
    ceiling        723.2     706.9–876.0    0.97x

    images/s: 1.86 times the original's, expected at least 1.5: yes
    whole process: 1.82 times the original's, expected at least 2: no
    images/s: 0.97 times the ceiling's, expected at least 0.95: yes
    peak memory: 1.00 times the original's, expected at most 1: yes

and with ``--workloads photographs --sides ours original``::

                images/s slowest–fastest  ours is  whole process  ours is  peak memory
    ours            31.7       30.5–32.7                   25.8s              1,506 MB
    original        23.9       21.0–24.7    1.32x          36.6s    1.42x     1,577 MB

    images/s: 1.32 times the original's, expected at least 1.25: yes
    peak memory: 0.95 times the original's, expected at most 1: yes

and on 2026-11-29 on the one without AVX-512, with ``--sides ours original ceiling``::

    photographs, 224x224 pixels

                images/s slowest–fastest  ours is  whole process  ours is  peak memory
    ours            12.5       11.1–13.4                   65.8s              1,385 MB
    original         8.3         7.4–9.7    1.50x          97.7s    1.48x     1,493 MB
    ceiling         12.6       11.9–14.3    0.99x

    images/s: 1.50 times the original's, expected at least 1.25: yes
    images/s: 0.99 times the ceiling's, expected at least 0.95: yes
    peak memory: 0.93 times the original's, expected at most 1: yes

There, five runs the day before, without Winograd's products, gave 1.17 and 1,432 against 1,529 MB.
With them, but normalising before the stem's pooling, five runs of that night, when others left less
of the machine, gave 1.24 and 1,460 against 1,478 MB, and five of that morning 1.35 and 1,455
against 1,564 MB.
"""

import argparse
import csv
import json
import re
import shutil
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median

from benchmarks import command_line
from benchmarks.command_line import BenchmarkError, exit_code, multiple_of_ten, say, words
from benchmarks.fashion_mnist import DATA
from benchmarks.pipeline import ORIGINAL_TRAIN, TRAIN, training_flags, write_untrained_model
from benchmarks.sides import Side, machine, run, sides
from benchmarks.workloads import (
    CEILING,
    LIGHTNING,
    MEMORY,
    ORIGINAL,
    OURS,
    PLAIN,
    RATES,
    RECREATED,
    WHOLE,
    Target,
    Workload,
    cpu_workloads,
    gpu_workloads,
)

LOOPS = {
    PLAIN: "benchmarks.plain_loop",
    LIGHTNING: "benchmarks.lightning_loop",
    RECREATED: "benchmarks.plain_loop",
}
RATE = re.compile(r"([\d.]+) images/s")
"""How the loops, and the ceiling, print the images/s of an epoch."""

PROGRESS = re.compile(r"^(\S+ \S+) .*Epoch: \[(\d+)/\d+\]\s+Iter: \[(\d+)/\d+\]", re.MULTILINE)
"""How the original logs a batch: the time, the epoch and the batch, both counted from 1."""


@dataclass(frozen=True)
class Measured:
    """A run of a side.

    Attributes:
        workload: as text.
        side: the name of the side.
        seconds: of the whole process.
        megabytes: the peak memory of its largest process.
        images_per_second: of each epoch from the second on; of the ceiling, its one figure.
        beside: images/s of our epochs between the steps of the ceiling; of others, 0.
    """

    workload: str
    side: str
    seconds: float
    megabytes: float
    images_per_second: list[float]
    beside: float = 0.0


def prepare(workload: Workload, ours: Side, folder: Path) -> None:
    """Write the images and the untrained model of a workload, unless they are there.

    Raises:
        BenchmarkError: it failed.
    """
    if folder.exists():
        return
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    workload.write(workload.counts[0], True, part / "training")
    workload.write(workload.counts[1], False, part / "validation")
    write_untrained_model(ours, part / "untrained", workload.model)
    part.rename(folder)


def measure(workload: Workload, name: str, both: tuple[Side, Side], folder: Path) -> Measured:
    """Run a side once; its output replaces that of its last run.

    Raises:
        BenchmarkError: it failed, or did not say how fast each epoch was.
    """
    target, log = folder / name, folder / f"{name}.log"
    for left in (target, folder / f".checkpoint-{name}"):  # of a run that was ended
        shutil.rmtree(left, ignore_errors=True)
    module, flags = command(workload, name, folder, target)
    used = run(both[1] if name == ORIGINAL else both[0], module, flags, log)
    if name == OURS:
        rates = history(target)
    elif name == ORIGINAL:
        rates = logged(log, workload.batch)
    elif name == CEILING:
        alone, beside = printed(log)[-2:]  # what comes before is a progress bar's
        return Measured(str(workload), name, used.seconds, used.megabytes, [alone], beside)
    else:
        rates = printed(log)
    if len(rates) != workload.epochs:
        raise BenchmarkError(
            f"{log}: found the images/s of {len(rates)} epochs, not {workload.epochs}."
        )
    return Measured(str(workload), name, used.seconds, used.megabytes, rates[1:])


def command(workload: Workload, name: str, folder: Path, target: Path) -> tuple[str, list[str]]:
    """The module and the flags that train a workload in ``folder`` with a side."""
    untrained, training, validation = (folder / n for n in ("untrained", "training", "validation"))
    steps = workload.counts[0] // workload.batch
    # Told, so that none goes on on the CPU where there is a GPU that it cannot use.
    device = {"--device": workload.device}
    if name in (OURS, ORIGINAL):
        flags = training_flags(
            untrained,
            training,
            validation,
            target,
            epochs=workload.epochs,
            batch_size=workload.batch,
            patience=workload.epochs,
            print_freq=max(1, steps - 1),  # the first batch and the last
        )
        return (TRAIN, flags + words(device)) if name == OURS else (ORIGINAL_TRAIN, flags)
    images = {"--training": training, "--validation": validation}
    amount = {"--epochs": workload.epochs, "--batch-size": workload.batch}
    if name == CEILING:
        ceiling = {"--untrained-model-path": untrained, **images, **amount, **device}
        return "benchmarks.ceiling", words(ceiling)
    result = {"--output": target.with_suffix(".pt"), "--model": workload.model}
    loop = {**images, **amount, **result, **device}
    as_original = ["--workers", "5", "--synchronise"] if name == RECREATED else []
    return LOOPS[name], words(loop) + as_original


def history(model: Path) -> list[float]:
    """The images/s of each epoch, from a model that ours wrote."""
    with open(model / "history.csv", encoding="utf-8", newline="") as file:
        return [float(row["images_per_second"]) for row in csv.DictReader(file)]


def printed(log: Path) -> list[float]:
    """The images/s of each epoch, from what a loop prints."""
    return [float(rate) for rate in RATE.findall(log.read_text(errors="replace"))]


def logged(log: Path, batch: int) -> list[float]:
    """The images/s of each epoch, from when the original logs its first and its last batch."""
    times: dict[int, list[tuple[int, datetime]]] = defaultdict(list)
    for time, epoch, number in PROGRESS.findall(log.read_text(errors="replace")):
        when = datetime.strptime(time, "%Y-%m-%d %H:%M:%S,%f")
        times[int(epoch)].append((int(number), when))
    spans = [(found[0], found[-1]) for found in times.values() if len(found) > 1]
    return [
        (last - first) * batch / (end - start).total_seconds()
        for (first, start), (last, end) in spans
    ]


class Records:
    """What was measured, in a file that outlives a run of the benchmark that is ended.

    Args:
        file: a line of JSON for each run of a side; it need not exist.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        lines = file.read_text("utf-8").splitlines() if file.exists() else []
        self._all = [Measured(**json.loads(line)) for line in lines]

    def of(self, workload: Workload, side: str) -> list[Measured]:
        """The runs of a side on a workload."""
        return [m for m in self._all if (m.workload, m.side) == (str(workload), side)]

    def add(self, measured: Measured) -> None:
        """Add a run."""
        self._all.append(measured)
        with open(self._file, "a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(measured)) + "\n")


def figures(runs: Sequence[Measured]) -> dict[str, float]:
    """The figures of a side: the medians of its runs, of images/s those of all epochs."""
    return {
        RATES: median(rate for run in runs for rate in run.images_per_second),
        WHOLE: median(run.seconds for run in runs),
        MEMORY: median(run.megabytes for run in runs),
    }


def ratio(figure: str, ours: Sequence[Measured], other: Sequence[Measured]) -> float:
    """How many times as fast ours is, or how many times as much memory it takes."""
    if other[0].beside:
        return median(run.beside / run.images_per_second[0] for run in other)
    own, others = figures(ours)[figure], figures(other)[figure]
    return others / own if figure == WHOLE else own / others


def table(found: dict[str, list[Measured]]) -> str:
    """The figures as text: a row a side, and how many times as fast ours is."""
    row = "{:<11}{:>9}{:>16}{:>9}{:>15}{:>9}{:>13}".format
    lines = [row("", RATES, "slowest–fastest", "ours is", WHOLE, "ours is", MEMORY)]
    for side, runs in found.items():
        own = figures(runs)
        rates = [rate for run in runs for rate in run.images_per_second]
        times = dict.fromkeys(own, "")
        if OURS in found and side != OURS:
            times = {figure: f"{ratio(figure, found[OURS], runs):.2f}x" for figure in own}
        whole = (f"{own[WHOLE]:.1f}s", times[WHOLE], f"{own[MEMORY]:,.0f} MB")
        spread = f"{min(rates):,.1f}–{max(rates):,.1f}"
        line = (side, f"{own[RATES]:,.1f}", spread, times[RATES])
        lines.append(row(*line, *(("", "", "") if side == CEILING else whole)))
    return "\n".join(line.rstrip() for line in lines)


def verdicts(targets: Sequence[Target], found: dict[str, list[Measured]]) -> list[tuple[str, bool]]:
    """Each target of which both sides were measured, as a line, and whether it is reached."""
    told = []
    for target in targets:
        if OURS not in found or target.side not in found:
            continue
        reached = ratio(target.figure, found[OURS], found[target.side])
        memory = target.figure == MEMORY
        good = reached <= target.ratio if memory else reached >= target.ratio
        line = (
            f"{target.figure}: {reached:.2f} times the {target.side}'s, expected at "
            f"{'most' if memory else 'least'} {target.ratio:g}: {'yes' if good else 'no'}"
        )
        told.append((line, good))
    return told


def _holds(args: argparse.Namespace) -> bool:
    """Measure and print; whether every target is reached."""
    on_cpu = args.device == "cpu"
    names = (OURS, ORIGINAL, PLAIN, LIGHTNING, CEILING) if on_cpu else (OURS, RECREATED, CEILING)
    chosen = _chosen("sides", args.sides, names)
    workloads = {w.name: w for w in (cpu_workloads(args.data) if on_cpu else gpu_workloads())}
    good = True
    with tempfile.TemporaryDirectory() as temporary:
        work: Path = (args.work or Path(temporary)).absolute()
        work.mkdir(parents=True, exist_ok=True)
        both = sides(args.classic, work, device=args.device)
        records = Records(work / "measured.jsonl")
        lightning = f", pytorch-lightning {version('pytorch-lightning')}" if on_cpu else ""
        sys.stdout.write(f"{machine(both[1] if on_cpu else None)}{lightning}\n")
        for name in _chosen("workloads", args.workloads, workloads):
            workload = _changed(workloads[name], args)
            folder = work / "_".join(map(str, (name, *workload.counts)))
            prepare(workload, both[0], folder)
            for number in range(args.runs):
                for side in chosen:
                    if len(records.of(workload, side)) <= number:
                        records.add(measure(workload, side, both, folder))
                        say(f"run {number + 1}: {records.of(workload, side)[-1]}")
            found = {side: records.of(workload, side)[: args.runs] for side in chosen}
            told = verdicts(workload.targets, found)
            good &= all(reached for _, reached in told)
            lines = "\n".join(line for line, _ in told)
            sys.stdout.write(f"\n{workload}; {args.runs} runs each\n\n{table(found)}\n\n{lines}\n")
            sys.stdout.flush()
    return good


def _chosen(what: str, wanted: Sequence[str] | None, known: Iterable[str]) -> list[str]:
    """Those of ``known`` that are wanted: all, where nothing is said."""
    unknown = sorted(set(wanted or ()).difference(known))
    if unknown:
        raise BenchmarkError(
            f"--{what}: found {', '.join(unknown)}, expected some of {', '.join(known)}."
        )
    return [name for name in known if not wanted or name in wanted]


def _changed(workload: Workload, args: argparse.Namespace) -> Workload:
    """The workload with the numbers of images and epochs that the command line asks for."""
    training, validation = workload.counts
    counts = (args.images or training, args.validation or validation)
    if counts[0] < 2 * workload.batch:
        raise BenchmarkError(
            f"--images: found {counts[0]}, expected at least two batches of {workload.batch}."
        )
    return replace(workload, counts=counts, epochs=args.epochs or workload.epochs)


def _epochs(text: str) -> int:
    count = int(text)
    if count < 2:
        raise argparse.ArgumentTypeError(f"{count} is not 2 or more: the first is not measured")
    return count


def main(argv: Sequence[str] | None = None) -> int:
    """Compare; returns 0 when every target is reached, 1 when not, 2 when it could not be told."""
    parser = command_line.parser("training", str(__doc__))
    add = parser.add_argument
    add("--device", choices=("cpu", "cuda"), default="cpu", help="default cpu")
    add("--data", type=Path, default=DATA, metavar="DIR", help=f"the IDX files; default {DATA}")
    add("--work", type=Path, metavar="DIR", help="keeps what was measured; default: nothing does")
    add("--runs", type=int, default=5, help="of each side; default 5")
    add("--workloads", nargs="+", metavar="NAME", help="fashion-mnist, photographs; default all")
    add("--sides", nargs="+", metavar="NAME", help="default all")
    add("--images", type=multiple_of_ten, help="training images, other than the workload's")
    add("--validation", type=multiple_of_ten, help="validation images, likewise")
    add("--epochs", type=_epochs, help="likewise, 2 or more")
    args = parser.parse_args(argv)
    return exit_code(lambda: _holds(args))


if __name__ == "__main__":
    sys.exit(main())

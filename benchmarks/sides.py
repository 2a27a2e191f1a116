"""The sides of a comparison: where each runs, and what a run takes."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from benchmarks.command_line import BenchmarkError

ROOT = Path(__file__).parent.parent

_VECTORS = {"avx512f": "AVX-512", "avx2": "AVX2"}
"""Flag of Linux → name, the widest first; how a network is computed depends on it."""

_OF_THIS_SHELL = ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "PYTHONDONTWRITEBYTECODE")
"""Variables that change how fast a side is, or starts, and that a user has not set."""


@dataclass(frozen=True)
class Side:
    """One of those that are compared: what its processes run in.

    Attributes:
        name: of its files and in the progress.
        python: its interpreter.
        folder: the working directory.
        environment: the environment variables.
    """

    name: str
    python: Path
    folder: Path
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Used:
    """What a process took.

    Attributes:
        seconds: from its start to its end.
        megabytes: its peak of resident memory in units of 2²⁰ bytes, or that of the largest process
            that it started and waited for, whichever is more.
        processor_seconds: of it, and of the processes that it started and waited for.
    """

    seconds: float
    megabytes: float
    processor_seconds: float


def sides(
    classic: Path, work: Path, threads: int | None = None, device: str = "cpu"
) -> tuple[Side, Side]:
    """Ours and the original.

    Args:
        classic: the original's environment.
        work: the original's working directory.
        threads: how many each computes with; None: as many as it takes by itself.
        device: ``cpu``, which hides a GPU from both, or ``cuda``.

    Raises:
        BenchmarkError: the original is not there; it is not needed on ``cuda``.
    """
    # Not resolved: a virtual environment's interpreter is a link, and known by the link's place.
    python = classic.absolute() / "bin" / "python"
    if device == "cpu" and not python.exists():
        raise BenchmarkError(
            f"{python} does not exist; name the environment of the original modules with --classic."
        )
    ours = ours_alone(threads, device)
    original = {name: value for name, value in ours.environment.items() if name != "PYTHONPATH"}
    return ours, Side("original", python, work, original)


def ours_alone(threads: int | None = None, device: str = "cpu") -> Side:
    """Ours, where it is compared with itself; see ``sides``."""
    environment = {name: value for name, value in os.environ.items() if name not in _OF_THIS_SHELL}
    if threads is not None:
        environment["OMP_NUM_THREADS"] = str(threads)
    if device == "cpu":
        environment["CUDA_VISIBLE_DEVICES"] = ""
    return Side("ours", Path(sys.executable), ROOT, environment)


def run(side: Side, module: str, flags: Sequence[str], log: Path) -> Used:
    """Run a module of a side, its output in ``log``.

    Raises:
        BenchmarkError: it failed; the message has the end of its output.
    """
    command = [str(side.python), "-m", module, *flags]
    start = time.perf_counter()
    with log.open("w") as output:
        process = subprocess.Popen(
            command,
            cwd=side.folder,
            env=side.environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        _, status, used = os.wait4(process.pid, 0)
    taken = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        last = "\n".join(log.read_text(errors="replace").splitlines()[-10:])
        raise BenchmarkError(f"{' '.join(command)}\nended with {process.returncode}:\n{last}")
    return Used(taken, used.ru_maxrss / 1024, used.ru_utime + used.ru_stime)


def processor() -> str:
    """The processor, the widest of its vectors that count here, and its cores."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    known = dict(line.split(":", 1) for line in lines if ":" in line)
    said = {key.strip(): value.strip() for key, value in known.items()}
    flags = said.get("flags", "").split()
    vectors = next((w for flag, w in _VECTORS.items() if flag in flags), "neither AVX2 nor AVX-512")
    return f"{said.get('model name', 'unknown CPU')} with {vectors}, {os.cpu_count()} cores"


def machine(original: Side | None, package: str = "torch") -> str:
    """One line: the processor, its cores, the GPU, and the version of a package on each side.

    Args:
        original: the other side; None: it does not take part, and the GPU does.
        package: a distribution that both have.

    Raises:
        BenchmarkError: the other side, or the GPU, cannot be asked.
    """
    here = processor()
    if original is None:
        gpu = _output("nvidia-smi", "--query-gpu=name", "--format=csv,noheader")
        return f"{here}, {gpu}; {package} {version(package)}"
    ask = f"from importlib.metadata import version; print(version('{package}'))"
    theirs = _output(str(original.python), "-c", ask)
    return f"{here}, no GPU; {package} {version(package)} (ours), {theirs} (original)"


def _output(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        raise BenchmarkError(f"the machine cannot be described: {error}") from error

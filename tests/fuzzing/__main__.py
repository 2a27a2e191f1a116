"""Fuzz a reader with libFuzzer, guided by coverage: ``python -m tests.fuzzing TARGET SECONDS``.

Needs ``pip install atheris``. Findings are written to ``fuzzing/TARGET/``, one file a place in the
code, and fuzzing goes on; inputs that reach new code are kept in ``fuzzing/TARGET/corpus/``, from
which the next run starts. What follows SECONDS goes to libFuzzer.
"""

import random
import sys
import traceback
from pathlib import Path

import atheris
import torch  # before the others: its thousand modules need not be instrumented

with atheris.instrument_imports(include=["train_pytorch_model", "PIL"]):
    from tests.fuzzing.edits import EDITS, edit_bytes, edit_json
    from tests.fuzzing.seeds import seeds
    from tests.fuzzing.targets import TARGETS, run

Unpickler = torch._weights_only_unpickler.Unpickler
Unpickler.load = atheris.instrument_func(Unpickler.load)

LIMITS = ["-rss_limit_mb=3000", "-timeout=30", "-max_len=65536", "-print_final_stats=1"]


def main(target: str, seconds: str, *more: str) -> None:
    """Fuzz one target."""
    findings = Path("fuzzing", target)
    corpus = findings / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds()[target]):
        (corpus / f"seed-{number}").write_bytes(seed)
    found: set[str] = set()

    def one_input(data: bytes) -> None:
        try:
            run(target, data)
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            name = f"{type(error).__name__}-{Path(place.filename).stem}-{place.lineno}"
            if name not in found:
                found.add(name)
                (findings / name).write_bytes(data)
                traceback.print_exc()

    def mutated(data: bytes, max_size: int, seed: int) -> bytes:
        chance = random.Random(seed)
        if chance.random() < 0.3:
            return bytes(atheris.Mutate(data, max_size))
        edit = EDITS.get(target, edit_json)
        for _ in range(chance.choice((1, 1, 1, 2, 4))):
            chosen = edit if chance.random() < 0.9 else edit_bytes
            data = chosen(data, chance.choice)
        return data[:max_size]

    limits = [f"-max_total_time={seconds}", f"-artifact_prefix={findings}/", *LIMITS]
    atheris.Setup([sys.argv[0], *limits, *more, str(corpus)], one_input, custom_mutator=mutated)
    atheris.Fuzz()


if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[1] not in TARGETS:
        sys.exit(f"usage: python -m tests.fuzzing TARGET SECONDS; targets: {', '.join(TARGETS)}")
    main(*sys.argv[1:])

"""Split Image Directory divides what the original has written, and is read by it."""

import json
from collections import Counter
from pathlib import Path

import pytest

from tests.classic.test_convert import coco, files


def rows(folder: Path) -> list[dict[str, object]]:
    """The rows of a directory."""
    return [json.loads(line) for line in (folder / "images.lst").read_text().splitlines()]


def together(first: Path, second: Path) -> dict[str, object]:
    """What two halves hold, but for their lists and samples."""
    return {
        name: content
        for folder in (first, second)
        for name, content in files(folder).items()
        if name not in ("images.lst", "_samples.json")
    }


@pytest.mark.parametrize("fraction", [0.2, 0.7, 0.9])
def test_halves_are_of_the_originals_sizes(original, ours, at_once, noise, tmp_path, fraction):
    """In each category that is not tiny; together they are the same files; both read either."""
    for name, count in {"a": 37, "b": 19, "c": 12, "d": 8}.items():
        for number in range(count):
            noise(tmp_path / name / f"{number:02}.png", number)
    source = original.convert(tmp_path)
    theirs, own = at_once(
        lambda: original.split(source, fraction), lambda: ours.split(source, fraction)
    )
    for their_half, our_half in zip(theirs, own, strict=True):
        counts = [Counter(row["category"] for row in rows(h)) for h in (their_half, our_half)]
        assert counts[0] == counts[1]
        assert {row["id"] for row in rows(their_half)} != {row["id"] for row in rows(our_half)}
        assert len(files(our_half)["_samples.json"]) == len(files(their_half)["_samples.json"])
    assert together(*own) == together(*theirs)
    assert {name: len(files(folder)) for name, folder in zip("ab", own, strict=True)} == {
        name: len(files(folder)) for name, folder in zip("ab", theirs, strict=True)
    }
    for read, half in zip(original.probe("images", *own), own, strict=True):
        assert read["ids"] == [row["id"] for row in rows(half)]
        assert read["labels"] == [row["category"] for row in rows(half)]
        assert read["classes"] == ["a", "b", "c", "d"]
    again = original.split(own[0]), ours.split(theirs[0])
    assert [len(rows(a)) + len(rows(b)) for a, b in again] == [len(rows(own[0]))] * 2


def test_coco(original, ours, at_once, noise, tmp_path):
    """Keeps its annotations, of a directory that was never converted."""
    coco(tmp_path, noise)
    theirs, own = at_once(lambda: original.split(tmp_path), lambda: ours.split(tmp_path))
    assert together(*own) == together(*theirs)
    for pair in (theirs, own):
        assert [len(rows(half)) for half in pair] == [1, 2]
    by_id = [{row["id"]: row for half in pair for row in rows(half)} for pair in (theirs, own)]
    assert by_id[0] == by_id[1]


def test_the_original_trains_on_our_halves(original, ours, pictures):
    """And ours on theirs."""
    own = ours.split(original.convert(pictures))
    theirs = original.split(ours.convert(pictures))
    model = original.untrained("resnet18")
    for trainer, half in ((original, own[0]), (ours, theirs[0])):
        trained = trainer.train(model, half)
        assert (trained / "model").exists()
        assert "Ankle_boot" in (trained / "index_to_label.csv").read_text()

"""Damage as users have it and as strangers make it, that the tables of each reader leave out.

Each row is one input of Train PyTorch Model, damaged: it ends in one line of the right name, which
says what was found, what was expected and what to do; and nothing is written.
"""

import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.archives import GOOD, png, zip_of
from tests.conftest import Arguments, Run, class_folders, picture, refused
from tests.test_damaged_images import (
    CATEGORIES,
    LABELS,
    Damage,
    coco_with,
    columns,
    gone,
    in_turn,
    instead,
    lines,
    meta,
    put,
    reference,
    replaced,
)
from tests.test_image_directory import COCO, coco, json_lines, rows_of, schema_of, with_metadata
from tests.test_model_directory import file_with, spec_with, weights_with
from tests.test_training import weights
from train_pytorch_model.data import decode

DATA = "InvalidDatasetError (0018): "
NO_LABELS = "NotLabeledDatasetError (0024): "
MODEL = "InvalidModelDirectoryError (0159): untrained_model: "

GOOD_LINE = '{"image_info": {"file_name": "image/0.png"}, "category": "cat", "id": 0}'
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n"


def listed(text: str | bytes) -> Damage:
    """This as the whole ``images.lst``."""
    return put("images.lst", text)


def folders(counts: dict[str, int], *more: Damage) -> Damage:
    """Class folders in the directory's place, which are damaged further."""
    return in_turn(replaced(lambda root: class_folders(root, counts, size=8)), *more)


def each_image(content: bytes) -> Damage:
    """Class folders whose files all hold this."""

    def damage(root: Path) -> None:
        for path in root.rglob("*.png"):
            path.write_bytes(content)

    return folders({"cat": 3, "dog": 3}, damage)


def truncated(root: Path) -> None:
    """COCO annotations that were not copied whole, beside images in two folders."""
    class_folders(root, {"train": 3, "val": 3}, size=8)
    (root / "annotations.json").write_text(json.dumps(COCO)[:-40])


def many_categories(root: Path) -> None:
    """More COCO categories than a network may have outputs."""
    coco(root, COCO | {"categories": [{"id": i, "name": f"c{i}"} for i in range(100_001)]})


def sizes(root: Path) -> None:
    """Class folders of pictures of two sizes."""
    class_folders(root, {"cat": 2, "dog": 2}, size=8)
    picture(0, 9).save(root / "dog" / "odd.png")


IMAGES: list[Any] = [
    # --- how lists go wrong on their way ---
    pytest.param(listed(GOOD_LINE + GOOD_LINE), "line 1 is not JSON", id="two objects on a line"),
    pytest.param(listed(f"{GOOD_LINE} {GOOD_LINE}"), "line 1 is not JSON", id="with a space"),
    pytest.param(listed(f"{GOOD_LINE},\n" * 3), "3 problems: line 1 is not JSON", id="commas"),
    pytest.param(listed(f"[{GOOD_LINE}]"), "line 1 is not a JSON object", id="a JSON array"),
    pytest.param(
        listed(json.dumps(json.loads(GOOD_LINE), indent=1)), "7 problems: line 1 is", id="indented"
    ),
    pytest.param(
        listed(GOOD_LINE.replace(", ", ",\n", 1)), "2 problems: line 1 is not JSON", id="broken"
    ),
    pytest.param(listed(GOOD_LINE.replace('"', "'")), "line 1 is not JSON", id="Python"),
    pytest.param(listed(GOOD_LINE.encode("utf-16")), "line 1 is not JSON", id="UTF-16"),
    pytest.param(listed(f"{GOOD_LINE}\r{GOOD_LINE}\r"), "line 1 is not JSON", id="old Mac"),
    pytest.param(listed("file_name,category\n0.png,cat\n"), "2 problems: line 1 is", id="CSV"),
    pytest.param(listed(f"{GOOD_LINE}\0\0\0"), r"\x00", id="zeros at the end"),
    pytest.param(listed(GOOD_LINE.replace("0.png", "\t.png")), "is not JSON", id="a raw tab"),
    pytest.param(lines('{"id": 1, "id": 2}'), "5 has no image_info.file_name", id="repeated"),
    pytest.param(
        lines(
            '{"image_info": {"file_name": "a.png"}, "category": ' + "[" * 5000 + "]" * 5000 + "}"
        ),
        "line 5 is not JSON",
        id="a deep label",
    ),
    pytest.param(
        lines('{"image_info": {"file_name": "\\ud83d.png"}}'),
        r"names '\ud83d.png'",
        id="half a pair",
    ),
    pytest.param(listed(b"\xff\xfe"), "line 1 is not JSON", id="only a byte order mark"),
    pytest.param(listed(LFS), "3 problems: line 1 is not JSON ('version", id="Git LFS"),
    pytest.param(reference({"file_name": "image/"}), "1 of 4 images cannot be read", id="a folder"),
    pytest.param(reference({"file_name": "gone.png"}), "'gone.png' (No such file", id="gone"),
    pytest.param(reference({"file_name": "x" * 300}), "(File name too long)", id="long name"),
    pytest.param(
        reference({"file_name": "gone.png", "coco_url": "file:///etc/hostname"}),
        "1 of 4 images cannot be read",
        id="a file as URL",
    ),
    # --- the schema and _meta.yaml ---
    pytest.param(
        put("_schema.json", json.dumps(schema_of(CATEGORIES)).encode("utf-16")),
        "_schema.json is not JSON",
        id="schema in UTF-16",
    ),
    pytest.param(put("_schema.json", LFS), "_schema.json is not JSON", id="schema in Git LFS"),
    pytest.param(put("_schema.json", "{" * 9), "_schema.json is not JSON", id="schema of braces"),
    pytest.param(put("_schema.json", f'{{"a": {"9" * 5000}}}'), "is not JSON", id="huge number"),
    pytest.param(instead("_schema.json", Path.mkdir), "not a regular file", id="schema a folder"),
    pytest.param(instead("_schema.json", os.mkfifo), "not a regular file", id="schema a pipe"),
    pytest.param(
        instead("_schema.json", lambda path: path.symlink_to("/etc/hostname")),
        "a link leads out of the directory",
        id="schema a link out",
    ),
    pytest.param(
        columns(lambda c: c[0]["properties"].pop("mime_type")), "no column of images", id="no mime"
    ),
    pytest.param(meta(schema="images.lst"), "is not JSON", id="the list as schema"),
    pytest.param(meta(image_list="_schema.json"), "line 1 is not JSON", id="the schema as list"),
    pytest.param(meta(image_list="image"), "not a regular file", id="a folder as list"),
    pytest.param(meta(image_list="a\0b"), "its path leaves the directory", id="NUL in a name"),
    pytest.param(put("_meta.yaml", "type: x".encode("utf-16")), "is not YAML", id="meta in UTF-16"),
    pytest.param(put("_meta.yaml", "? [a, b]\n: x\n"), "is not YAML", id="meta of lists"),
    pytest.param(put("_meta.yaml", "type: {}\n"), "has no type", id="an empty type"),
    pytest.param(put("_meta.yaml", LFS), "has no type", id="meta in Git LFS"),
    pytest.param(
        in_turn(gone("images.lst"), meta(type="ImageDirectory")), "'images.lst' cannot", id="half"
    ),
    # --- COCO ---
    pytest.param(replaced(truncated), "may be damaged ones: 'annotations.json'", id="COCO cut off"),
    pytest.param(
        coco_with(lambda c: c.update(annotations={})),
        "(annotations is a dict)",
        id="COCO of an object",
    ),
    pytest.param(replaced(many_categories), "100,001 categories", id="COCO of many categories"),
    pytest.param(
        coco_with(lambda c: [i.update(file_name="i/9.png") for i in c["images"]]),
        "3 of 3 images cannot be read",
        id="COCO without images",
    ),
    # --- class folders ---
    pytest.param(folders({"cat": 3}), "found one category ('cat')", id="one folder"),
    pytest.param(
        folders({"cat": 3, "dog": 3}, lambda root: shutil.move(root, root.with_name("x")) and None),
        "found nothing at",
        id="moved away",
    ),
    pytest.param(replaced(sizes), "2 sizes (width x height): 4 of 8x8; 1 of 9x9", id="sizes"),
    pytest.param(each_image(b""), "6 of 6 images cannot be read", id="empty files"),
    pytest.param(each_image(LFS), "(it is not an image of a known format)", id="images in Git LFS"),
    pytest.param(each_image(b"<html>404</html>"), "not an image of a known format", id="HTML"),
    pytest.param(each_image(png()[:-30]), "6 of 6 images cannot be read", id="cut images"),
    pytest.param(each_image(b"%!PS-Adobe-3.0 EPSF-3.0\n"), "not an image of a known", id="EPS"),
    pytest.param(each_image(zip_of(GOOD)), "not an image of a known format", id="zips"),
    pytest.param(
        each_image(png()[:16] + b"\0\0\0\0" + png()[20:]), "6 of 6 images", id="images of no width"
    ),
    pytest.param(
        each_image(png()[:16] + b"\0\1\0\0\0\1\0\0" + png()[24:]), "6 of 6 images", id="bombs"
    ),
    pytest.param(
        replaced(lambda root: root.write_bytes(zip_of(GOOD))), "found a file at", id="a zip"
    ),
]


@pytest.mark.parametrize(("damage", "expected"), IMAGES)
def test_training_images(
    run: Run, arguments: Arguments, tmp_path: Path, damage: Damage, expected: str
) -> None:
    """What a directory of images can be instead of one."""
    root = with_metadata(tmp_path / "data", LABELS)
    damage(root)
    line = refused(run, arguments, {"--train-data-path": root}, DATA + "training_dataset: ")
    assert expected in line
    assert len(line) < 3000


@pytest.mark.parametrize(
    ("damage", "start", "expected"),
    [
        pytest.param(shutil.rmtree, DATA, "found nothing at", id="nothing"),
        pytest.param(replaced(Path.mkdir), DATA, "found no image in", id="empty"),
        pytest.param(
            gone("_meta.yaml"), DATA, "_meta.yaml is missing beside images.lst", id="half"
        ),
        pytest.param(listed(GOOD_LINE + GOOD_LINE), DATA, "line 1 is not JSON", id="two objects"),
        pytest.param(
            reference({"file_name": "../x"}), DATA, "line 2 names '../x', outside", id="climbs"
        ),
        pytest.param(gone("image/0.png"), DATA, "1 of 4 images cannot be read", id="gone"),
        pytest.param(each_image(LFS), DATA, "6 of 6 images cannot be read, all those", id="LFS"),
        pytest.param(replaced(sizes), DATA, "2 sizes (width x height): 4 of 8x8", id="sizes"),
        pytest.param(
            replaced(truncated), DATA, "found no COCO annotations, but", id="COCO cut off"
        ),
        pytest.param(
            listed(json_lines(rows_of(["", None, [], ""]))),
            NO_LABELS,
            "none of its 4 images has a label",
            id="no labels",
        ),
        pytest.param(
            replaced(lambda root: with_pictures(root, "0.png")),
            NO_LABELS,
            "none of its 1 images has a label (its schema has no column of labels)",
            id="flat",
        ),
        pytest.param(
            folders({"cat": 2, "eel": 2}),
            DATA.replace(": ", ": training_dataset and "),
            "1 missing in validation_dataset: 'dog' and 1 missing in training_dataset: 'eel'",
            id="other categories",
        ),
    ],
)
def test_validation_images(
    run: Run, arguments: Arguments, tmp_path: Path, damage: Damage, start: str, expected: str
) -> None:
    """The same rules, under their own name."""
    root = with_metadata(tmp_path / "data", LABELS)
    damage(root)
    line = refused(run, arguments, {"--valid-data-path": root}, start + "validation_dataset: ")
    assert expected in line


def saved(make: Callable[[dict[str, torch.Tensor]], object]) -> Damage:
    """Another object than the state dict in the file of weights."""
    return lambda path: torch.save(make(weights(path)), path / "model")


def labelled(text: str | bytes) -> Damage:
    """A table of labels."""
    content = text.encode() if isinstance(text, str) else text
    return in_turn(
        spec_with(lambda spec: spec.update(label_map_file="labels.csv")),
        file_with("labels.csv", content),
    )


def zipped(path: Path) -> None:
    """The file of weights, compressed."""
    with zipfile.ZipFile(path / "model") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    (path / "model").write_bytes(zip_of(members))


def init(**values: object) -> Damage:
    """These initialisation parameters."""
    return spec_with(lambda spec: spec["flavor_extras"]["init_params"].update(values))


TABLE = "is not a table of an index and a label"
ROWS = "".join(f"{i},{i}\n" for i in range(1000))

MODELS: list[Any] = [
    pytest.param(in_turn(shutil.rmtree, Path.mkdir), "'_meta.yaml' cannot be read", id="empty"),
    pytest.param(
        in_turn(shutil.rmtree, lambda path: class_folders(path, {"cat": 1, "dog": 1})),
        "'_meta.yaml' cannot be read",
        id="images",
    ),
    pytest.param(
        in_turn(shutil.rmtree, lambda path: with_metadata(path, LABELS)),
        "type 'ImageDirectory', expected 'ModelDirectory'",
        id="images with metadata",
    ),
    pytest.param(
        in_turn(shutil.rmtree, lambda path: path.write_bytes(zip_of(GOOD))),
        "found a file",
        id="zip",
    ),
    # --- _meta.yaml and model_spec.yaml ---
    pytest.param(instead("_meta.yaml", os.mkfifo), "not a regular file", id="meta a pipe"),
    pytest.param(file_with("_meta.yaml", LFS), "type None", id="meta in Git LFS"),
    pytest.param(
        file_with("_meta.yaml", "type: ModelDirectory".encode("utf-16")), "is not YAML", id="UTF-16"
    ),
    pytest.param(
        file_with("_meta.yaml", b"type: ModelDirectory\nmodel: 3\n"), "has model 3", id="a number"
    ),
    pytest.param(
        file_with("_meta.yaml", b"type: ModelDirectory\nmodel: model\n"),
        "'model' cannot be read (it is larger than",
        id="the weights as spec",
    ),
    pytest.param(
        file_with("model_spec.yaml", b"flavor: !!float " + b"9" * 100_000),
        "model_spec.yaml",
        id="a huge number",
    ),
    pytest.param(
        file_with("model_spec.yaml", b"flavor: 2026-13-45"), "is not YAML", id="no such day"
    ),
    pytest.param(
        file_with("model_spec.yaml", b"- flavor\n- model_file\n"), "6 problems", id="a list"
    ),
    pytest.param(
        file_with("model_spec.yaml", b"a: 1\n---\na: 2\n"), "is not YAML", id="two documents"
    ),
    pytest.param(spec_with(lambda s: s.pop("flavor_extras")), "3 problems", id="no extras"),
    pytest.param(spec_with(lambda s: s.update(flavor="pytorch")), "2 problems", id="a text"),
    pytest.param(spec_with(lambda s: s.update(model_file="")), "model_file is ''", id="no file"),
    pytest.param(
        spec_with(lambda s: s.update(model_file="a\0b")), "leaves the directory", id="NUL"
    ),
    pytest.param(
        spec_with(lambda s: s.update(model_file="../resnet18/model")), "leaves the", id="climbs"
    ),
    pytest.param(spec_with(lambda s: s.update(model_file=".")), "cannot be read", id="itself"),
    pytest.param(spec_with(lambda s: s.update(inputs=[])), "inputs is not one", id="no input"),
    pytest.param(
        spec_with(lambda s: s.update(inputs=[{"name": "image"}] * 2)), "inputs is not", id="two"
    ),
    pytest.param(init(num_classes="2"), "num_classes is '2', expected a count", id="classes text"),
    pytest.param(init(num_classes=-1), "num_classes is -1, expected a count", id="classes -1"),
    pytest.param(
        init(num_classes=True), "num_classes is True, expected a count", id="classes bool"
    ),
    pytest.param(init(model_name=None), "model_name is None, expected a name", id="no net"),
    pytest.param(init(model_name="ResNet18"), "found 'ResNet18' for ResNet", id="case"),
    pytest.param(init(model_name="resnet50"), "not those expected of resnet50", id="another net"),
    # --- the file of weights ---
    pytest.param(instead("model", Path.mkdir), "not a regular file", id="weights a folder"),
    pytest.param(instead("model", os.mkfifo), "not a regular file", id="weights a pipe"),
    pytest.param(file_with("model", LFS), "not a state dict", id="weights in Git LFS"),
    pytest.param(file_with("model", png()), "not a state dict", id="an image"),
    pytest.param(file_with("model", zip_of(GOOD)), "not a state dict", id="another zip"),
    pytest.param(
        file_with("model", (16).to_bytes(8, "little") + b'{"a":{"dtype":1}'), "not a state", id="sa"
    ),
    pytest.param(zipped, "its content is compressed", id="compressed"),
    pytest.param(saved(lambda s: list(s.values())), "holds a list", id="a list"),
    pytest.param(saved(lambda s: {"state_dict": s, "epoch": 3}), "holds a dict", id="a checkpoint"),
    pytest.param(
        saved(lambda s: dict(enumerate(s.values()))), "holds a dict", id="numbers as names"
    ),
    pytest.param(saved(lambda _: torch.nn.Linear(2, 2)), "not a state dict", id="a whole module"),
    pytest.param(
        saved(lambda s: {k.removeprefix("model."): v for k, v in s.items()}),
        "244 problems: 'conv1.weight' is not one of its tensors",
        id="torchvision's names",
    ),
    pytest.param(
        saved(lambda s: {f"module.{k}": v for k, v in s.items()}),
        "244 problems: 'module.model.conv1.weight' is not one",
        id="names of DataParallel",
    ),
    pytest.param(
        weights_with(lambda s: s.update({"model.bn1.weight": s["model.bn1.weight"].to_sparse()})),
        "tensor",
        id="sparse",
    ),
    pytest.param(
        weights_with(lambda s: s.update({"model.bn1.weight": torch.zeros(64, device="meta")})),
        "tensor",
        id="without values",
    ),
    pytest.param(
        weights_with(lambda s: s["model.bn1.running_var"].fill_(float("inf"))),
        "model.bn1.running_var has values that are infinite",
        id="infinite",
    ),
    pytest.param(
        weights_with(lambda s: [v.fill_(torch.nan) for k, v in s.items() if k.endswith("bias")]),
        "21 problems",
        id="many NaNs",
    ),
    # --- the labels ---
    pytest.param(labelled(""), "found 0 labels for 1,000 outputs", id="no labels"),
    pytest.param(labelled(b"\xff,label\n0,cat\n"), TABLE, id="labels not UTF-8"),
    pytest.param(labelled(",label\n-1,cat\n"), TABLE, id="negative index"),
    pytest.param(labelled(",label\n0,cat\n0,dog\n"), TABLE, id="index twice"),
    pytest.param(labelled(",label\n1000000,cat\n"), TABLE, id="huge index"),
    pytest.param(labelled(f",label\n{'9' * 5000},cat\n"), TABLE, id="longest index"),
    pytest.param(labelled(",label\n0\n"), TABLE, id="no column"),
    pytest.param(labelled(",label\n0.0,cat\n"), TABLE, id="float index"),
    pytest.param(labelled(f',label\n0,"{"x" * 200_000}"\n'), TABLE, id="a long label"),
    pytest.param(labelled(f",label\n{ROWS}1000,x\n"), "found 1,001 labels", id="one too many"),
    pytest.param(
        in_turn(labelled(""), instead("labels.csv", os.mkfifo)), "not a regular", id="labels a pipe"
    ),
]


@pytest.mark.parametrize(("damage", "expected"), MODELS)
def test_models(
    run: Run, arguments: Arguments, tmp_path: Path, resnet18: Path, damage: Damage, expected: str
) -> None:
    """What a model directory can be instead of one."""
    path = tmp_path / "damaged"
    shutil.copytree(resnet18, path)
    damage(path)
    line = refused(run, arguments, {"--untrained-model-path": path}, MODEL)
    assert expected in line
    assert len(line) < 3000


@pytest.mark.parametrize(
    ("changes", "start", "expected"),
    [
        ({"--epochs": "\uff11"}, "0002", "epochs is '\uff11', expected an integer"),
        ({"--epochs": "1 000"}, "0002", "epochs is '1 000', expected an integer"),
        ({"--epochs": "5.0"}, "0002", "epochs is '5.0', expected an integer"),
        ({"--epochs": "--5"}, "0002", "epochs is '--5', expected an integer"),
        ({"--epochs": "1\n2"}, "0002", r"epochs is '1\n2', expected an integer"),
        ({"--epochs": "\udcff"}, "0002", r"epochs is '\udcff', expected an integer"),
        ({"--batch-size": "9" * 5000}, "0002", "(5,002 characters), expected an integer"),
        ({"--batch-size": "x" * 5000}, "0002", "(5,002 characters), expected an integer"),
        ({"--learning-rate": "0,001"}, "0002", "learning_rate is '0,001', expected a finite"),
        ({"--learning-rate": "1e-3x"}, "0002", "learning_rate is '1e-3x', expected a finite"),
        ({"--learning-rate": "infinity"}, "0002", "learning_rate is 'infinity', expected"),
        ({"--learning-rate": "0x1p-3"}, "0002", "learning_rate is '0x1p-3', expected"),
        ({"--patience": "None"}, "0002", "patience is 'None', expected an integer"),
        ({"--patience": "${{inputs.p}}"}, "0002", "patience is '${{inputs.p}}', expected"),
        ({"--random-seed": "1e400"}, "0002", "random_seed is '1e400', expected an integer"),
        ({"--epochs": "0", "--patience": "x"}, "0005", "epochs is '0', expected an integer"),
    ],
)
def test_parameters(
    run: Run, arguments: Arguments, changes: dict[str, object], start: str, expected: str
) -> None:
    """What a person or a template writes that is no value."""
    line = refused(run, arguments, changes, f"ParameterError ({start}): ")
    assert expected in line


def test_too_little_memory_for_an_image(
    run: Run, arguments: Arguments, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Is a fault of the machine, not of the image, which is not left out then."""

    def fail(_: bytes) -> None:
        raise MemoryError

    monkeypatch.setattr(decode, "decode", fail)
    start = "OutOfMemoryError (0138): training_dataset: "
    assert "too little memory to decode 'cat/000.png'" in refused(run, arguments, {}, start)


def with_pictures(root: Path, *names: str) -> None:
    """Pictures, wherever their names say."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        picture(0, 8).save(root / name)


def test_what_is_no_damage(run: Run, tmp_path: Path) -> None:
    """JSON that is no COCO may lie beside class folders."""
    root = class_folders(tmp_path / "data", {"cat": 4, "dog": 4})
    (root / "classes.json").write_text('{"0": "cat", "1": "dog"}')
    code, err = run({"--train-data-path": root})
    assert code == 0, err


def test_what_is_wrong_with_schema_and_list_is_told_at_once(
    run: Run, arguments: Arguments, tmp_path: Path
) -> None:
    """Each line that is not an object, as far as it can be told without columns."""
    root = with_metadata(tmp_path / "data", LABELS)
    put("_schema.json", "{")(root)
    listed(f"{GOOD_LINE}\nx\n[]\n")(root)
    line = refused(run, arguments, {"--train-data-path": root}, DATA + "training_dataset: ")
    assert "_schema.json is not JSON" in line
    assert "Also, training_dataset: images.lst has 2 problems: line 2 is not JSON ('x')" in line
    gone("images.lst")(root)
    line = refused(run, arguments, {"--train-data-path": root}, DATA + "training_dataset: ")
    assert "_schema.json is not JSON" in line
    assert "Also, training_dataset: 'images.lst' cannot be read (No such file" in line


def test_what_is_wrong_with_several_inputs_is_told_at_once(
    run: Run, arguments: Arguments, tmp_path: Path
) -> None:
    """In one line, with the name and code of the first."""
    changes: dict[str, object] = {
        "--untrained-model-path": tmp_path / "no model",
        "--train-data-path": tmp_path / "no images",
        "--valid-data-path": tmp_path / "none either",
    }
    line = refused(run, arguments, changes, "InvalidModelDirectoryError (0159): untrained_model: ")
    assert "Also, training_dataset: found nothing at" in line
    assert "Also, validation_dataset: found nothing at" in line

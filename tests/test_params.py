"""The five parameters: what is refused, what is legal, and how it is told."""

from pathlib import Path

import pytest

from tests.conftest import Arguments, Run, refused
from train_pytorch_model.component import parse
from train_pytorch_model.errors import ParameterError
from train_pytorch_model.params import PARAMETERS, TrainingParams

NOT_INTEGERS = ["1.5", "abc", "", " ", "NaN", "nan", "inf", "-inf", "True", "1e3", "1_000", "0x10"]
FLAGS = ["--epochs", "--batch-size", "--patience"]


@pytest.mark.parametrize("flag", FLAGS)
@pytest.mark.parametrize(
    ("value", "code"),
    [("0", "0005"), ("-1", "0005"), ("9" * 400, "0007"), ("2147483648", "0007")]
    + [(value, "0002") for value in NOT_INTEGERS],
)
def test_counts_are_positive_integers(
    run: Run, arguments: Arguments, flag: str, value: str, code: str
) -> None:
    """Epochs, batch size and patience."""
    line = refused(run, arguments, {flag: value}, f"ParameterError ({code}): ")
    assert f"{flag[2:].replace('-', '_')} is " in line
    assert "expected an integer from 1 to 2147483647" in line


@pytest.mark.parametrize(
    ("value", "code"),
    [("0", "0005"), ("-0.1", "0005"), ("-1", "0005"), ("1e-400", "0005"), ("-1e-5", "0005")]
    + [(v, "0002") for v in ("abc", "", "NaN", "inf", "-inf", "True", "1e400", "9" * 400, "1_0")],
)
def test_learning_rate_is_a_positive_number(
    run: Run, arguments: Arguments, value: str, code: str
) -> None:
    """Down to the smallest double, and finite."""
    line = refused(run, arguments, {"--learning-rate": value}, f"ParameterError ({code}): ")
    assert "expected a finite number of at least 5e-324" in line


@pytest.mark.parametrize("value", ["1.5", "abc", "", "NaN", "inf", "True"])
def test_seed_is_an_integer(run: Run, arguments: Arguments, value: str) -> None:
    """Of any size, but an integer."""
    refused(run, arguments, {"--random-seed": value}, "ParameterError (0002): random_seed is ")


def test_all_problems_are_told_in_one_message(run: Run, arguments: Arguments) -> None:
    """Before anything is read: none of the paths exists."""
    inputs = ("--untrained-model-path", "--train-data-path", "--valid-data-path")
    nowhere = dict.fromkeys(inputs, "/nowhere")
    wrong = {"--epochs": "0", "--batch-size": "1.5", "--learning-rate": "NaN"}
    more = {"--random-seed": "abc", "--patience": "-1"}
    line = refused(run, arguments, {**nowhere, **wrong, **more}, "ParameterError (")
    for name in ("epochs", "batch_size", "learning_rate", "random_seed", "patience"):
        assert f"{name} is " in line


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("learning_rate", "5e-324", 5e-324),
        ("learning_rate", "4.94065645841247e-324", 5e-324),
        ("learning_rate", "1", 1.0),
        ("learning_rate", ".5", 0.5),
        ("learning_rate", "1E-3", 1e-3),
        ("random_seed", "0", 0),
        ("random_seed", "-5", -5),
        ("random_seed", "9" * 400, int("9" * 400)),
        ("epochs", "+2", 2),
        ("epochs", " 2 ", 2),
        ("patience", "2147483647", 2147483647),
    ],
)
def test_legal_values(name: str, text: str, value: float) -> None:
    """The edges of the ranges, and the usual ways to write a number."""
    assert parse(PARAMETERS, {name: text})[name] == value


def test_defaults() -> None:
    """The contract's."""
    assert TrainingParams(**parse(PARAMETERS, {})) == TrainingParams(5, 16, 0.001, 1, 3)


@pytest.mark.parametrize("value", [0, 1.5, True, "3", None, float("nan")])
def test_constructing_checks_too(value: object) -> None:
    """A caller from Python is told as well."""
    with pytest.raises(ParameterError, match="epochs is"):
        TrainingParams(epochs=value)  # type: ignore[arg-type]  # that is the test


@pytest.mark.parametrize("seed", ["-1", "9" * 400, "18446744073709551615"])
def test_any_seed_trains(run: Run, arguments: Arguments, seed: str) -> None:
    """Also where PyTorch itself would refuse it."""
    code, err = run({"--random-seed": seed})
    assert code == 0, err
    assert (Path(str(arguments["--trained-model-path"])) / "_meta.yaml").exists()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"--epoch": "1"}, "unrecognized arguments"),
        ({"--train-data-path": None}, "are required: --train-data-path"),
        ({"--train-data-path": ""}, "the path is empty"),
    ],
)
def test_a_wrong_command_line_exits_with_2(
    run: Run, changes: dict[str, object], expected: str
) -> None:
    """One line, as argparse's users know it."""
    code, err = run(changes)
    assert code == 2
    assert expected in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"--device": "tpu"}, "(0002): device is 'tpu', expected one of auto, cpu, cuda"),
        ({"--num-warmup-steps": "-1"}, "(0005): warmup_epochs is '-1', expected an integer from 0"),
        ({"--print-freq": "0"}, "(0005): print_frequency is '0', expected an integer from 1"),
        ({"--print-freq": "0", "--epochs": "0"}, "(0005): epochs is '0', expected an integer from"),
    ],
)
def test_settings_are_checked_as_parameters_are(
    run: Run, arguments: Arguments, changes: dict[str, object], expected: str
) -> None:
    """And told with them."""
    refused(run, arguments, changes, f"ParameterError {expected}")


def test_the_originals_other_flags_are_taken(run: Run) -> None:
    """Existing pipelines pass them."""
    code, err = run({"--num-warmup-steps": 1, "--print-freq": 1, "--epochs": 2})
    assert code == 0, err

"""Small inputs and a runner, shared by the tests of the commands.

All matrices are 20 x 15, so that one compilation serves many runs.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import PIL.Image
from typer.testing import CliRunner, Result

from factorflow._random import stream
from factorflow.cli import app

SHAPE = (20, 15)
LONG = ("--row", "user", "--column", "item", "--value", "score")
# One compilation for all: no held-out entries, whose number is part of a shape.
PLAIN = ("--stop", "interpolate", "--test-fraction", "0", "--biases", "none", "--depth", "2")


def factorflow(*arguments) -> Result:
    """Run the command line in this process."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def completed(*arguments) -> Result:
    """Run ``factorflow complete``, which must succeed."""
    result = factorflow("complete", *arguments)
    assert result.exit_code == 0, result.output
    return result


def numbers(path: Path) -> dict:
    return json.loads(path.read_text())


def matrix(rank: int = 2, noise: float = 0.0) -> np.ndarray:
    """A matrix of low rank with row effects, by default without noise."""
    rng = stream(0, "tests", "cli")
    low = rng.standard_normal((SHAPE[0], rank)) @ rng.standard_normal((rank, SHAPE[1]))
    return low + noise * rng.standard_normal(SHAPE)


def observed(share: float = 0.7) -> np.ndarray:
    return stream(0, "tests", "cli", "observed").random(SHAPE) < share


def with_gaps(share: float = 0.7, **options) -> np.ndarray:
    return np.where(observed(share), matrix(**options), np.nan)


def long_frame(values: np.ndarray) -> pd.DataFrame:
    rows, columns = np.nonzero(np.isfinite(values))
    cells = values[rows, columns]
    return pd.DataFrame({"user": 100 + rows, "item": [f"i{j:02}" for j in columns], "score": cells})


def wide_frame(values: np.ndarray) -> pd.DataFrame:
    frame = pd.DataFrame(values, columns=[f"c{j}" for j in range(values.shape[1])])
    frame.insert(0, "id", [f"r{i}" for i in range(len(values))])
    return frame


def picture(path: Path, colours: int = 1) -> np.ndarray:
    """Write a smooth image and return its pixels, 8 bits each."""
    rows, columns = np.mgrid[0 : SHAPE[0], 0 : SHAPE[1]]
    gray = 127 + 60 * np.sin(rows / 4) + 60 * np.cos(columns / 3)
    stack = [np.clip(gray * factor, 0, 255) for factor in (1, 0.7, 0.4)[:colours]]
    pixels = np.squeeze(np.stack(stack, axis=2)).astype(np.uint8)
    PIL.Image.fromarray(pixels).save(path)
    return pixels

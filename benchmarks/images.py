"""Photographs with hidden pixels: low rank against an inpainting that knows of smoothness."""

import warnings
from collections.abc import Callable
from time import perf_counter

import numpy as np
from matplotlib.figure import Figure

from benchmarks._case import Case, Result, Table
from benchmarks._clock import spread
from benchmarks._peers import missing
from factorflow import DeepMatrixCompletion, FactorflowWarning, SoftImpute, TensorCompletion
from factorflow._random import stream
from factorflow.cli._unfolding import to_image, to_matrix
from factorflow.datasets import photograph
from factorflow.plots._style import COLORS, DASHES, calm

_SHARES = (0.5, 0.7, 0.9)
_SIZES = ((54, 72), (192, 256))  # height and width, quick and full
_LOW_RANK = ("DeepMatrixCompletion", "TensorCompletion", "SoftImpute")
_PEER = "biharmonic inpainting (scikit-image)"
_COLUMNS = (
    "photograph",
    "hidden",
    "method",
    "PSNR of the hidden pixels, dB",
    "SSIM",
    "seconds",
)


def run(full: bool, tell) -> Result:
    skipped = missing("skimage")
    methods, pictures = _methods(not skipped), _photographs(_SIZES[full], not skipped)
    first = _first_seconds(methods, next(iter(pictures.values())))
    rows = []
    for name, picture in pictures.items():
        for share in _SHARES:
            hidden = _hidden(picture.shape[:2], share, name)
            for method, complete in methods.items():
                quality, seconds = _judged(complete, picture, hidden, not skipped)
                rows.append((name, f"{share:.0%}", method, *quality, seconds))
                tell(f"{name}, {share:.0%} hidden: {method} {quality[0]:.2f} dB, {seconds:.2f} s")
    height, width = _SIZES[full]
    tables = [
        Table(f"Colour photographs, {width} x {height} pixels", _COLUMNS, rows),
        _means(methods, rows, first),
    ]
    return Result(tables, skipped=skipped, notes=_notes(rows))


def _photographs(size: tuple[int, int], with_skimage: bool) -> dict[str, np.ndarray]:
    """All of one size, so that what is compiled for one serves all."""
    found = {name: photograph(name, gray=False) for name in ("china", "flower")}
    if with_skimage:
        from skimage.data import coffee  # in the package itself: nothing is downloaded

        found["coffee"] = coffee() / 255
    return {name: _resized(picture, size) for name, picture in found.items()}


def _resized(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The middle of the picture in the wanted proportions, scaled down."""
    from PIL import Image

    (height, width), (new_height, new_width) = picture.shape[:2], size
    factor = min(height / new_height, width / new_width)
    crop_height, crop_width = round(factor * new_height), round(factor * new_width)
    top, left = (height - crop_height) // 2, (width - crop_width) // 2
    crop = picture[top : top + crop_height, left : left + crop_width]
    pixels = Image.fromarray(np.round(255 * crop).astype(np.uint8))
    return np.asarray(pixels.resize((new_width, new_height), Image.Resampling.LANCZOS)) / 255


def _hidden(shape: tuple[int, ...], share: float, name: str) -> np.ndarray:
    """Which pixels are hidden, in all colours at once."""
    hidden = np.zeros(shape, bool)
    rng = stream(0, "images", name, f"{share}")
    hidden.flat[rng.choice(hidden.size, round(share * hidden.size), replace=False)] = True
    return hidden


Complete = Callable[[np.ndarray, np.ndarray], np.ndarray]


def _methods(with_peer: bool) -> dict[str, Complete]:
    methods: dict[str, Complete] = {
        "DeepMatrixCompletion": _of_matrices(DeepMatrixCompletion),
        "TensorCompletion": lambda seen, hidden: TensorCompletion().fit_transform(seen),
        "SoftImpute": _of_matrices(SoftImpute),
        "means of rows and columns": _means_alone,
    }
    return methods | ({_PEER: _biharmonic} if with_peer else {})


def _of_matrices(estimator: type) -> Complete:
    """As `factorflow complete` takes a colour picture: its three channels side by side."""
    return lambda seen, hidden: to_image(estimator().fit_transform(to_matrix(seen)), 3)


def _means_alone(seen: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """Of each colour: mean of the row and of the column, less that of all."""
    mean = np.nanmean(seen, axis=(0, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a row of which nothing was seen
        rows, columns = np.nanmean(seen, axis=1), np.nanmean(seen, axis=0)
    rows, columns = (np.where(np.isnan(each), mean, each) for each in (rows, columns))
    return np.where(hidden[..., None], rows[:, None] + columns - mean, seen)


def _biharmonic(seen: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    from skimage.restoration import inpaint_biharmonic

    return inpaint_biharmonic(np.nan_to_num(seen), hidden, channel_axis=2)


def _first_seconds(methods: dict[str, Complete], picture: np.ndarray) -> dict[str, float]:
    """Of each method's first call, which loads and compiles."""
    hidden = _hidden(picture.shape[:2], _SHARES[0], "first call")
    return {
        method: _judged(complete, picture, hidden, False)[1] for method, complete in methods.items()
    }


def _judged(
    complete: Complete, picture: np.ndarray, hidden: np.ndarray, with_ssim: bool
) -> tuple[tuple[float, float | None], float]:
    """PSNR and SSIM, and seconds."""
    seen = np.where(hidden[..., None], np.nan, picture)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FactorflowWarning)  # a row of which nothing was seen
        began = perf_counter()
        found = complete(seen, hidden)
        seconds = perf_counter() - began
    found = np.clip(found, 0, 1)
    psnr = float(-10 * np.log10(np.mean((found[hidden] - picture[hidden]) ** 2)))
    if not with_ssim:
        return (psnr, None), seconds
    from skimage.metrics import structural_similarity

    ssim = structural_similarity(picture, found, data_range=1.0, channel_axis=2)
    return (psnr, float(ssim)), seconds


def _means(methods: dict[str, Complete], rows: list[tuple], first: dict[str, float]) -> Table:
    found = []
    for method in methods:
        own = [row for row in rows if row[2] == method]
        by_share = [np.mean([row[3] for row in own if row[1] == f"{s:.0%}"]) for s in _SHARES]
        seconds = [row[5] for row in own]
        median = float(np.median(seconds))
        found.append((method, *map(float, by_share), median, spread(seconds), first[method]))
    columns = ("method", *(f"PSNR, {share:.0%} hidden, dB" for share in _SHARES))
    return Table(
        "Means over the photographs; seconds are the median and the spread of all "
        f"{len(rows) // len(methods)} pictures, each completed once",
        (*columns, "seconds, median", "spread, s", "first call, s"),
        found,
    )


def _notes(rows: list[tuple]) -> list[str]:
    by_case: dict[tuple, dict[str, float]] = {}
    seconds: dict[str, list[float]] = {}
    for name, share, method, psnr, _, taken in rows:
        by_case.setdefault((name, share), {})[method] = psnr
        seconds.setdefault(method, []).append(taken)
    notes = [
        "PSNR is that of the hidden pixels alone, SSIM that of the whole picture, with the known "
        "pixels as they are. All with their defaults; pixels are hidden at random, in all three "
        "colours at once. The matrix methods see the colours side by side, as `factorflow "
        "complete` does."
    ]
    if rows and any(row[2] == _PEER for row in rows):
        lost = [
            each[_PEER] - max(value for method, value in each.items() if method != _PEER)
            for each in by_case.values()
        ]
        won = sum(each > 0 for each in lost)
        low_rank = min(np.median(taken) for name, taken in seconds.items() if name in _LOW_RANK)
        time = np.median(seconds[_PEER]) / low_rank
        notes.append(
            f"Biharmonic inpainting is the better in {won} of {len(lost)} cases, by "
            f"{np.median(lost):.1f} dB at the median, and takes {time:.2g} times the seconds of "
            "the fastest method of low rank: neighbouring pixels are alike, and low rank knows "
            "nothing of that: it would complete the picture as well with its rows and columns "
            "shuffled. For photographs, and wherever neighbours are "
            "alike, take inpainting. Take low rank where rows and columns are things without an "
            "order, as users and films, and where whole rows repeat one another."
        )
    return notes


def figure(result: Result) -> Figure:
    """PSNR against the hidden share, a panel for each photograph."""
    rows = result.tables[0].rows
    names = list(dict.fromkeys(row[0] for row in rows))
    methods = list(dict.fromkeys(row[2] for row in rows))
    drawn = Figure(figsize=(3.2 * len(names), 3.6), layout="constrained")
    panels = drawn.subplots(1, len(names), sharey=True, squeeze=False)[0]
    for ax, name in zip(panels, names, strict=True):
        calm(ax).set_title(name)
        for k, method in enumerate(methods):
            own = [row for row in rows if row[0] == name and row[2] == method]
            ax.plot(
                [float(row[1].rstrip("%")) for row in own],
                [row[3] for row in own],
                color=COLORS[k % len(COLORS)],
                linestyle=DASHES[k % len(DASHES)],
                marker="o",
                markersize=4,
                label=method,
            )
        ax.set_xticks([100 * share for share in _SHARES])
        ax.set_xlabel("Hidden pixels, %")
    panels[0].set_ylabel("PSNR of the hidden pixels, dB")
    drawn.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return drawn


CASE = Case(
    name="images",
    title="Photographs with hidden pixels",
    question="How near to the hidden pixels does each method come, and when should it be something "
    "else than low rank?",
    run=run,
    figure=figure,
)

"""Convolutional arithmetic circuits compute what their factorizations stand for."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from factorflow._random import stream
from factorflow._x64 import double_precision
from factorflow.circuits import DeepCircuit, ShallowCircuit, one_hot
from factorflow.dynamics import GradientDescent, Stop, solve
from factorflow.experiments._case import AbstractCase, Progress, Results
from factorflow.experiments._claim import Claim, Size
from factorflow.experiments._comparison import panels
from factorflow.experiments._judgement import Check, Finding, Measured, Published
from factorflow.experiments._tabulate import of_kind
from factorflow.factorizations import CP, AbstractTensorFactorization, HierarchicalTucker
from factorflow.initializers import Gaussian
from factorflow.plots import plot_agreement
from factorflow.problems import Completion, MultilinearRegression
from factorflow.report import Table
from factorflow.trajectories import Record, train_loss

SHALLOW, DEEP = "shallow circuit, CP", "deep circuit, hierarchical Tucker"
_KINDS = (SHALLOW, DEEP)
_N_EXAMPLES = 24
_TRAINED_SIZES, _N_OBSERVED = (4, 3, 4, 3), 72
# Powers of two, so that so many steps end on that time exactly.
_RATE, _N_STEPS = 2.0**-3, 256
_AGREE = 1e-12
_AFTER_TRAINING = 1e-10
_MOVED = 0.1
_SHOWN = 200  # entries of a tensor in the picture

_WORDS = {
    "entries": "all one-hot inputs against the tensor",
    "vectors": "general vectors against the tensor contracted with them",
    "gradient": "gradient by the weights against that by the factors",
}
_TRAINED = f"tensor after {_N_STEPS} steps of descent on entries, by weights and by factors"


@dataclass(frozen=True)
class CircuitCase(AbstractCase):
    """A circuit of random order, dimensions and widths beside its factorization.

    Parameters
    ----------
    circuit
        ``SHALLOW`` or ``DEEP``.
    instance
        Seed of the order, from 3 to 6, the dimensions, from 2 to 4, the widths, from 1 to 5, the
        arity, 2 or 3, and all numbers.
    """

    kind: ClassVar[str] = "a circuit beside its factorization"
    revision: ClassVar[int] = 1

    circuit: str
    instance: int

    @classmethod
    def run_many(cls, cases, finished, progress):
        for case in cases:
            finished(case, _compared(case))


def _compared(case: CircuitCase) -> dict[str, Any]:
    """Largest differences of either side, relative to the largest number compared."""
    rng = stream(case.instance, "circuits", case.circuit)
    sizes = tuple(int(size) for size in rng.integers(2, 5, size=rng.integers(3, 7)))
    factorization = _factorization(case.circuit, len(sizes), rng)
    shapes = factorization.shapes(sizes)
    factors = tuple(rng.standard_normal(shape) / np.sqrt(shape[1]) for shape in shapes)
    circuit = _circuit(case.circuit, factorization, factors)
    with double_precision():
        tensor = np.asarray(factorization.tensor(factors))
    indices = np.array(list(np.ndindex(*sizes)))
    vectors = [rng.standard_normal((_N_EXAMPLES, size)) / np.sqrt(size) for size in sizes]
    outputs, contracted = np.asarray(circuit(vectors)), _contracted(tensor, vectors)
    entries = np.asarray(circuit(one_hot(indices, sizes))).reshape(sizes)
    targets = rng.standard_normal(_N_EXAMPLES)
    by_weights = _gradient(circuit, vectors, targets).to_factors()[1]
    by_factors = (
        MultilinearRegression(tuple(vectors), targets).loss(factorization).gradient(factors)
    )
    return {
        "sizes": sizes,
        "factorization": str(factorization),
        "outputs": np.stack([outputs, contracted]),
        "shown": np.stack([entries.ravel(), tensor.ravel()])[:, :: 1 + tensor.size // _SHOWN],
        "entries": _apart(entries, tensor),
        "vectors": _apart(outputs, contracted),
        "gradient": _apart(_flat(by_weights), _flat(by_factors)),
    }


@dataclass(frozen=True)
class TrainedCircuitCase(AbstractCase):
    """A circuit trained on entries as a network, beside descent on the factors.

    Parameters
    ----------
    circuit
        ``SHALLOW`` or ``DEEP``, of width 4.
    instance
        Seed of the tensor, the observed entries and the start.
    """

    kind: ClassVar[str] = "a circuit trained beside its factorization"
    revision: ClassVar[int] = 1

    circuit: str
    instance: int

    @classmethod
    def run_many(cls, cases, finished, progress):
        for case in cases:
            finished(case, _trained(case, progress))


def _trained(case: TrainedCircuitCase, progress: Progress | None) -> dict[str, Any]:
    rng = stream(case.instance, "circuits", "trained")
    factorization = CP(4) if case.circuit == SHALLOW else HierarchicalTucker(4)
    truth = rng.standard_normal(_TRAINED_SIZES)
    problem = Completion.sample(truth, _N_OBSERVED, seed=case.instance)
    start = Gaussian(0.5)(factorization, _TRAINED_SIZES, case.instance)
    solution = solve(
        problem,
        factorization,
        GradientDescent(_RATE),
        init=lambda *_: start,
        stop=Stop(train_error=None, time=_RATE * _N_STEPS),
        record=Record([train_loss()]),
        progress=progress,
    )
    network = _circuit(case.circuit, factorization, start)
    inputs, targets = one_hot(problem.indices, _TRAINED_SIZES), problem.values
    step = eqx.filter_jit(partial(_gradient, inputs=inputs, targets=targets))
    with double_precision():
        begun = np.asarray(network.tensor())
        for _ in range(_N_STEPS):
            slope = step(network)
            network = jax.tree.map(lambda weights, by: weights - _RATE * by, network, slope)
        ended = np.asarray(network.tensor())
    return {
        "n_steps": solution.n_steps,
        "apart": _apart(ended, np.asarray(solution.tensor)),
        "moved": _apart(begun, ended),
    }


def _gradient(network: Any, inputs: Any, targets: Any) -> Any:
    """Of the mean of half the squared residual, by the weights of a network."""

    def loss(network):
        return jnp.mean((network(inputs) - targets) ** 2) / 2

    with double_precision():
        return eqx.filter_grad(loss)(network)


def _factorization(
    circuit: str, order: int, rng: np.random.Generator
) -> AbstractTensorFactorization:
    if circuit == SHALLOW:
        return CP(int(rng.integers(1, 6)))
    arity = int(rng.integers(2, 4))
    n_levels = int(np.ceil(np.round(np.log(order) / np.log(arity), 9)))
    return HierarchicalTucker([int(w) for w in rng.integers(1, 6, size=n_levels)], arity)


def _circuit(kind: str, factorization: Any, factors: Sequence[Any]) -> ShallowCircuit | DeepCircuit:
    if kind == SHALLOW:
        return ShallowCircuit.from_factors(factors)
    return DeepCircuit.from_factors(factors, factorization.arity)


def _contracted(tensor: np.ndarray, vectors: Sequence[np.ndarray]) -> np.ndarray:
    """The whole tensor contracted with the vectors of each example, mode by mode."""
    result = np.broadcast_to(tensor, (len(vectors[0]), *tensor.shape))
    for each in vectors:
        result = np.einsum("pi...,pi->p...", result, each)
    return result


def _flat(arrays: Sequence[Any]) -> np.ndarray:
    return np.concatenate([np.ravel(each) for each in arrays])


def _apart(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.max(np.abs(one - other)) / np.max(np.abs(other)))


def _cases(size: Size) -> list[AbstractCase]:
    return [
        *(CircuitCase(kind, seed) for kind in _KINDS for seed in range(size.seeds)),
        *(TrainedCircuitCase(kind, 0) for kind in _KINDS),
    ]


def _judge(results: Results) -> Finding:
    measured, checks, rows = [], [], []
    for kind in _KINDS:
        runs = of_kind(results, CircuitCase, circuit=kind)
        seeds = [case.instance for case in runs]
        for name, words in _WORDS.items():
            values = [float(run[name]) for run in runs.values()]
            measured.append(Measured.of(f"{kind}: {words}", values, seeds))
            checks.append(Check(f"{kind}: {words}", max(values), "<=", _AGREE))
        rows += [_row(run) for run in runs.values()]
        (trained,) = of_kind(results, TrainedCircuitCase, circuit=kind).values()
        measured.append(Measured.of(f"{kind}: {_TRAINED}", [trained["apart"]], [0]))
        checks += [
            Check(f"{kind}: {_TRAINED}", trained["apart"], "<=", _AFTER_TRAINING),
            Check(f"{kind}: which moved the tensor", trained["moved"], ">=", _MOVED),
            Check(f"{kind}: in as many steps", trained["n_steps"], "within", (_N_STEPS, _N_STEPS)),
        ]
    return Finding(
        measured=tuple(measured),
        checks=tuple(checks),
        tables=(Table(_TABLE, ("factorization", "tensor", *_WORDS), rows),),
        figures=((_CAPTION, _figure(results)),),
        notes=(_NOTE,),
    )


def _row(run: dict[str, Any]) -> tuple[Any, ...]:
    sizes = " x ".join(f"{size:g}" for size in run["sizes"])
    return run["factorization"], sizes, *(float(run[name]) for name in _WORDS)


def _figure(results: Results) -> Figure:
    figure, axes = panels(2, width=4.6, height=4.4)
    shown = (
        ("shown", "One-hot inputs", "Entry of the tensor"),
        ("outputs", "General vectors", "Tensor contracted with the vectors"),
    )
    for (name, title, beside), ax in zip(shown, axes, strict=True):
        left, right = (_sides(results, name, side) for side in (0, 1))
        plot_agreement(left, right, ax, ("Output of the circuit", beside), by="circuit")
        ax.set_title(title, fontsize="medium")
    return figure


def _sides(results: Results, name: str, side: int) -> xr.DataArray:
    """What circuits gave, or what was expected, one example after another."""
    found = []
    for kind in _KINDS:
        runs = of_kind(results, CircuitCase, circuit=kind).values()
        found.append(np.concatenate([np.asarray(run[name])[side] for run in runs]))
    table = np.full((len(found), max(map(len, found))), np.nan)
    for row, values in zip(table, found, strict=True):
        row[: len(values)] = values
    return xr.DataArray(table, dims=("circuit", "example"), coords={"circuit": list(_KINDS)})


_TABLE = "Largest differences of each instance, relative to the largest number compared."
_CAPTION = (
    "What circuits give for one-hot inputs, against the entries of their tensors, and for random "
    "vectors, against the tensors contracted with them."
)
_NOTE = (
    "The circuits are computed layer by layer, place by place; the other side by products of "
    "factors: the whole tensor, its contraction with the vectors one mode after another, and "
    "derivatives by the factors. Orders are 3 to 6, dimensions 2 to 4, widths 1 to 5, windows of 2 "
    "or 3, at random; the last window of a layer may be shorter. In training the network takes "
    "one-hot inputs, while the factors are descended on as a completion of the same entries."
)

CLAIM = Claim(
    id="razin2020.circuits",
    title="Circuits are factorizations",
    statement="A shallow convolutional arithmetic circuit is a CP factorization and a deep one a "
    "hierarchical Tucker factorization: on one-hot inputs it gives the entries of the tensor, on "
    "others the tensor contracted with them, and to train it is to train the factors.",
    source="Razin and Cohen 2020 (arXiv:2005.06398), section 5, on the networks of Cohen, Sharir "
    "and Shashua 2016 (arXiv:1509.05009)",
    published=tuple(
        Published(f"{kind}: {_WORDS['entries']}", "the same numbers", "section 5")
        for kind in _KINDS
    ),
    cost="quick",
    cases=_cases,
    judge=_judge,
    seeds=3,
    full_seeds=20,
)

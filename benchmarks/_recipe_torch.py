"""The published descent of deep matrix factorization, written lean in PyTorch.

Arora, Cohen, Hu and Luo 2019 (arXiv:1905.13655): all layers full, the mean of the squared
residuals over the observed entries as the loss, float32, gradients by autograd, and RMSprop that
divides by one scalar for all layers, step 1e-3, decay 0.99, eps 1e-4. Nothing is logged; the stop
is asked at every step, as the loss is there anyway and reading it takes about a microsecond.
"""

from collections.abc import Callable
from math import sqrt
from time import perf_counter

import numpy as np
import torch

RATE, DECAY, EPS = 1e-3, 0.99, 1e-4
CAP = 1_000_000


def descend(instance, train_error: float = 1e-6, cap: int = CAP) -> dict:
    """Descent from the factors of an instance to a mean squared train error, or to the cap.

    Parameters
    ----------
    instance
        Mapping of arrays: ``places`` (of the observed entries in the matrix as one row),
        ``values``, and ``factor_1``, ``factor_2``, ... in the order in which they are applied.
    """
    layers, places, values = _placed(instance)
    mean_square, step, error = 0.0, 0, float("inf")
    while step < cap:
        loss = torch.nn.functional.mse_loss(_product(layers).view(-1)[places], values)
        error = loss.item()
        if error <= train_error:
            break
        step += 1
        gradient = torch.autograd.grad(loss, layers)
        square = sum(torch.dot(part.view(-1), part.view(-1)) for part in gradient).item()
        mean_square = DECAY * mean_square + (1 - DECAY) * square
        size = sqrt(mean_square / (1 - DECAY**step)) + EPS
        with torch.no_grad():
            torch._foreach_add_(layers, gradient, alpha=-RATE / size)
    with torch.no_grad():
        matrix = _product(layers).numpy()
    return {"matrix": matrix, "train_error": error, "n_gradients": step}


def descend_together(instance, train_error: float = 1e-6, cap: int = CAP) -> dict:
    """Runs of :func:`descend` side by side, until the last of them has arrived.

    The factors of the instance have a leading axis, one place for each run, and RMSprop one scalar
    for each. The gradient of the sum of all losses holds that of every run.
    """
    layers, places, values = _placed(instance)
    runs = len(layers[0])
    mean_square, step, errors = torch.zeros(runs), 0, torch.full((runs,), float("inf"))
    while step < cap:
        residuals = _product(layers).view(runs, -1).index_select(1, places) - values
        losses = residuals.square().mean(1)
        errors = losses.detach()
        if errors.max().item() <= train_error:
            break
        step += 1
        gradient = torch.autograd.grad(losses.sum(), layers)
        square = sum(part.view(runs, -1).square().sum(1) for part in gradient)
        mean_square = DECAY * mean_square + (1 - DECAY) * square
        size = (mean_square / (1 - DECAY**step)).sqrt() + EPS
        with torch.no_grad():
            scale = (-RATE / size).view(runs, 1, 1)
            for layer, part in zip(layers, gradient, strict=True):
                layer.addcmul_(part, scale)
    with torch.no_grad():
        matrices = _product(layers).numpy()
    return {"matrix": matrices, "train_error": errors.numpy(), "n_gradients": step}


def _placed(instance) -> tuple[list[torch.Tensor], torch.Tensor, torch.Tensor]:
    layers = [
        torch.tensor(instance[f"factor_{j}"], dtype=torch.float32, requires_grad=True)
        for j in range(1, sum(name.startswith("factor_") for name in instance) + 1)
    ]
    values = torch.tensor(instance["values"], dtype=torch.float32)
    return layers, torch.as_tensor(instance["places"]), values


def _product(layers):
    matrix = layers[0]
    for layer in layers[1:]:
        matrix = layer @ matrix
    return matrix


def better_threads(instance, descent: Callable = descend, steps: int = 100) -> int:
    """The number of threads with which so many steps are fastest; PyTorch is left with those."""
    from factorflow._cores import usable_cores  # here: a process of PyTorch alone goes without

    seconds = {}
    for number in numbers_of_threads(usable_cores()):
        torch.set_num_threads(number)
        descent(instance, cap=max(1, steps // 10))
        began = perf_counter()
        descent(instance, cap=steps)
        seconds[number] = perf_counter() - began
    best = min(seconds, key=lambda number: seconds[number])
    torch.set_num_threads(best)
    return best


def numbers_of_threads(cores: int) -> list[int]:
    """All cores, and the powers of two below, the most first."""
    return [cores, *(2**k for k in reversed(range(cores.bit_length())) if 2**k < cores)]


def whole(path: str, threads: int) -> dict:
    """What a script does that loads an instance and runs the recipe: numbers for JSON."""
    torch.set_num_threads(threads)
    with np.load(path) as instance:
        found = descend(dict(instance))
    return {name: value for name, value in found.items() if name != "matrix"}

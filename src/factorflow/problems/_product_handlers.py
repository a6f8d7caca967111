"""Handlers of XLA's foreign function interface that multiply matrices by BLAS, without Python.

Written in LLVM's language and compiled on loading, which takes hundredths of a second; Numba,
which could compile Python for it, takes ten times as long to import.
"""

import ctypes
from functools import reduce
from typing import Any, NamedTuple

import llvmlite.binding as llvm
from llvmlite import ir

from factorflow._host_call import OFFSETS
from factorflow.problems._frame_code import (
    batch_size,
    place_in_batch,
    sizes,
    unless_asked_to_execute,
)
from factorflow.problems._job_code import FIELDS, I64, ONE, PLACE, ZERO, Code
from factorflow.problems._sharing_code import MALLOC, ask_for_help, let_go, take_parts, wait_for
from factorflow.problems._slope_code import slope

_LEAST_ROWS = 32  # of a part
_JOB_BYTES = 8 * len(FIELDS)


class _Product(NamedTuple):
    """Which operands are transposed (N or T for each), their names and that of the result."""

    turns: str
    left: str
    right: str
    result: str


class _Kind(NamedTuple):
    """A handler: what XLA hands over, and the products."""

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    products: tuple[_Product, ...]

    @property
    def symbol(self) -> str:
        return f"handle_{self.name}"


_PLAIN = _Product("NN", "a", "b", "product")
_KINDS = (
    _Kind("plain", ("a", "b"), ("product",), (_PLAIN,)),
    _Kind("slope", ("a", "b", "values", "observed", "count"), ("product", "squares"), (_PLAIN,)),
    _Kind(
        "back", ("a", "b", "slope"), ("by_a", "by_b"),
        (_Product("NT", "slope", "b", "by_a"), _Product("TN", "a", "slope", "by_b")),
    ),
)  # fmt: skip


class _Arrays:
    """What XLA handed over in one call, by the names of its kind."""

    def __init__(self, code: Code, frame, kind: _Kind, place_in_batch: ir.Function):
        self.code, self.place_in_batch = code, place_in_batch
        inputs, outputs = (code.word(frame, OFFSETS[each]) for each in ("inputs", "outputs"))
        self.buffers = {name: code.word(inputs, 8 * k) for k, name in enumerate(kind.inputs)}
        self.buffers |= {name: code.word(outputs, 8 * k) for k, name in enumerate(kind.outputs)}
        self.whole = self.buffers[kind.outputs[0]]
        matrices = self.buffers.keys() - {"count", "squares"}
        self.shapes = {name: sizes(code, self.buffers[name]) for name in sorted(matrices)}

    def of_loss(self, k) -> dict:
        """Addresses of what a loss needs for the ``k``-th product; nothing without one."""
        names = ("values", "observed", "count", "squares")
        return {name: self.address(name, k) for name in names if name in self.buffers}

    def address(self, name: str, k):
        """Where the array for the ``k``-th product of a batch begins."""
        write, buffer = self.code.write, self.buffers[name]
        index = write.call(self.place_in_batch, [buffer, self.whole, k])
        return write.add(
            self.code.word(buffer, OFFSETS["data"]), write.mul(index, self._size(name))
        )

    def _size(self, name: str):
        """Bytes of an array; of squares there are as many as the product has rows."""
        if name == "count":
            return I64(8)
        rows, columns = self.shapes["product" if name == "squares" else name]
        return self.code.write.mul(
            I64(8), rows if name == "squares" else self.code.write.mul(rows, columns)
        )


def _handler(module: ir.Module, kind: _Kind, n_threads: int, parts: dict) -> None:
    code = Code(module, kind.symbol)
    write, (frame,) = code.write, code.function.args
    unless_asked_to_execute(code, frame)
    arrays = _Arrays(code, frame, kind, parts["place_in_batch"])
    n_parts = [_n_parts(write, arrays.shapes[each.result][0], n_threads) for each in kind.products]
    count, which = batch_size(code, arrays.whole), code.variable(ZERO)
    again = code.loop("again")
    k = write.load(which)
    over = code.go_on_if(write.icmp_unsigned("<", k, count))
    first = code.call(MALLOC, I64, I64(_JOB_BYTES * len(kind.products)))
    jobs = [write.add(first, I64(_JOB_BYTES * i)) for i in range(len(kind.products))]
    of_all = {"holders": ONE, "takers": _largest(write, n_parts)} | arrays.of_loss(k)
    for i, (job, each) in enumerate(zip(jobs, kind.products, strict=True)):
        fields = of_all | _of_product(arrays, each, k)
        fields |= {"parts": n_parts[i], "following": jobs[i + 1] if job is not jobs[-1] else ZERO}
        for name in FIELDS:
            write.store(fields.get(name, ZERO), code.at(job, PLACE[name]))
    if n_threads > 1:
        write.call(parts["ask_for_help"], [frame, first])
    write.call(parts["take_parts"], [first])
    for job, n in zip(jobs, n_parts, strict=True):
        wait_for(code, job, n)
    write.call(parts["let_go"], [first])
    write.store(write.add(k, ONE), which)
    write.branch(again)
    write.position_at_end(over)
    code.end()


def _of_product(arrays: _Arrays, product: _Product, k) -> dict:
    """What BLAS is told of a product."""
    turned, (height, width) = product.turns[0] == "T", arrays.shapes[product.left]
    rows, columns = arrays.shapes[product.result]
    return {
        "a": arrays.address(product.left, k), "b": arrays.address(product.right, k),
        "product": arrays.address(product.result, k),
        "rows": rows, "columns": columns, "inner": height if turned else width,
        "step": I64(8) if turned else arrays.code.write.mul(I64(8), width),
        "width_a": width, "width_b": arrays.shapes[product.right][1],
        "turn_a": I64(ord(product.turns[0])), "turn_b": I64(ord(product.turns[1])),
    }  # fmt: skip


def _n_parts(write: ir.IRBuilder, rows, n_threads: int):
    most = write.udiv(rows, I64(_LEAST_ROWS))
    wanted = write.select(write.icmp_unsigned("<", most, I64(n_threads)), most, I64(n_threads))
    return write.select(write.icmp_unsigned("==", wanted, ZERO), ONE, wanted)


def _largest(write: ir.IRBuilder, numbers):
    return reduce(lambda a, b: write.select(write.icmp_unsigned("<", a, b), b, a), numbers)


_engines = []  # their code must outlive every program that calls it


def compiled(n_threads: int) -> dict[str, Any]:
    """The handlers of a product, of its way back, and of the slope of a squared error by it.

    ``back`` makes of ``a``, ``b`` and a slope `S` by their product ``S b^T`` and ``a^T S``.
    ``n_threads`` is the largest number of threads, XLA's included, that share a product.
    """
    module = ir.Module("products")
    taking, letting_go = take_parts(module, slope(module)), let_go(module)
    parts = {
        "take_parts": taking,
        "let_go": letting_go,
        "ask_for_help": ask_for_help(module, taking, letting_go),
        "place_in_batch": place_in_batch(module),
    }
    for kind in _KINDS:
        _handler(module, kind, n_threads, parts)
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_default_triple().create_target_machine(opt=0)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(str(module)), machine)
    engine.finalize_object()
    _engines.append(engine)
    handler = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)
    return {kind.name: handler(engine.get_function_address(kind.symbol)) for kind in _KINDS}

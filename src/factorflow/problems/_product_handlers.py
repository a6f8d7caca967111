"""Handlers of XLA's foreign function interface that multiply matrices by BLAS, without Python.

Each product is the ``dgemm`` of SciPy's BLAS on one thread for each part of its rows. The parts are
taken by whoever comes first: the thread that was called, and tasks for XLA's own threads. So nobody
waits for a thread that another program keeps busy, as threads of BLAS do for each other.

Written in LLVM's language and compiled on loading, which takes a twentieth of a second; Numba,
which could compile Python for it, takes ten times as long to import.
"""

import ctypes
from functools import reduce
from typing import Any, NamedTuple

import llvmlite.binding as llvm
from llvmlite import ir

from factorflow._blas import cython_blas
from factorflow._host_call import OFFSETS
from factorflow.problems._frame_code import (
    batch_size,
    place_in_batch,
    sizes,
    unless_asked_to_execute,
)
from factorflow.problems._job_code import DOUBLE, FIELDS, I32, I64, ONE, PLACE, ZERO, Code
from factorflow.problems._slope_code import slope

_LEAST_ROWS = 32  # of a part
_JOB_BYTES = 8 * len(FIELDS)
_LOSS = ("values", "observed", "count", "squares")
_LINES = ("count", "squares")  # no matrices


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


def _take_parts(module: ir.Module, slope: ir.Function) -> ir.Function:
    """Take the parts of a product, and of those that follow, that nobody else has taken."""
    code = Code(module, "take_parts")
    write, current = code.write, code.variable(code.function.args[0])
    rows_here = code.variable(I32(0))
    one, zero = code.variable(DOUBLE(1.0)), code.variable(DOUBLE(0.0))
    again = code.loop("again")
    job = write.load(current)
    over = code.go_on_if(write.icmp_unsigned("!=", job, ZERO))
    part, parts = code.count("add", job, "next"), code.field(job, "parts")
    with write.if_then(write.icmp_unsigned(">=", part, parts)):
        write.store(code.field(job, "following"), current)
        write.branch(again)
    rows, columns = code.field(job, "rows"), code.field(job, "columns")
    first = write.udiv(write.mul(part, rows), parts)
    after = write.udiv(write.mul(write.add(part, ONE), rows), parts)
    write.store(write.trunc(write.sub(after, first), I32), rows_here)
    a = write.add(code.field(job, "a"), write.mul(first, code.field(job, "step")))
    width = write.mul(columns, I64(8))
    result = write.add(code.field(job, "product"), write.mul(first, width))

    def place(name: str):
        return write.add(job, I64(PLACE[name]))

    # BLAS reads columns where rows lie: the transposed product, its operands in turn.
    code.call(
        _DGEMM, ir.VoidType(), place("turn_b"), place("turn_a"), place("columns"), rows_here,
        place("inner"), one, code.field(job, "b"), place("width_b"), a, place("width_a"), zero,
        result, place("columns"),
    )  # fmt: skip
    with write.if_then(write.icmp_unsigned("!=", code.field(job, "squares"), ZERO)):
        write.call(slope, [job, first, after])
    code.count("add", job, "done")
    write.branch(again)
    write.position_at_end(over)
    code.end()
    return code.function


def _let_go(module: ir.Module) -> ir.Function:
    """Hold a product, and those that follow, no longer."""
    code = Code(module, "let_go")
    (job,) = code.function.args
    last = code.write.icmp_unsigned("==", code.count("sub", job, "holders"), ONE)
    with code.write.if_then(last):
        code.call(_FREE, ir.VoidType(), job)
    code.end()
    return code.function


def _help(module: ir.Module, take_parts, let_go) -> ir.Function:
    """What one of XLA's threads does."""
    code = Code(module, "help")
    (job,) = code.function.args
    code.write.call(take_parts, [job])
    code.write.call(let_go, [job])
    code.end()
    return code.function


def _ask_for_help(module: ir.Module, help_, let_go) -> ir.Function:
    """Give XLA a task for every taker but one; where it takes none, one holder is less."""
    code = Code(module, "ask_for_help", 2)
    write, (frame, job) = code.write, code.function.args
    api = code.word(frame, OFFSETS["api"])
    known = write.icmp_unsigned(">", code.word(api), I64(OFFSETS["schedule"]))
    with write.if_then(write.not_(known)):
        code.end()
    schedule, destroy = code.word(api, OFFSETS["schedule"]), code.word(api, OFFSETS["destroy"])
    request = write.ptrtoint(write.alloca(I64, 5), I64)
    ours = write.ptrtoint(help_, I64)
    for k, value in enumerate([I64(40), ZERO, code.word(frame, OFFSETS["context"]), ours, job]):
        write.store(value, code.at(request, 8 * k))
    refusal = write.ptrtoint(write.alloca(I64, 3), I64)
    asked = code.variable(ONE)
    method = ir.FunctionType(I64, [I64]).as_pointer()
    again = code.loop("again")
    enough = write.icmp_unsigned(">=", write.load(asked), code.field(job, "takers"))
    with write.if_then(enough):
        code.end()
    write.store(write.add(write.load(asked), ONE), asked)
    code.count("add", job, "holders")
    error = write.call(write.inttoptr(schedule, method), [request])
    with write.if_then(write.icmp_unsigned("!=", error, ZERO)):
        for k, value in enumerate([I64(24), ZERO, error]):
            write.store(value, code.at(refusal, 8 * k))
        write.call(write.inttoptr(destroy, method), [refusal])
        write.call(let_go, [job])
    write.branch(again)
    return code.function


def _handler(module: ir.Module, kind: _Kind, n_threads: int, parts: dict) -> None:
    code = Code(module, kind.symbol)
    write, (frame,) = code.write, code.function.args
    unless_asked_to_execute(code, frame)
    inputs, outputs = (code.word(frame, OFFSETS[each]) for each in ("inputs", "outputs"))
    buffers = {name: code.word(inputs, 8 * k) for k, name in enumerate(kind.inputs)}
    buffers |= {name: code.word(outputs, 8 * k) for k, name in enumerate(kind.outputs)}
    whole = buffers[kind.outputs[0]]
    shapes = {name: sizes(code, each) for name, each in buffers.items() if name not in _LINES}
    n_parts = [_n_parts(write, shapes[each.result][0], n_threads) for each in kind.products]
    count, which = batch_size(code, whole), code.variable(ZERO)
    again = code.loop("again")
    k = write.load(which)
    with write.if_then(write.icmp_unsigned(">=", k, count)):
        code.end()
    job = code.call(_MALLOC, I64, I64(_JOB_BYTES * len(kind.products)))
    jobs = [write.add(job, I64(_JOB_BYTES * i)) for i in range(len(kind.products))]

    def data(name: str):
        index = write.call(parts["place_in_batch"], [buffers[name], whole, k])
        length = _length(write, name, shapes)
        return write.add(code.word(buffers[name], OFFSETS["data"]), write.mul(index, length))

    for each, product, n, following in zip(
        jobs, kind.products, n_parts, [*jobs[1:], ZERO], strict=True
    ):
        fields = _fields(write, product, shapes) | {"parts": n, "following": following}
        fields |= {"holders": ONE, "takers": _largest(write, n_parts)}
        fields |= {name: data(name) for name in _LOSS if name in buffers}
        fields |= {"a": data(product.left), "b": data(product.right)}
        fields["product"] = data(product.result)
        for name in FIELDS:
            write.store(fields.get(name, ZERO), code.at(each, PLACE[name]))
    if n_threads > 1:
        write.call(parts["ask_for_help"], [frame, job])
    write.call(parts["take_parts"], [job])
    for each, n in zip(jobs, n_parts, strict=True):
        _wait(code, each, n)
    write.call(parts["let_go"], [job])
    write.store(write.add(k, ONE), which)
    write.branch(again)


def _n_parts(write: ir.IRBuilder, rows, n_threads: int):
    most = write.udiv(rows, I64(_LEAST_ROWS))
    wanted = write.select(write.icmp_unsigned("<", most, I64(n_threads)), most, I64(n_threads))
    return write.select(write.icmp_unsigned("==", wanted, ZERO), ONE, wanted)


def _largest(write: ir.IRBuilder, numbers):
    return reduce(lambda a, b: write.select(write.icmp_unsigned("<", a, b), b, a), numbers)


def _length(write: ir.IRBuilder, name: str, shapes: dict):
    """Bytes of an array; a line of squares is as long as the product is high."""
    if name == "count":
        return I64(8)
    size = shapes["product"][0] if name == "squares" else write.mul(*shapes[name])
    return write.mul(I64(8), size)


def _fields(write: ir.IRBuilder, product: _Product, shapes: dict) -> dict:
    """What BLAS is told of a product."""
    (rows, columns), turned = shapes[product.result], product.turns[0] == "T"
    height, width = shapes[product.left]
    return {
        "rows": rows, "columns": columns, "inner": height if turned else width,
        "step": I64(8) if turned else write.mul(I64(8), width),
        "width_a": width, "width_b": shapes[product.right][1],
        "turn_a": I64(ord(product.turns[0])), "turn_b": I64(ord(product.turns[1])),
    }  # fmt: skip


def _wait(code: Code, job, n_parts) -> None:
    """Until all parts are done."""
    write = code.write
    again = code.loop("waiting")
    done = write.load_atomic(code.at(job, PLACE["done"]), "seq_cst", 8)
    over = code.go_on_if(write.icmp_unsigned("<", done, n_parts))
    code.call(_YIELD, I32)
    write.branch(again)
    write.position_at_end(over)


def _address(capsule: Any) -> int:
    """Of a function that Cython hands out."""
    python = ctypes.pythonapi
    python.PyCapsule_GetName.restype = ctypes.c_char_p
    python.PyCapsule_GetName.argtypes = [ctypes.py_object]
    python.PyCapsule_GetPointer.restype = ctypes.c_void_p
    python.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    return python.PyCapsule_GetPointer(capsule, python.PyCapsule_GetName(capsule))


def _of_c(name: str) -> int:
    found = ctypes.cast(getattr(ctypes.CDLL(None), name), ctypes.c_void_p).value
    assert found is not None
    return found


_DGEMM = _address(cython_blas().__pyx_capi__["dgemm"])
_MALLOC, _FREE, _YIELD = map(_of_c, ("malloc", "free", "sched_yield"))
_engines = []  # their code must outlive every program that calls it


def compiled(n_threads: int) -> dict[str, Any]:
    """The handlers of a product, of its way back, and of the slope of a squared error by it.

    ``back`` makes of ``a``, ``b`` and a slope `S` by their product ``S b^T`` and ``a^T S``.
    ``n_threads`` is the largest number of threads, XLA's included, that share a product.
    """
    module = ir.Module("products")
    take_parts, let_go = _take_parts(module, slope(module)), _let_go(module)
    help_ = _help(module, take_parts, let_go)
    parts = {
        "take_parts": take_parts,
        "let_go": let_go,
        "ask_for_help": _ask_for_help(module, help_, let_go),
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

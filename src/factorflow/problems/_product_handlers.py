"""Handlers of XLA's foreign function interface that multiply matrices by BLAS, without Python.

Each product is the ``dgemm`` of SciPy's BLAS on one thread for each part of its rows. The parts are
taken by whoever comes first: the thread that was called, and tasks for XLA's own threads. So nobody
waits for a thread that another program keeps busy, as threads of BLAS do for each other.

Written in LLVM's language and compiled on loading, which takes a twentieth of a second; Numba,
which could compile Python for it, takes ten times as long to import. The layout of what XLA hands
over is that of ``_host_call``.
"""

import ctypes
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir

from factorflow._blas import cython_blas
from factorflow._host_call import API_VERSION, EXECUTE, METADATA_EXTENSION, OFFSETS

_LEAST_ROWS = 32  # of a part
_I32, _I64, _DOUBLE = ir.IntType(32), ir.IntType(64), ir.DoubleType()
_ONE, _ZERO = _I64(1), _I64(0)

# A product that is being taken: words of 8 bytes. The last who holds it gives its memory back.
_FIELDS = (
    "next", "done", "holders", "parts",
    "rows", "columns", "inner",  # of the product, and what is summed over
    "a", "b", "product", "step",  # bytes from one row of the product to the next in `a`
    "width_a", "width_b", "turn_a", "turn_b",  # of a row in memory; the letters N and T
)  # fmt: skip
_PLACE = {name: 8 * k for k, name in enumerate(_FIELDS)}


class _Code:
    """One function as it is being written; addresses are integers."""

    def __init__(self, module: ir.Module, name: str, n_arguments: int = 1):
        self.function = ir.Function(module, ir.FunctionType(_I64, [_I64] * n_arguments), name)
        self.write = ir.IRBuilder(self.function.append_basic_block())

    def at(self, address, offset: int = 0, kind: Any = _I64):
        return self.write.inttoptr(self.write.add(address, _I64(offset)), kind.as_pointer())

    def word(self, address, offset: int = 0):
        return self.write.load(self.at(address, offset))

    def number(self, address, offset: int = 0):
        return self.write.load(self.at(address, offset, _I32))

    def field(self, job, name: str):
        return self.word(job, _PLACE[name])

    def count(self, how: str, job, name: str):
        """Add to or subtract from a field, whoever else does so; the value before."""
        return self.write.atomic_rmw(how, self.at(job, _PLACE[name]), _ONE, "seq_cst")

    def call(self, address: int, result, *arguments):
        """A function of the process."""
        kind = ir.FunctionType(result, [each.type for each in arguments])
        return self.write.call(self.write.inttoptr(_I64(address), kind.as_pointer()), arguments)

    def loop(self, name: str):
        block = self.function.append_basic_block(name)
        self.write.branch(block)
        self.write.position_at_end(block)
        return block

    def end(self):
        self.write.ret(_ZERO)


def _take_parts(module: ir.Module) -> ir.Function:
    """Take the parts of a product that nobody else has taken."""
    code = _Code(module, "take_parts")
    write, (job,) = code.write, code.function.args
    rows_here = write.alloca(_I32)
    one, zero = write.alloca(_DOUBLE), write.alloca(_DOUBLE)
    write.store(_DOUBLE(1.0), one)
    write.store(_DOUBLE(0.0), zero)
    again = code.loop("again")
    part, parts = code.count("add", job, "next"), code.field(job, "parts")
    with write.if_then(write.icmp_unsigned(">=", part, parts)):
        code.end()
    rows, columns = code.field(job, "rows"), code.field(job, "columns")
    first = write.udiv(write.mul(part, rows), parts)
    after = write.udiv(write.mul(write.add(part, _ONE), rows), parts)
    write.store(write.trunc(write.sub(after, first), _I32), rows_here)
    a = write.add(code.field(job, "a"), write.mul(first, code.field(job, "step")))
    width = write.mul(columns, _I64(8))
    result = write.add(code.field(job, "product"), write.mul(first, width))

    def place(name: str):
        return write.add(job, _I64(_PLACE[name]))

    # BLAS reads columns where rows lie: the transposed product, its operands in turn.
    code.call(
        _DGEMM, ir.VoidType(), place("turn_b"), place("turn_a"), place("columns"), rows_here,
        place("inner"), one, code.field(job, "b"), place("width_b"), a, place("width_a"), zero,
        result, place("columns"),
    )  # fmt: skip
    code.count("add", job, "done")
    write.branch(again)
    return code.function


def _let_go(module: ir.Module) -> ir.Function:
    """Hold a product no longer."""
    code = _Code(module, "let_go")
    (job,) = code.function.args
    last = code.write.icmp_unsigned("==", code.count("sub", job, "holders"), _ONE)
    with code.write.if_then(last):
        code.call(_FREE, ir.VoidType(), job)
    code.end()
    return code.function


def _help(module: ir.Module, take_parts, let_go) -> ir.Function:
    """What one of XLA's threads does."""
    code = _Code(module, "help")
    (job,) = code.function.args
    code.write.call(take_parts, [job])
    code.write.call(let_go, [job])
    code.end()
    return code.function


def _ask_for_help(module: ir.Module, help_, let_go) -> ir.Function:
    """Give XLA a task for every part but one; where it takes none, one holder is less."""
    code = _Code(module, "ask_for_help", 2)
    write, (frame, job) = code.write, code.function.args
    api = code.word(frame, OFFSETS["api"])
    known = write.icmp_unsigned(">", code.word(api), _I64(OFFSETS["schedule"]))
    with write.if_then(write.not_(known)):
        code.end()
    schedule, destroy = code.word(api, OFFSETS["schedule"]), code.word(api, OFFSETS["destroy"])
    request = write.ptrtoint(write.alloca(_I64, 5), _I64)
    ours = write.ptrtoint(help_, _I64)
    for k, value in enumerate([_I64(40), _ZERO, code.word(frame, OFFSETS["context"]), ours, job]):
        write.store(value, code.at(request, 8 * k))
    refusal = write.ptrtoint(write.alloca(_I64, 3), _I64)
    asked = write.alloca(_I64)
    write.store(_ONE, asked)
    method = ir.FunctionType(_I64, [_I64]).as_pointer()
    again = code.loop("again")
    enough = write.icmp_unsigned(">=", write.load(asked), code.field(job, "parts"))
    with write.if_then(enough):
        code.end()
    write.store(write.add(write.load(asked), _ONE), asked)
    code.count("add", job, "holders")
    error = write.call(write.inttoptr(schedule, method), [request])
    with write.if_then(write.icmp_unsigned("!=", error, _ZERO)):
        for k, value in enumerate([_I64(24), _ZERO, error]):
            write.store(value, code.at(refusal, 8 * k))
        write.call(write.inttoptr(destroy, method), [refusal])
        write.call(let_go, [job])
    write.branch(again)
    return code.function


def _handler(module: ir.Module, name: str, turns: str, n_threads: int, parts: dict) -> None:
    """``turns`` says of both operands whether they are transposed: N or T each."""
    code = _Code(module, name)
    write, (frame,) = code.write, code.function.args
    _unless_asked_to_execute(code, frame)
    inputs = code.word(frame, OFFSETS["inputs"])
    a, b = code.word(inputs), code.word(inputs, 8)
    product = code.word(code.word(frame, OFFSETS["outputs"]))
    count, rows, columns = _sizes(code, product)
    _, rows_a, columns_a = _sizes(code, a)
    _, rows_b, columns_b = _sizes(code, b)
    left = turns[0] == "T"
    inner = rows_a if left else columns_a
    most = write.udiv(rows, _I64(_LEAST_ROWS))
    wanted = write.select(write.icmp_unsigned("<", most, _I64(n_threads)), most, _I64(n_threads))
    n_parts = write.select(write.icmp_unsigned("==", wanted, _ZERO), _ONE, wanted)
    which = write.alloca(_I64)
    write.store(_ZERO, which)
    again = code.loop("again")
    k = write.load(which)
    with write.if_then(write.icmp_unsigned(">=", k, count)):
        code.end()
    job = code.call(_MALLOC, _I64, _I64(8 * len(_FIELDS)))

    def matrix(buffer, height, width):
        size = write.mul(_I64(8), write.mul(height, width))
        return write.add(code.word(buffer, OFFSETS["data"]), write.mul(k, size))

    values = {
        "next": _ZERO, "done": _ZERO, "holders": _ONE, "parts": n_parts,
        "rows": rows, "columns": columns, "inner": inner,
        "a": matrix(a, rows_a, columns_a), "b": matrix(b, rows_b, columns_b),
        "product": matrix(product, rows, columns),
        "step": _I64(8) if left else write.mul(_I64(8), columns_a),
        "width_a": columns_a, "width_b": columns_b,
        "turn_a": _I64(ord(turns[0])), "turn_b": _I64(ord(turns[1])),
    }  # fmt: skip
    for field, value in values.items():
        write.store(value, code.at(job, _PLACE[field]))
    if n_threads > 1:
        write.call(parts["ask_for_help"], [frame, job])
    write.call(parts["take_parts"], [job])
    waiting = code.loop("waiting")
    done = write.load_atomic(code.at(job, _PLACE["done"]), "seq_cst", 8)
    ready = write.icmp_unsigned(">=", done, n_parts)
    over, wait = (code.function.append_basic_block(each) for each in ("over", "wait"))
    write.cbranch(ready, over, wait)
    write.position_at_end(wait)
    code.call(_YIELD, _I32)
    write.branch(waiting)
    write.position_at_end(over)
    write.call(parts["let_go"], [job])
    write.store(write.add(k, _ONE), which)
    write.branch(again)


def _unless_asked_to_execute(code: _Code, frame) -> None:
    """Answer what is asked beforehand: the version of the interface."""
    write, extension = code.write, code.word(frame, OFFSETS["extension"])
    with write.if_then(write.icmp_unsigned("!=", extension, _ZERO)):
        kind = code.number(extension, OFFSETS["type"])
        with write.if_then(write.icmp_unsigned("==", kind, _I32(METADATA_EXTENSION))):
            metadata = code.word(extension, OFFSETS["metadata"])
            for k, number in enumerate(API_VERSION):
                write.store(_I32(number), code.at(metadata, OFFSETS["version"] + 4 * k, _I32))
            code.end()
    stage = code.number(frame, OFFSETS["stage"])
    with write.if_then(write.icmp_unsigned("!=", stage, _I32(EXECUTE))):
        code.end()


def _sizes(code: _Code, buffer) -> tuple:
    """Number of matrices, and rows and columns of each, whatever axes of a batch come first."""
    write = code.write
    rank, dims = code.word(buffer, OFFSETS["rank"]), code.word(buffer, OFFSETS["dims"])
    end = write.add(dims, write.mul(_I64(8), rank))
    rows, columns = code.word(end, -16), code.word(end, -8)
    count, place = write.alloca(_I64), write.alloca(_I64)
    write.store(_ONE, count)
    write.store(dims, place)
    again = code.loop("axes")
    over, more = (code.function.append_basic_block(each) for each in ("counted", "axis"))
    here = write.load(place)
    write.cbranch(write.icmp_unsigned("<", write.add(here, _I64(16)), end), more, over)
    write.position_at_end(more)
    write.store(write.mul(write.load(count), code.word(here)), count)
    write.store(write.add(here, _I64(8)), place)
    write.branch(again)
    write.position_at_end(over)
    return write.load(count), rows, columns


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
_KINDS = {"plain": "NN", "left": "TN", "right": "NT"}
_engines = []  # their code must outlive every program that calls it


def compiled(n_threads: int) -> dict[str, Any]:
    """The handlers of products plain, and with the left or the right operand transposed.

    ``n_threads`` is the largest number of threads, XLA's included, that share a product.
    """
    module = ir.Module("products")
    parts: dict[str, Any] = {"take_parts": _take_parts(module), "let_go": _let_go(module)}
    help_ = _help(module, **parts)
    parts["ask_for_help"] = _ask_for_help(module, help_, parts["let_go"])
    for kind, turns in _KINDS.items():
        _handler(module, kind, turns, n_threads, parts)
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_default_triple().create_target_machine(opt=1)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(str(module)), machine)
    engine.finalize_object()
    _engines.append(engine)
    handler = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)
    return {kind: handler(engine.get_function_address(kind)) for kind in _KINDS}

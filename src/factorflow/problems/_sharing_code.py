"""How the rows of a product are shared out among threads, in LLVM's language.

Each part is the ``dgemm`` of SciPy's BLAS on one thread. The parts are taken by whoever comes
first: the thread that was called, and tasks for XLA's own threads. So nobody waits for a thread
that another program keeps busy, as threads of BLAS do for each other.
"""

import ctypes
from typing import Any

from llvmlite import ir

from factorflow._blas import cython_blas
from factorflow._host_call import OFFSETS
from factorflow.problems._job_code import DOUBLE, I32, I64, ONE, PLACE, ZERO, Code


def take_parts(module: ir.Module, slope: ir.Function) -> ir.Function:
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


def let_go(module: ir.Module) -> ir.Function:
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


def ask_for_help(module: ir.Module, take_parts: ir.Function, let_go: ir.Function) -> ir.Function:
    """Give XLA a task for every taker but one; where it takes none, one holder is less."""
    help_ = _help(module, take_parts, let_go)
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


def wait_for(code: Code, job, n_parts) -> None:
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
    """Address of a function of the C library."""
    found = ctypes.cast(getattr(ctypes.CDLL(None), name), ctypes.c_void_p).value
    assert found is not None
    return found


_DGEMM = _address(cython_blas().__pyx_capi__["dgemm"])
MALLOC, _FREE, _YIELD = map(_of_c, ("malloc", "free", "sched_yield"))

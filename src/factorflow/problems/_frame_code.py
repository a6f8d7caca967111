"""What XLA hands over to a handler, as read by functions in LLVM's language.

The layout is that of ``_host_call``.
"""

from llvmlite import ir

from factorflow._host_call import API_VERSION, EXECUTE, METADATA_EXTENSION, OFFSETS
from factorflow.problems._job_code import I32, I64, ONE, ZERO, Code


def unless_asked_to_execute(code: Code, frame) -> None:
    """Answer what is asked beforehand: the version of the interface."""
    write, extension = code.write, code.word(frame, OFFSETS["extension"])
    with write.if_then(write.icmp_unsigned("!=", extension, ZERO)):
        kind = code.number(extension, OFFSETS["type"])
        with write.if_then(write.icmp_unsigned("==", kind, I32(METADATA_EXTENSION))):
            metadata = code.word(extension, OFFSETS["metadata"])
            for k, number in enumerate(API_VERSION):
                write.store(I32(number), code.at(metadata, OFFSETS["version"] + 4 * k, I32))
            code.end()
    stage = code.number(frame, OFFSETS["stage"])
    with write.if_then(write.icmp_unsigned("!=", stage, I32(EXECUTE))):
        code.end()


def sizes(code: Code, buffer) -> tuple:
    """Rows and columns, whatever axes of a batch come first."""
    end = code.write.add(_dims(code, buffer), code.write.mul(I64(8), _rank(code, buffer)))
    return code.word(end, -16), code.word(end, -8)


def batch_size(code: Code, buffer):
    """Number of matrices."""
    write, dims = code.write, _dims(code, buffer)
    axes = write.sub(_rank(code, buffer), I64(2))
    count, axis = code.variable(ONE), code.variable(ZERO)
    again = code.loop("axes")
    here = write.load(axis)
    over = code.go_on_if(write.icmp_unsigned("<", here, axes))
    size = code.word(write.add(dims, write.mul(I64(8), here)))
    write.store(write.mul(write.load(count), size), count)
    write.store(write.add(here, ONE), axis)
    write.branch(again)
    write.position_at_end(over)
    return write.load(count)


def place_in_batch(module: ir.Module) -> ir.Function:
    """Which array of a buffer goes with the ``k``-th matrix of another.

    The axes of the batch come first in both; where the buffer has but one, it is for all.
    """
    code = Code(module, "place_in_batch", 3)
    write, (buffer, whole, k) = code.write, code.function.args
    axis = code.variable(write.sub(_rank(code, whole), I64(2)))
    rest, stride, index = code.variable(k), code.variable(ONE), code.variable(ZERO)
    again = code.loop("axes")
    left = write.load(axis)
    over = code.go_on_if(write.icmp_unsigned("!=", left, ZERO))
    before = write.mul(I64(8), write.sub(left, ONE))
    all_, own = (code.word(write.add(_dims(code, each), before)) for each in (whole, buffer))
    along = write.urem(write.urem(write.load(rest), all_), own)
    write.store(write.add(write.load(index), write.mul(along, write.load(stride))), index)
    write.store(write.mul(write.load(stride), own), stride)
    write.store(write.udiv(write.load(rest), all_), rest)
    write.store(write.sub(left, ONE), axis)
    write.branch(again)
    write.position_at_end(over)
    write.ret(write.load(index))
    return code.function


def _rank(code: Code, buffer):
    return code.word(buffer, OFFSETS["rank"])


def _dims(code: Code, buffer):
    return code.word(buffer, OFFSETS["dims"])

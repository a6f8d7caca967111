"""Handlers of XLA's foreign function interface that multiply matrices by BLAS, without Python.

Compiled by Numba, whose ``np.dot`` is the ``dgemm`` of SciPy's BLAS: a call costs less than a
microsecond, holds no lock of Python's and takes transposed matrices as they lie. Imported only
when such products are taken. The layout of what XLA hands over is that of ``_host_call``.
"""

import numba
import numpy as np
from numba import types
from numba.extending import intrinsic

from factorflow._host_call import API_VERSION, EXECUTE, METADATA_EXTENSION, OFFSETS

_EXTENSION, _STAGE = OFFSETS["extension"], OFFSETS["stage"]
_INPUTS, _OUTPUTS = OFFSETS["inputs"], OFFSETS["outputs"]
_TYPE, _METADATA, _VERSION = OFFSETS["type"], OFFSETS["metadata"], OFFSETS["version"]
_DATA, _RANK, _DIMS = OFFSETS["data"], OFFSETS["rank"], OFFSETS["dims"]
_MAJOR, _MINOR = API_VERSION
_IS_METADATA, _IS_EXECUTE = METADATA_EXTENSION, EXECUTE

_compiled = numba.njit(nogil=True, cache=True)
_handler = numba.cfunc(types.int64(types.int64), cache=True)


@intrinsic
def _pointer(typing_context, address):
    def to_pointer(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return types.voidptr(types.int64), to_pointer


@_compiled
def _word(address):
    return numba.carray(_pointer(address), 1, np.int64)[0]  # pyright: ignore


@_compiled
def _matrices(buffers, which):
    """A buffer as ``(count, rows, columns)``, whatever axes of a batch come first."""
    buffer = _word(buffers + 8 * which)
    rank = _word(buffer + _RANK)
    dims = numba.carray(_pointer(_word(buffer + _DIMS)), rank, np.int64)
    count = 1
    for axis in range(rank - 2):
        count *= dims[axis]
    shape = (count, dims[rank - 2], dims[rank - 1])
    return numba.carray(_pointer(_word(buffer + _DATA)), shape, np.float64)


@_compiled
def _to_execute(frame):
    """Whether there is anything to compute; a question for the version is answered here."""
    extension = _word(frame + _EXTENSION)
    if extension != 0 and numba.carray(_pointer(extension + _TYPE), 1, np.int32)[0] == _IS_METADATA:
        version = numba.carray(_pointer(_word(extension + _METADATA) + _VERSION), 2, np.int32)
        version[0], version[1] = _MAJOR, _MINOR
        return False
    return numba.carray(_pointer(frame + _STAGE), 1, np.int32)[0] == _IS_EXECUTE


@_compiled
def _operands(frame):
    inputs = _word(frame + _INPUTS)
    return _matrices(inputs, 0), _matrices(inputs, 1), _matrices(_word(frame + _OUTPUTS), 0)


@_handler
def _plain(frame):
    if _to_execute(frame):
        a, b, result = _operands(frame)
        for k in range(len(result)):
            np.dot(a[k], b[k], result[k])
    return 0


@_handler
def _left_transposed(frame):
    if _to_execute(frame):
        a, b, result = _operands(frame)
        for k in range(len(result)):
            np.dot(a[k].T, b[k], result[k])
    return 0


@_handler
def _right_transposed(frame):
    if _to_execute(frame):
        a, b, result = _operands(frame)
        for k in range(len(result)):
            np.dot(a[k], b[k].T, result[k])
    return 0


HANDLERS = {"plain": _plain, "left": _left_transposed, "right": _right_transposed}

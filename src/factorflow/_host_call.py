"""Host functions on NumPy views of XLA's own buffers, through the foreign function interface.

``jax.pure_callback`` would copy every argument to a JAX array on each call, and its users report
that it can wait for ever on a busy thread pool. A handler of XLA's foreign function interface
gets plain pointers: no copy, no JAX object, nothing to wait for.
The structures below are those of ``xla/ffi/api/c_api.h``.
"""

import ctypes
import math
from collections.abc import Callable
from ctypes import POINTER, Structure, c_char_p, c_int, c_int64, c_size_t, c_void_p

import jax
import numpy as np

HostFunction = Callable[[list[np.ndarray], list[np.ndarray]], None]

# The oldest version of the interface with these structures; XLA accepts older handlers.
API_VERSION = (0, 1)
METADATA_EXTENSION = 1
EXECUTE = 3
_INTERNAL_ERROR = 13
_DTYPES = {
    4: np.dtype(np.int32),
    5: np.dtype(np.int64),
    11: np.dtype(np.float32),
    12: np.dtype(np.float64),
}


class _ApiVersion(Structure):
    _fields_ = (("size", c_size_t), ("extension", c_void_p), ("major", c_int), ("minor", c_int))


class _Metadata(Structure):
    _fields_ = (("size", c_size_t), ("api_version", _ApiVersion))


class _Extension(Structure):
    _fields_ = (
        ("size", c_size_t),
        ("type", c_int),
        ("next", c_void_p),
        ("metadata", POINTER(_Metadata)),
    )


class _ErrorArguments(Structure):
    _fields_ = (
        ("size", c_size_t),
        ("extension", c_void_p),
        ("message", c_char_p),
        ("code", c_int),
    )


class _Api(Structure):
    _fields_ = (
        ("size", c_size_t),
        ("extension", c_void_p),
        ("api_version", _ApiVersion),
        ("internal", c_void_p),
        ("create_error", ctypes.CFUNCTYPE(c_void_p, POINTER(_ErrorArguments))),
        ("error_message", c_void_p),
        ("destroy_error", c_void_p),
        ("functions_between", 8 * c_void_p),
        ("schedule", c_void_p),
    )


class _Buffer(Structure):
    _fields_ = (
        ("size", c_size_t),
        ("extension", c_void_p),
        ("dtype", c_int),
        ("data", c_void_p),
        ("rank", c_int64),
        ("dims", POINTER(c_int64)),
    )


class _Buffers(Structure):
    _fields_ = (
        ("size", c_size_t),
        ("extension", c_void_p),
        ("count", c_int64),
        ("types", c_void_p),
        ("buffers", POINTER(POINTER(_Buffer))),
    )


class _CallFrame(Structure):
    _fields_ = (
        ("size", c_size_t),
        ("extension", POINTER(_Extension)),
        ("api", POINTER(_Api)),
        ("context", c_void_p),
        ("stage", c_int),
        ("inputs", _Buffers),
        ("outputs", _Buffers),
    )


# Where a handler without Python finds what, in bytes.
OFFSETS = {
    "extension": _CallFrame.extension.offset,
    "api": _CallFrame.api.offset,
    "context": _CallFrame.context.offset,
    "destroy": _Api.destroy_error.offset,
    "schedule": _Api.schedule.offset,
    "stage": _CallFrame.stage.offset,
    "inputs": _CallFrame.inputs.offset + _Buffers.buffers.offset,
    "outputs": _CallFrame.outputs.offset + _Buffers.buffers.offset,
    "type": _Extension.type.offset,
    "metadata": _Extension.metadata.offset,
    "version": _Metadata.api_version.offset + _ApiVersion.major.offset,
    "data": _Buffer.data.offset,
    "rank": _Buffer.rank.offset,
    "dims": _Buffer.dims.offset,
}

_Handler = ctypes.CFUNCTYPE(c_void_p, POINTER(_CallFrame))
_handlers = []  # XLA keeps only their addresses


def register(name: str, function: HostFunction) -> None:
    """Make ``function(inputs, outputs)`` callable as ``jax.ffi.ffi_call(name, ...)`` on a CPU.

    The function reads and writes NumPy arrays (float32, float64, int32 or int64) that are views
    of XLA's buffers and must not outlive the call. An exception becomes an error of the
    computation.
    """

    def handle(frame_pointer):
        frame = frame_pointer.contents
        if frame.extension and frame.extension.contents.type == METADATA_EXTENSION:
            version = frame.extension.contents.metadata.contents.api_version
            version.major, version.minor = API_VERSION
            return None
        if frame.stage != EXECUTE:
            return None
        try:
            function(_arrays(frame.inputs), _arrays(frame.outputs))
        except BaseException as error:  # a Ctrl-C too: nothing may escape into XLA
            return _error(frame, f"{name}: {type(error).__name__}: {error}")
        return None

    handler = _Handler(handle)
    _handlers.append(handler)
    jax.ffi.register_ffi_target(name, jax.ffi.pycapsule(handler), platform="cpu")


def _arrays(buffers: _Buffers) -> list[np.ndarray]:
    return [_array(buffers.buffers[k].contents) for k in range(buffers.count)]


def _array(buffer: _Buffer) -> np.ndarray:
    dtype = _DTYPES[buffer.dtype]
    shape = tuple(buffer.dims[: buffer.rank])
    n_bytes = dtype.itemsize * math.prod(shape)  # NumPy's took longer than all else here
    if n_bytes == 0:
        return np.empty(shape, dtype)
    return np.ndarray(shape, dtype, (ctypes.c_char * n_bytes).from_address(buffer.data))


def _error(frame: _CallFrame, message: str) -> int | None:
    arguments = _ErrorArguments(
        ctypes.sizeof(_ErrorArguments), None, message.encode(), _INTERNAL_ERROR
    )
    return frame.api.contents.create_error(ctypes.byref(arguments))

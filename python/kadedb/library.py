"""libkade through ctypes: the functions of kade.h that the package uses, with their types."""
import ctypes
import ctypes.util
import os
import pathlib
from ctypes import (POINTER, Structure, c_bool, c_char, c_char_p, c_double, c_int, c_int32,
                    c_int64, c_size_t, c_uint32, c_uint64, c_uint8, c_void_p)

OK = 0


class Error(Structure):
    _fields_ = [
        ("status", c_int), ("sqlstate", c_char * 6), ("severity", c_char_p),
        ("message", c_char_p), ("detail", c_char_p), ("hint", c_char_p), ("constraint", c_char_p),
        ("position", c_int64)]


class OpenOptions(Structure):
    _fields_ = [
        ("struct_bytes", c_uint32), ("read_only", c_bool), ("must_exist", c_bool),
        ("memory_budget_bytes", c_uint64), ("worker_count", c_uint32), ("durability", c_uint32),
        ("temp_directory", c_char_p), ("owner_timeout_ms", c_uint32), ("settings", c_char_p)]


class PoolOptions(Structure):
    _fields_ = [
        ("struct_bytes", c_uint32), ("session_min", c_uint32), ("session_max", c_uint32),
        ("wait_ms", c_uint32)]


class PoolStatistics(Structure):
    _fields_ = [
        ("struct_bytes", c_uint32), ("session_max", c_uint32), ("in_use", c_uint32),
        ("idle", c_uint32), ("waiting", c_uint32), ("in_use_peak", c_uint32),
        ("taken_count", c_uint64), ("waited_count", c_uint64), ("waited_us", c_uint64),
        ("timed_out_count", c_uint64), ("utilisation", c_double), ("utilisation_mean", c_double)]


class Interval(Structure):
    _fields_ = [("months", c_int32), ("days", c_int32), ("micros", c_int64)]


class ArrowSchema(Structure):
    pass


class ArrowArray(Structure):
    pass


ArrowSchema._fields_ = [
    ("format", c_char_p), ("name", c_char_p), ("metadata", c_char_p), ("flags", c_int64),
    ("n_children", c_int64), ("children", c_void_p), ("dictionary", c_void_p),
    ("release", c_void_p), ("private_data", c_void_p)]
ArrowArray._fields_ = [
    ("length", c_int64), ("null_count", c_int64), ("offset", c_int64), ("n_buffers", c_int64),
    ("n_children", c_int64), ("buffers", c_void_p), ("children", c_void_p),
    ("dictionary", c_void_p), ("release", c_void_p), ("private_data", c_void_p)]

_ERROR_OUT = POINTER(POINTER(Error))
_SIGNATURES = {
    "kade_version": (c_char_p, []),
    "kade_open": (c_int, [c_char_p, c_size_t, POINTER(OpenOptions), POINTER(c_void_p),
                          _ERROR_OUT]),
    "kade_close": (None, [c_void_p]),
    "kade_error_free": (None, [POINTER(Error)]),
    "kade_connect": (c_int, [c_void_p, POINTER(c_void_p), _ERROR_OUT]),
    "kade_disconnect": (None, [c_void_p]),
    "kade_session_error": (POINTER(Error), [c_void_p]),
    "kade_session_transaction": (c_int, [c_void_p]),
    "kade_cancel": (None, [c_void_p]),
    "kade_execute": (c_int, [c_void_p, c_char_p, c_size_t, c_void_p, c_void_p]),
    "kade_prepare": (c_int, [c_void_p, c_char_p, c_size_t, POINTER(c_void_p)]),
    "kade_finalize": (None, [c_void_p]),
    "kade_reset": (None, [c_void_p]),
    "kade_step": (c_int, [c_void_p, POINTER(c_bool)]),
    "kade_rows_affected": (c_int64, [c_void_p]),
    "kade_command_tag": (c_char_p, [c_void_p]),
    "kade_parameter_count": (c_uint32, [c_void_p]),
    "kade_bind_null": (c_int, [c_void_p, c_uint32]),
    "kade_bind_bool": (c_int, [c_void_p, c_uint32, c_bool]),
    "kade_bind_int64": (c_int, [c_void_p, c_uint32, c_int64]),
    "kade_bind_double": (c_int, [c_void_p, c_uint32, c_double]),
    "kade_bind_text": (c_int, [c_void_p, c_uint32, c_char_p, c_size_t]),
    "kade_bind_decimal": (c_int, [c_void_p, c_uint32, c_char_p, c_size_t]),
    "kade_bind_blob": (c_int, [c_void_p, c_uint32, c_char_p, c_size_t]),
    "kade_bind_date": (c_int, [c_void_p, c_uint32, c_int32]),
    "kade_bind_time": (c_int, [c_void_p, c_uint32, c_int64]),
    "kade_bind_timestamp": (c_int, [c_void_p, c_uint32, c_int64]),
    "kade_bind_timestamptz": (c_int, [c_void_p, c_uint32, c_int64]),
    "kade_bind_interval": (c_int, [c_void_p, c_uint32, Interval]),
    "kade_bind_uuid": (c_int, [c_void_p, c_uint32, c_char_p]),
    "kade_column_count": (c_uint32, [c_void_p]),
    "kade_column_name": (c_char_p, [c_void_p, c_uint32, POINTER(c_size_t)]),
    "kade_column_type": (c_int, [c_void_p, c_uint32]),
    "kade_column_type_name": (c_char_p, [c_void_p, c_uint32]),
    "kade_column_is_null": (c_bool, [c_void_p, c_uint32]),
    "kade_column_bool": (c_bool, [c_void_p, c_uint32]),
    "kade_column_int64": (c_int64, [c_void_p, c_uint32]),
    "kade_column_double": (c_double, [c_void_p, c_uint32]),
    "kade_column_text": (c_void_p, [c_void_p, c_uint32, POINTER(c_size_t)]),
    "kade_column_blob": (c_void_p, [c_void_p, c_uint32, POINTER(c_size_t)]),
    "kade_column_date": (c_int32, [c_void_p, c_uint32]),
    "kade_column_time": (c_int64, [c_void_p, c_uint32]),
    "kade_column_timestamp": (c_int64, [c_void_p, c_uint32]),
    "kade_column_interval": (Interval, [c_void_p, c_uint32]),
    "kade_column_uuid": (None, [c_void_p, c_uint32, POINTER(c_uint8)]),
    "kade_kv_get": (c_int, [c_void_p, c_char_p, c_size_t, POINTER(c_void_p), POINTER(c_size_t)]),
    "kade_kv_set": (c_int, [c_void_p, c_char_p, c_size_t, c_char_p, c_size_t]),
    "kade_kv_delete": (c_int, [c_void_p, c_char_p, c_size_t, POINTER(c_bool)]),
    "kade_pool_open": (c_int, [c_void_p, POINTER(PoolOptions), POINTER(c_void_p), _ERROR_OUT]),
    "kade_pool_close": (None, [c_void_p]),
    "kade_pool_take": (c_int, [c_void_p, POINTER(c_void_p), _ERROR_OUT]),
    "kade_pool_give": (None, [c_void_p, c_void_p]),
    "kade_pool_read_statistics": (None, [c_void_p, POINTER(PoolStatistics)]),
    "kade_arrow_schema": (c_int, [c_void_p, POINTER(ArrowSchema)]),
    "kade_arrow_next": (c_int, [c_void_p, POINTER(ArrowArray)]),
}


def _candidates():
    if "KADE_LIBRARY" in os.environ:
        yield os.environ["KADE_LIBRARY"]
        return
    tree = pathlib.Path(__file__).resolve().parents[2]
    for build in ("release", "debug"):
        yield str(tree / "build" / build / "libkade.so")
    yield ctypes.util.find_library("kade") or "libkade.so.0"


def _load():
    reasons = []
    for path in _candidates():
        try:
            library = ctypes.CDLL(path)
        except OSError as error:
            reasons.append(str(error))
            continue
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(library, name)
            function.restype = result
            function.argtypes = arguments
        return library
    raise ImportError("libkade.so was not found; set KADE_LIBRARY. " + "; ".join(reasons))


LIBRARY = _load()


def version():
    return LIBRARY.kade_version().decode()

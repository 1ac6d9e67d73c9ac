"""Pools of connections, for threads that need one now and then."""
import collections
import ctypes
from ctypes import byref, c_void_p

from . import library
from .dbapi import Connection, InterfaceError, _open_database, _raise_given
from .library import LIBRARY, OK

_NUMBERS = [name for name, _ in library.PoolStatistics._fields_[1:]]
PoolStatistics = collections.namedtuple("PoolStatistics", _NUMBERS)


class Pool:
    """Opens the database and lends connections of it; all methods may be called by any thread.

        with kadedb.Pool("my.kade", max=8) as pool:
            with pool.connection() as connection:
                connection.execute("INSERT INTO t VALUES (1)")

    A connection that is closed, or whose `with` block ends, goes back: what is open in it is
    rolled back (the block commits when it ends well), its settings and temporary tables go."""

    def __init__(self, database=":memory:", *, min=0, max=16, timeout=30.0, read_only=False,
                 memory_budget_bytes=0, autocommit=False, settings=None):
        self._pool = None
        self.autocommit = autocommit
        self._database = _open_database(database, read_only, memory_budget_bytes, settings)
        options = library.PoolOptions(struct_bytes=ctypes.sizeof(library.PoolOptions),
                                      session_min=min, session_max=max,
                                      wait_ms=int(timeout * 1000) or 1)
        pool, record = c_void_p(), ctypes.POINTER(library.Error)()
        status = LIBRARY.kade_pool_open(self._database, byref(options), byref(pool), byref(record))
        if status != OK:
            LIBRARY.kade_close(self._database)
        _raise_given(status, record)
        self._pool = pool

    def _open_pool(self):
        if self._pool is None:
            raise InterfaceError("the pool is closed")
        return self._pool

    def connection(self):
        """A connection of the caller's own, until it is closed. OperationalError (53300) when none
        becomes free within the pool's timeout."""
        pool = self._open_pool()
        session, record = c_void_p(), ctypes.POINTER(library.Error)()
        _raise_given(LIBRARY.kade_pool_take(pool, byref(session), byref(record)), record)
        return Connection(session, lambda given: LIBRARY.kade_pool_give(pool, given),
                          self.autocommit)

    @property
    def statistics(self):
        """How much of the pool is in use, and how long callers waited."""
        numbers = library.PoolStatistics(struct_bytes=ctypes.sizeof(library.PoolStatistics))
        LIBRARY.kade_pool_read_statistics(self._open_pool(), byref(numbers))
        return PoolStatistics(*(getattr(numbers, name) for name in _NUMBERS))

    def close(self):
        """Every connection has gone back."""
        if self._pool is None:
            return
        if self.statistics.in_use > 0:
            raise InterfaceError("connections of the pool are in use")
        LIBRARY.kade_pool_close(self._pool)
        LIBRARY.kade_close(self._database)
        self._pool = None

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.close()

"""KadeDB from Python: DB-API 2.0 over libkade, with Arrow and pandas results.

    import kadedb
    with kadedb.connect("my.kade") as connection:
        rows = connection.execute("SELECT * FROM t WHERE id = $1", [1]).fetchall()
"""
from .dbapi import (
    Binary, Connection, Cursor, DataError, DatabaseError, Date, DateFromTicks, Error,
    IntegrityError, InterfaceError, InternalError, NotSupportedError, OperationalError,
    ProgrammingError, Time, TimeFromTicks, Timestamp, TimestampFromTicks, Warning, apilevel,
    connect, paramstyle, threadsafety, BINARY, DATETIME, NUMBER, ROWID, STRING)
from .library import version
from .pool import Pool, PoolStatistics

__all__ = [
    "Binary", "Connection", "Cursor", "DataError", "DatabaseError", "Date", "DateFromTicks",
    "Error", "IntegrityError", "InterfaceError", "InternalError", "NotSupportedError",
    "OperationalError", "Pool", "PoolStatistics", "ProgrammingError", "Time", "TimeFromTicks", "Timestamp",
    "TimestampFromTicks", "Warning", "apilevel", "connect", "paramstyle", "threadsafety", "version",
    "BINARY", "DATETIME", "NUMBER", "ROWID", "STRING"]

"""DB-API 2.0 (PEP 249) over the functions in library.py."""
import ctypes
import datetime
import decimal
import time
import uuid
from ctypes import byref, c_bool, c_size_t, c_uint8, c_void_p

from . import library
from .library import LIBRARY, OK

apilevel = "2.0"
threadsafety = 1
paramstyle = "qmark"

EPOCH_DATE = datetime.date(1970, 1, 1)
EPOCH = datetime.datetime(1970, 1, 1)
EPOCH_UTC = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
MICROSECOND = datetime.timedelta(microseconds=1)

# kade_type
BOOL, INT2, INT4, INT8, FLOAT4, FLOAT8, NUMERIC = 1, 2, 3, 4, 5, 6, 7
BYTEA, DATE, TIME, TIMESTAMP, TIMESTAMPTZ, TIMESTAMP_NS = 11, 12, 13, 14, 15, 16
UUID, OID, ARRAY = 18, 22, 256


class Warning(Exception):
    pass


class Error(Exception):
    """Carries the server's record: sqlstate, detail, hint, constraint, position."""
    sqlstate = detail = hint = constraint = ""
    position = -1


class InterfaceError(Error):
    pass


class DatabaseError(Error):
    pass


class DataError(DatabaseError):
    pass


class OperationalError(DatabaseError):
    pass


class IntegrityError(DatabaseError):
    pass


class InternalError(DatabaseError):
    pass


class ProgrammingError(DatabaseError):
    pass


class NotSupportedError(DatabaseError):
    pass


_CLASSES = {"22": DataError, "23": IntegrityError, "42": ProgrammingError, "0A": NotSupportedError,
            "XX": InternalError, "26": ProgrammingError, "3D": OperationalError,
            "3F": ProgrammingError}


class _TypeGroup:
    """Compares equal to every type code of its group, as PEP 249 asks."""

    def __init__(self, *codes):
        self.codes = frozenset(codes)

    def __eq__(self, other):
        return other in self.codes if isinstance(other, int) else self is other

    def __hash__(self):
        return hash(self.codes)


STRING = _TypeGroup(0, 8, 9, 10, 19, 20, 21)
BINARY = _TypeGroup(BYTEA)
NUMBER = _TypeGroup(INT2, INT4, INT8, FLOAT4, FLOAT8, NUMERIC)
DATETIME = _TypeGroup(DATE, TIME, TIMESTAMP, TIMESTAMPTZ, TIMESTAMP_NS)
ROWID = _TypeGroup(OID)

Date, Time, Timestamp, Binary = datetime.date, datetime.time, datetime.datetime, bytes


def DateFromTicks(ticks):
    return datetime.date.fromtimestamp(ticks)


def TimeFromTicks(ticks):
    return datetime.datetime.fromtimestamp(ticks).time()


def TimestampFromTicks(ticks):
    return datetime.datetime.fromtimestamp(ticks)


def _error(record):
    sqlstate = record.sqlstate.decode()
    error = _CLASSES.get(sqlstate[:2], OperationalError)(record.message.decode("utf-8", "replace"))
    error.sqlstate = sqlstate
    error.detail = record.detail.decode("utf-8", "replace")
    error.hint = record.hint.decode("utf-8", "replace")
    error.constraint = record.constraint.decode("utf-8", "replace")
    error.position = record.position
    return error


def _numbered(sql):
    """Turns ? into $1, $2, ... outside quotes and comments. A text without any is left alone."""
    if "?" not in sql:
        return sql
    out, number, at = [], 0, 0
    while at < len(sql):
        sign = sql[at]
        if sign in "'\"":
            end = sql.find(sign, at + 1)
            end = len(sql) if end < 0 else end + 1
        elif sql.startswith("--", at):
            end = sql.find("\n", at)
            end = len(sql) if end < 0 else end
        elif sql.startswith("/*", at):
            end = sql.find("*/", at)
            end = len(sql) if end < 0 else end + 2
        elif sign == "?":
            number += 1
            out.append(f"${number}")
            at += 1
            continue
        else:
            end = at + 1
        out.append(sql[at:end])
        at = end
    return "".join(out)


def _text_of(pointer, size):
    return ctypes.string_at(pointer, size.value) if pointer else b""


def _read_text(statement, column):
    size = c_size_t()
    pointer = LIBRARY.kade_column_text(statement, column, byref(size))
    return _text_of(pointer, size).decode("utf-8", "replace")


def _read_blob(statement, column):
    size = c_size_t()
    return _text_of(LIBRARY.kade_column_blob(statement, column, byref(size)), size)


def _read_uuid(statement, column):
    value = (c_uint8 * 16)()
    LIBRARY.kade_column_uuid(statement, column, value)
    return uuid.UUID(bytes=bytes(value))


def _read_in_range(read):
    """Values that Python's datetime cannot hold (infinity, years BC) come as text."""
    def reader(statement, column):
        try:
            return read(statement, column)
        except (OverflowError, ValueError):
            return _read_text(statement, column)
    return reader


def _read_time(statement, column):
    micros = LIBRARY.kade_column_time(statement, column)
    return (EPOCH + datetime.timedelta(microseconds=micros)).time()


_READERS = {
    BOOL: LIBRARY.kade_column_bool,
    INT2: LIBRARY.kade_column_int64,
    INT4: LIBRARY.kade_column_int64,
    INT8: LIBRARY.kade_column_int64,
    OID: LIBRARY.kade_column_int64,
    FLOAT4: LIBRARY.kade_column_double,
    FLOAT8: LIBRARY.kade_column_double,
    NUMERIC: lambda s, c: decimal.Decimal(_read_text(s, c)),
    BYTEA: _read_blob,
    UUID: _read_uuid,
    DATE: _read_in_range(lambda s, c: EPOCH_DATE + datetime.timedelta(
        days=LIBRARY.kade_column_date(s, c))),
    TIME: _read_in_range(_read_time),
    TIMESTAMP: _read_in_range(lambda s, c: EPOCH + datetime.timedelta(
        microseconds=LIBRARY.kade_column_timestamp(s, c))),
    TIMESTAMPTZ: _read_in_range(lambda s, c: EPOCH_UTC + datetime.timedelta(
        microseconds=LIBRARY.kade_column_timestamp(s, c))),
}


def _bind(statement, index, value):
    if value is None:
        return LIBRARY.kade_bind_null(statement, index)
    if isinstance(value, bool):
        return LIBRARY.kade_bind_bool(statement, index, value)
    if isinstance(value, int):
        if -2**63 <= value < 2**63:
            return LIBRARY.kade_bind_int64(statement, index, value)
        text = str(value).encode()
        return LIBRARY.kade_bind_decimal(statement, index, text, len(text))
    if isinstance(value, float):
        return LIBRARY.kade_bind_double(statement, index, value)
    if isinstance(value, decimal.Decimal):
        text = format(value, "f").encode()
        return LIBRARY.kade_bind_decimal(statement, index, text, len(text))
    if isinstance(value, (bytes, bytearray, memoryview)):
        data = bytes(value)
        return LIBRARY.kade_bind_blob(statement, index, data, len(data))
    if isinstance(value, datetime.datetime):
        if value.tzinfo is None:
            return LIBRARY.kade_bind_timestamp(statement, index, (value - EPOCH) // MICROSECOND)
        return LIBRARY.kade_bind_timestamptz(statement, index,
                                             (value - EPOCH_UTC) // MICROSECOND)
    if isinstance(value, datetime.date):
        return LIBRARY.kade_bind_date(statement, index, (value - EPOCH_DATE).days)
    if isinstance(value, datetime.time):
        micros = ((value.hour * 60 + value.minute) * 60 + value.second) * 10**6 + value.microsecond
        return LIBRARY.kade_bind_time(statement, index, micros)
    if isinstance(value, datetime.timedelta):
        micros = value.seconds * 10**6 + value.microseconds
        return LIBRARY.kade_bind_interval(statement, index,
                                          library.Interval(0, value.days, micros))
    if isinstance(value, uuid.UUID):
        return LIBRARY.kade_bind_uuid(statement, index, value.bytes)
    text = str(value).encode()
    return LIBRARY.kade_bind_text(statement, index, text, len(text))


def _raise_given(status, record):
    """Raises what a call without a session gave, and frees it."""
    if status == OK:
        return
    error = _error(record.contents) if record else OperationalError("out of memory")
    LIBRARY.kade_error_free(record)
    raise error


def _settings_text(settings):
    """The lines that kade_open takes; True and False are on and off."""
    lines = []
    for name, value in (settings or {}).items():
        value = {True: "on", False: "off"}.get(value, value) if isinstance(value, bool) else value
        quoted = str(value).replace("'", "''")
        lines.append(f"{name} = '{quoted}'")
    return "\n".join(lines).encode()


def _open_database(database, read_only, memory_budget_bytes, settings):
    path = str(database).encode()
    options = library.OpenOptions(struct_bytes=ctypes.sizeof(library.OpenOptions),
                                  read_only=read_only, memory_budget_bytes=memory_budget_bytes,
                                  settings=_settings_text(settings))
    handle, record = c_void_p(), ctypes.POINTER(library.Error)()
    _raise_given(LIBRARY.kade_open(path, len(path), byref(options), byref(handle), byref(record)),
                 record)
    return handle


def connect(database=":memory:", *, read_only=False, memory_budget_bytes=0, autocommit=False,
            settings=None):
    """Opens the database directory (made when absent) and a session on it. `settings` is a dict of
    the database's settings."""
    handle = _open_database(database, read_only, memory_budget_bytes, settings)
    session, record = c_void_p(), ctypes.POINTER(library.Error)()
    status = LIBRARY.kade_connect(handle, byref(session), byref(record))
    if status != OK:
        LIBRARY.kade_close(handle)
    _raise_given(status, record)

    def end(session):
        LIBRARY.kade_disconnect(session)
        LIBRARY.kade_close(handle)
    return Connection(session, end, autocommit)


class Connection:
    Warning, Error, InterfaceError, DatabaseError = Warning, Error, InterfaceError, DatabaseError
    DataError, OperationalError, IntegrityError = DataError, OperationalError, IntegrityError
    InternalError, ProgrammingError = InternalError, ProgrammingError
    NotSupportedError = NotSupportedError

    def __init__(self, session, end, autocommit):
        self.autocommit = autocommit
        self._session = session
        self._end = end  # What becomes of the session.

    def _check(self, status):
        if status != OK:
            raise _error(LIBRARY.kade_session_error(self._session).contents)

    def _open_session(self):
        if self._session is None:
            raise InterfaceError("the connection is closed")
        return self._session

    def _run(self, sql):
        text = sql.encode()
        self._check(LIBRARY.kade_execute(self._open_session(), text, len(text), None, None))

    def cursor(self):
        self._open_session()
        return Cursor(self)

    def execute(self, sql, parameters=()):
        return self.cursor().execute(sql, parameters)

    def executemany(self, sql, rows):
        return self.cursor().executemany(sql, rows)

    def executescript(self, sql):
        """Runs any number of statements; their rows are dropped."""
        self._run(sql)

    def commit(self):
        if LIBRARY.kade_session_transaction(self._open_session()) != 0:
            self._run("COMMIT")

    def rollback(self):
        if LIBRARY.kade_session_transaction(self._open_session()) != 0:
            self._run("ROLLBACK")

    def transaction(self, operations):
        """Runs the operations, each a text or (text, parameters), in one transaction, and commits:
        all or none of them, again from the start while another transaction won (a hundred times). Gives
        the number of rows that each changed or found."""
        if LIBRARY.kade_session_transaction(self._open_session()) != 0:
            raise ProgrammingError("there is already a transaction in progress")
        pairs = [(it, ()) if isinstance(it, str) else it for it in operations]
        for attempt in range(101):
            try:
                self._run("BEGIN")
                counts = [self._run_through(sql, parameters) for sql, parameters in pairs]
                if LIBRARY.kade_session_transaction(self._session) == 0:
                    raise ProgrammingError("an operation ended the transaction")
                self._run("COMMIT")
                return counts
            except Error as error:
                self.rollback()
                if error.sqlstate not in ("40001", "40P01") or attempt == 100:
                    raise
                time.sleep(min(0.0128, 0.00005 * 2**attempt) if attempt > 0 else 0)

    def _run_through(self, sql, parameters):
        cursor = self.execute(sql, parameters)
        while not cursor._is_over:
            cursor._step()
        cursor.close()
        return cursor.rowcount

    def get(self, key):
        """The value (bytes) of a key, as set() put it; None where there is none."""
        name, value, size = key.encode(), c_void_p(), c_size_t()
        self._check(LIBRARY.kade_kv_get(self._open_session(), name, len(name), byref(value),
                                        byref(size)))
        return None if value.value is None else ctypes.string_at(value.value, size.value)

    def set(self, key, value):
        """Keeps a value (bytes, or a text as UTF-8) under a key. In a transaction only if one was
        begun; otherwise it is committed when this returns."""
        name = key.encode()
        data = value.encode() if isinstance(value, str) else bytes(value)
        self._check(LIBRARY.kade_kv_set(self._open_session(), name, len(name), data, len(data)))

    def delete(self, key):
        """Forgets a key; whether there was one."""
        name, was_there = key.encode(), c_bool()
        self._check(LIBRARY.kade_kv_delete(self._open_session(), name, len(name),
                                           byref(was_there)))
        return was_there.value

    def cancel(self):
        """Stops the running statement; may be called from another thread."""
        if self._session is not None:
            LIBRARY.kade_cancel(self._session)

    def close(self):
        """Rolls back what is open. A connection of a pool goes back to it."""
        session, self._session = self._session, None
        if session is not None:
            self._end(session)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is None:
            self.commit()
        else:
            self.rollback()
        self.close()


class Cursor:
    arraysize = 1

    def __init__(self, connection):
        self.connection = connection
        self.description = None
        self.rowcount = -1
        self._statement = None
        self._readers = ()
        self._is_query = False
        self._row_is_ready = False  # The statement stands on a row that nobody fetched yet.
        self._is_over = False       # Stepping again would run the statement anew.

    def close(self):
        # A closed connection has ended its statements already.
        if self._statement is not None and self.connection._session is not None:
            LIBRARY.kade_finalize(self._statement)
        self._statement = None

    def _prepare(self, sql):
        self.close()
        connection = self.connection
        session = connection._open_session()
        begins = not connection.autocommit and LIBRARY.kade_session_transaction(session) == 0
        if begins and not _controls_transaction(sql):
            connection._run("BEGIN")
        text = _numbered(sql).encode()
        statement = c_void_p()
        connection._check(LIBRARY.kade_prepare(session, text, len(text), byref(statement)))
        self._statement = statement

    def _bind(self, parameters):
        wanted = LIBRARY.kade_parameter_count(self._statement)
        if len(parameters) != wanted:
            raise ProgrammingError(f"{wanted} parameters expected, {len(parameters)} given")
        for index, value in enumerate(parameters, 1):
            self.connection._check(_bind(self._statement, index, value))

    def _describe(self):
        statement = self._statement
        count = LIBRARY.kade_column_count(statement)
        types = [LIBRARY.kade_column_type(statement, c) for c in range(count)]
        self._readers = [_READERS.get(t, _read_text) for t in types]
        self.description = [
            (LIBRARY.kade_column_name(statement, c, None).decode(), types[c], None, None, None,
             None, None) for c in range(count)] or None

    def _step(self):
        has_row = c_bool()
        self.connection._check(LIBRARY.kade_step(self._statement, byref(has_row)))
        self._is_over = not has_row.value
        if self._is_over:
            self.rowcount = LIBRARY.kade_rows_affected(self._statement)
        return has_row.value

    def execute(self, sql, parameters=()):
        """Runs the statement. A plain query begins with its first fetch (or arrow(), df()), and its
        errors come there; everything else has happened when this returns."""
        self._prepare(sql)
        self._bind(parameters)
        self._describe()
        self.rowcount = -1
        self._is_over = self._row_is_ready = False
        self._is_query = _first_word(sql) in ("SELECT", "FROM", "VALUES", "TABLE")
        if not self._is_query:
            self._row_is_ready = self._step()
        return self

    def executemany(self, sql, rows):
        self._prepare(sql)
        self._describe()
        total = 0
        for parameters in rows:
            self._bind(parameters)
            self._step()
            total += max(self.rowcount, 0)
        self.rowcount = total
        return self

    def _row(self):
        statement = self._statement
        return tuple(
            None if LIBRARY.kade_column_is_null(statement, c) else read(statement, c)
            for c, read in enumerate(self._readers))

    def fetchone(self):
        if self._statement is None or self.description is None:
            raise InterfaceError("no result to fetch from")
        if self._is_over:
            return None
        if not self._row_is_ready and not self._step():
            return None
        self._row_is_ready = False
        return self._row()

    def fetchmany(self, size=None):
        rows = []
        for _ in range(size or self.arraysize):
            row = self.fetchone()
            if row is None:
                break
            rows.append(row)
        return rows

    def fetchall(self):
        return list(self)

    def __iter__(self):
        while (row := self.fetchone()) is not None:
            yield row

    def arrow(self):
        """The result as a pyarrow.Table, without a copy of each value."""
        import pyarrow
        if not self._is_query:
            names = [column[0] for column in self.description or ()]
            return pyarrow.Table.from_pylist([dict(zip(names, row)) for row in self])
        schema = library.ArrowSchema()
        self.connection._check(LIBRARY.kade_arrow_schema(self._statement, byref(schema)))
        fields = pyarrow.Schema._import_from_c(ctypes.addressof(schema))
        batches = []
        while True:
            array = library.ArrowArray()
            self.connection._check(LIBRARY.kade_arrow_next(self._statement, byref(array)))
            if not array.release:
                break
            batches.append(
                pyarrow.RecordBatch._import_from_c(ctypes.addressof(array), fields))
        self._is_over = True
        return pyarrow.Table.from_batches(batches, schema=fields)

    def df(self):
        """The result as a pandas.DataFrame."""
        try:
            return self.arrow().to_pandas()
        except ImportError:
            import pandas
            names = [column[0] for column in self.description]
            return pandas.DataFrame.from_records(self.fetchall(), columns=names)

    def setinputsizes(self, sizes):
        pass

    def setoutputsize(self, size, column=None):
        pass


def _first_word(sql):
    words = sql.replace("(", " ").split(None, 1)
    return words[0].rstrip(";").upper() if words else ""


def _controls_transaction(sql):
    return _first_word(sql) in ("BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT", "CHECKPOINT", "VACUUM")

#!/usr/bin/env python3
"""The Python package against the real library: DB-API forms, types there and back, errors.

    run_dbapi.py LIBKADE.SO [TEST...]; the last line is the totals.
"""
import datetime
import decimal
import os
import pathlib
import sys
import threading
import traceback
import uuid

os.environ["KADE_LIBRARY"] = sys.argv[1]
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "python"))
import kadedb  # noqa: E402


class Skip(Exception):
    pass


def test_version_and_globals():
    assert kadedb.apilevel == "2.0" and kadedb.paramstyle == "qmark"
    assert kadedb.version().count(".") == 2


def test_rows_and_description():
    cursor = kadedb.connect().execute("SELECT 1 AS a, 'x' AS b UNION ALL SELECT 2, NULL ORDER BY 1")
    assert [column[0] for column in cursor.description] == ["a", "b"]
    assert cursor.description[0][1] == kadedb.NUMBER
    assert cursor.fetchone() == (1, "x")
    assert cursor.fetchall() == [(2, None)]
    assert cursor.fetchone() is None and cursor.fetchone() is None


def test_types_there_and_back():
    values = [
        ("boolean", True), ("bigint", -2**63), ("integer", 7), ("double precision", 0.1),
        ("numeric(20,3)", decimal.Decimal("-12345678901234.567")), ("text", "ä'\"\n"),
        ("bytea", b"\x00\xff"), ("date", datetime.date(1969, 12, 31)),
        ("time", datetime.time(23, 59, 59, 999999)),
        ("timestamp", datetime.datetime(1850, 1, 2, 3, 4, 5, 6)),
        ("timestamptz", datetime.datetime(2030, 1, 2, tzinfo=datetime.timezone.utc)),
        ("uuid", uuid.UUID("7a1c1f3e-0b0e-4f6a-9f2f-0123456789ab"))]
    connection = kadedb.connect()
    for type_name, value in values:
        back = connection.execute(f"SELECT ?::{type_name}, NULL::{type_name}", [value]).fetchone()
        assert back == (value, None), (type_name, back)


def test_transactions():
    connection = kadedb.connect()
    connection.execute("CREATE TABLE t (id integer PRIMARY KEY)")
    connection.commit()
    cursor = connection.executemany("INSERT INTO t VALUES (?)", [[1], [2], [3]])
    assert cursor.rowcount == 3
    connection.rollback()
    assert connection.execute("SELECT count(*) FROM t").fetchone() == (0,)
    connection.execute("INSERT INTO t VALUES ($1)", [5])
    connection.commit()
    assert connection.execute("SELECT id FROM t").fetchall() == [(5,)]
    connection.close()


def test_errors_have_classes_and_records():
    connection = kadedb.connect(autocommit=True)
    connection.execute("CREATE TABLE t (id integer CONSTRAINT t_key PRIMARY KEY)")
    connection.execute("INSERT INTO t VALUES (1)")
    for sql, kind, sqlstate in [
            ("INSERT INTO t VALUES (1)", kadedb.IntegrityError, "23505"),
            ("SELECT nope FROM t", kadedb.ProgrammingError, "42703"),
            ("SELEC", kadedb.ProgrammingError, "42601"),
            ("SELECT 1/0", kadedb.DataError, "22012")]:
        try:
            connection.execute(sql).fetchall()
        except kind as error:
            assert error.sqlstate == sqlstate, (sql, error.sqlstate)
        else:
            raise AssertionError(f"{sql}: no error")


def test_question_marks_inside_quotes_stay():
    row = kadedb.connect().execute("SELECT '?', ? /* ? */ -- ?\n", ["x"]).fetchone()
    assert row == ("?", "x")


def test_arrow_and_pandas():
    try:
        import pyarrow
    except ImportError:
        raise Skip("pyarrow is not installed")
    del pyarrow
    connection = kadedb.connect()
    table = connection.execute(
        "SELECT i AS n, 'v' || i AS t, NULL::date AS d FROM generate_series(1, 5000) i").arrow()
    assert table.num_rows == 5000 and table.column_names == ["n", "t", "d"]
    assert table.column("t")[4999].as_py() == "v5000" and table.column("d").null_count == 5000


def test_settings_of_the_opening():
    connection = kadedb.connect(settings={"max_connections": 3, "log_duration": False})
    assert connection.execute("SHOW max_connections").fetchone() == ("3",)
    try:
        kadedb.connect(settings={"max_connections": "it's many"})
    except kadedb.OperationalError as error:
        assert error.sqlstate == "F0000", error.sqlstate
    else:
        raise AssertionError("a wrong setting was taken")


def test_a_pool_lends_connections():
    with kadedb.Pool(max=2, timeout=0.01, autocommit=True) as pool:
        with pool.connection() as first:
            first.execute("CREATE TABLE t (a integer)")
            first.execute("SET work_mem = '1MB'")
            with pool.connection() as second:
                assert second.execute("SELECT count(*) FROM t").fetchone() == (0,)
                assert pool.statistics.in_use == 2 and pool.statistics.utilisation == 1.0
                try:
                    pool.connection()
                except kadedb.OperationalError as error:
                    assert error.sqlstate == "53300"
                else:
                    raise AssertionError("more connections than there are")
        with pool.connection() as again:
            assert again.execute("SHOW work_mem").fetchone() == ("0",)
        statistics = pool.statistics
        assert statistics.in_use == 0 and statistics.idle == 2 and statistics.in_use_peak == 2


def test_a_pool_serves_threads():
    failures = []

    def work(pool, number):
        try:
            for turn in range(20):
                with pool.connection() as connection:
                    connection.set(f"{number}/{turn}", str(turn))
        except Exception as error:
            failures.append(error)

    with kadedb.Pool(max=2) as pool:
        threads = [threading.Thread(target=work, args=(pool, n)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures, failures
        with pool.connection() as connection:
            assert connection.execute("SELECT count(*) FROM kade_kv").fetchone() == (80,)


def test_values_by_key():
    connection = kadedb.connect(autocommit=True)
    assert connection.get("a") is None and connection.delete("a") is False
    connection.set("a", b"\x00\xff")
    assert connection.get("a") == b"\x00\xff"
    connection.set("a", "text")
    assert connection.get("a") == b"text"
    assert connection.delete("a") is True and connection.get("a") is None


def test_operations_are_one_transaction():
    connection = kadedb.connect()
    connection.transaction(["CREATE TABLE t (id integer PRIMARY KEY, v bytea)"])
    assert connection.transaction([
        ("INSERT INTO t VALUES (?, ?)", [1, b"x"]), ("INSERT INTO t VALUES (?, ?)", [2, None]),
        "SELECT * FROM t", "DELETE FROM t WHERE id = 1"]) == [1, 1, 2, 1]
    try:
        connection.transaction(["DELETE FROM t", ("SELECT 1/?", [0])])
    except kadedb.DataError as error:
        assert error.sqlstate == "22012"
    else:
        raise AssertionError("no error")
    assert connection.execute("SELECT id FROM t").fetchall() == [(2,)]


def main():
    passed = failed = skipped = 0
    for name, test in list(globals().items()):
        if not name.startswith("test_") or (sys.argv[2:] and name not in sys.argv[2:]):
            continue
        try:
            test()
            passed += 1
        except Skip as reason:
            skipped += 1
            print(f"skip {name}: {reason}")
        except Exception:
            failed += 1
            print(f"FAIL {name}")
            traceback.print_exc(file=sys.stdout)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

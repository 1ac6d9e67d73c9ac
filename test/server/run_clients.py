#!/usr/bin/env python3
"""kade serve and the clients that people use: psql, psycopg, asyncpg, node-postgres, pgjdbc.

usage: run_clients.py KADE [NAME...]

psycopg and asyncpg (PyPI) and node-postgres (npm) are installed beside the build once, pgjdbc comes from
Debian's package. A client that cannot be had is skipped, with a word why.
"""
import functools
import json
import os
import pathlib
import shutil
import subprocess
import sys

import served
from served import ENVIRONMENT, KADE, Server, Skipped, main

HERE = pathlib.Path(__file__).resolve().parent
JDBC = pathlib.Path("/usr/share/java/postgresql.jar")


def install(place, command, why):
    """Runs a command that installs something in `place`, which goes again when it fails."""
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=300)
    except (OSError, subprocess.SubprocessError) as error:
        shutil.rmtree(place, ignore_errors=True)
        raise Skipped(f"{why}: {error}") from error


def beside_build(name):
    return pathlib.Path(KADE).resolve().parent / name


@functools.cache
def python_program():
    place = beside_build("python_clients")
    program = place / "bin" / "python"
    if not program.exists():
        install(place, [sys.executable, "-m", "venv", str(place)], "no virtual environment")
        install(place, [str(program), "-m", "pip", "install", "-q", "psycopg==3.*", "asyncpg==0.*"],
                "psycopg and asyncpg cannot be installed")
    return str(program)


@functools.cache
def node_modules():
    place = beside_build("node_clients")
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise Skipped("there is no node")
    if not (place / "node_modules" / "pg").exists():
        place.mkdir(exist_ok=True)
        install(place, ["npm", "install", "--silent", "--no-save", "--no-package-lock", "--prefix", str(place),
                        "pg@8"], "node-postgres cannot be installed")
    return str(place / "node_modules")


def run(command, **environment):
    done = subprocess.run(command, capture_output=True, text=True, timeout=120,
                          env={**ENVIRONMENT, **environment})
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def seen(output):
    """Lines "name value" as a dictionary."""
    return dict(line.split(" ", 1) for line in output.splitlines() if " " in line)


def with_server(test):
    @functools.wraps(test)
    def wrapped():
        with Server(test.__name__) as server:
            test(server)
    return wrapped


@with_server
def test_psql(server):
    server.sql("CREATE TABLE t (a int PRIMARY KEY, b text NOT NULL DEFAULT 'x'); CREATE VIEW v AS SELECT a FROM t; "
               "CREATE SCHEMA s; CREATE SEQUENCE q; CREATE INDEX ON t (b)")
    code, out, err = server.psql("-P", "tuples_only=off", "-c", r"\dt", "-c", r"\dv", "-c", r"\dn", "-c", r"\ds", "-c", r"\di", "-c", r"\d t",
                                 "-c", r"\df", "-c", r"\dT", "-c", r"\l", "-c", r"\du", "-c", r"\d+ t", "-c", r"\d")
    assert code == 0 and not err, err
    for part in ("public|t|table|kade", "public|v|view|kade", "s|kade", "public|q|sequence|kade", "t_b_idx",
                 "b|text||not null|'x'", '"t_pkey" PRIMARY KEY, btree (a)'):
        assert part in out, (part, out)
    code, out, err = server.psql(input="INSERT INTO t SELECT g, g FROM generate_series(1, 3) g;\n"
                                       "\\copy t to pstdout csv\nSELECT a FROM t WHERE a > :low \\gset\n"
                                       "\\set FETCH_COUNT 2\nSELECT a FROM t ORDER BY a;\nSELECT 1/0;\n"
                                       "\\echo :SQLSTATE\n\\errverbose\n".replace(":low", "2"))
    assert code == 0, err
    assert out.splitlines() == ["1,1", "2,2", "3,3", "1", "2", "3", "22012"], out
    assert "division by zero" in err
    code, out, err = server.psql("-1", "-c", "INSERT INTO t VALUES (7, 'x')", "-c", "INSERT INTO t VALUES (7, 'y')")
    assert code == 1 and "duplicate key" in err
    assert server.sql("SELECT count(*) FROM t") == "3"


PSYCOPG = r"""
import datetime, decimal, sys, uuid
import psycopg
from psycopg.types.json import Jsonb
values = (7, "é", decimal.Decimal("-1.50"), datetime.datetime(2026, 1, 2, 3, 4, 5, 6, datetime.timezone.utc),
          uuid.UUID(int=5), [1, None, 3], datetime.date(2026, 1, 2), datetime.timedelta(days=1, seconds=5), b"\0\xff",
          True, 1.25, ["a", 'b"c'])
casts = "int text numeric timestamptz uuid int[] date interval bytea bool float8 text[]".split()
with psycopg.connect(host=sys.argv[1], port=sys.argv[2], user="kade") as connection:
    for binary in (False, True):
        cursor = connection.cursor(binary=binary)
        mark = "%b" if binary else "%t"
        row = cursor.execute("SELECT " + ", ".join(f"{mark}::{cast}" for cast in casts), values).fetchone()
        assert row == values, (binary, row)
        assert cursor.execute("SELECT %s", (Jsonb({"a": [1, "x"]}),)).fetchone() == ({"a": [1, "x"]},)
    connection.execute("CREATE TABLE p (a int PRIMARY KEY, b text)")
    connection.cursor().executemany("INSERT INTO p VALUES (%s, %s)", [(i, str(i)) for i in range(500)])
    with connection.cursor().copy("COPY p FROM STDIN") as copy:
        for i in range(1000, 3000):
            copy.write_row((i, 'tab\t and "quote"\n'))
    with connection.cursor().copy("COPY p TO STDOUT") as copy:
        rows = list(copy.rows())
    assert len(rows) == 2500 and rows[-1] == ("2999", 'tab\t and "quote"\n'), rows[-1]
    connection.execute("CREATE TABLE b (a int, b text, c numeric(8,2), d timestamptz, e int[], f varchar(3))")
    wide = [(i, None if i % 7 == 0 else "é" * (i % 5), decimal.Decimal(i) / 4, values[3], [i, None], "abc") for i in range(5000)]
    with connection.cursor().copy("COPY b FROM STDIN (FORMAT binary)") as copy:
        copy.set_types("int4 text numeric timestamptz int4[] varchar".split())
        for row in wide:
            copy.write_row(row)
    with connection.cursor().copy("COPY b TO STDOUT (FORMAT binary)") as copy:
        copy.set_types("int4 text numeric timestamptz int4[] varchar".split())
        assert list(copy.rows()) == wide
    connection.commit()
    try:
        with connection.transaction():
            connection.execute("INSERT INTO p VALUES (5000, 'x')")
            try:
                with connection.transaction():
                    connection.execute("INSERT INTO p VALUES (1, 'x')")
            except psycopg.errors.UniqueViolation as error:
                assert error.diag.constraint_name == "p_pkey", error.diag.constraint_name
            raise psycopg.Rollback
    except psycopg.Rollback:
        pass
    with connection.pipeline():
        answers = [connection.execute("SELECT %s::int", (i,)) for i in range(100)]
    assert [answer.fetchone()[0] for answer in answers] == list(range(100))
    try:
        with connection.pipeline():
            connection.execute("INSERT INTO p VALUES (6000, 'x')")
            connection.execute("INSERT INTO p VALUES (1, 'x')")
    except psycopg.errors.UniqueViolation:
        connection.rollback()
    with connection.cursor(name="server_side") as cursor:
        cursor.itersize = 100
        cursor.execute("SELECT a FROM p ORDER BY a")
        assert sum(1 for _ in cursor) == 2500
    connection.commit()
    for i in range(20):  # Prepared from the sixth on.
        assert connection.execute("SELECT b FROM p WHERE a = %s", (i,)).fetchone() == (str(i),)
    assert connection.execute("SELECT count(*) FROM p WHERE a > 3000").fetchone() == (0,)
    notices = []
    connection.add_notice_handler(lambda diag: notices.append(diag.sqlstate))
    connection.execute("DROP TABLE IF EXISTS nothing")
    assert notices == ["00000"], notices
    connection.cancel_safe() if hasattr(connection, "cancel_safe") else connection.cancel()
print("done")
"""


@with_server
def test_psycopg(server):
    assert run([python_program(), "-c", PSYCOPG, str(server.sockets), str(server.port)]) == "done\n"


ASYNCPG = r"""
import asyncio, datetime, decimal, sys
import asyncpg

async def main():
    options = {"host": sys.argv[1], "port": int(sys.argv[2]), "user": "kade"}
    connection = await asyncpg.connect(**options)
    moment = datetime.datetime(2026, 1, 2, 3, 4, 5, 6, datetime.timezone.utc)
    row = await connection.fetchrow("SELECT $1::int + 1, $2::text, $3::timestamptz, $4::numeric, $5::int[], $6::jsonb, "
                                    "$7::interval, $8::bytea", 41, "é", moment, decimal.Decimal("1.50"), [1, None],
                                    '{"a": 1}', datetime.timedelta(days=2), b"\0\xff")
    assert tuple(row) == (42, "é", moment, decimal.Decimal("1.50"), [1, None], '{"a": 1}', datetime.timedelta(days=2),
                          b"\0\xff"), tuple(row)
    await connection.execute("CREATE TABLE p (a int PRIMARY KEY, b text)")
    await connection.executemany("INSERT INTO p VALUES ($1, $2)", [(i, str(i)) for i in range(1000)])
    async with connection.transaction():
        count = 0
        async for record in connection.cursor("SELECT * FROM p ORDER BY a", prefetch=70):
            assert record["b"] == str(count)
            count += 1
    assert count == 1000
    try:
        await connection.executemany("INSERT INTO p VALUES ($1, $2)", [(2000, "x"), (1, "x")])
    except asyncpg.UniqueViolationError as error:
        assert error.constraint_name == "p_pkey"
    assert await connection.fetchval("SELECT count(*) FROM p") == 1000
    records = [(10000 + i, "r%d" % i) for i in range(3000)]  # Binary COPY.
    assert await connection.copy_records_to_table("p", records=records) == "COPY 3000"
    assert await connection.fetchval("SELECT count(*) FROM p WHERE a >= 10000") == 3000
    statement = await connection.prepare("SELECT b FROM p WHERE a = $1")
    assert [await statement.fetchval(i) for i in range(10)] == [str(i) for i in range(10)]
    assert [a.name for a in statement.get_attributes()] == ["b"]
    await connection.execute("CREATE TYPE mood AS ENUM ('sad', 'happy')")
    assert await connection.fetchval("SELECT $1::mood", "happy") == "happy"
    try:
        await connection.fetch("SELECT pg_sleep(60)", timeout=0.3)
    except asyncio.TimeoutError:
        pass
    assert await connection.fetchval("SELECT 1") == 1
    await connection.close()
    async with asyncpg.create_pool(**options, min_size=2, max_size=5) as pool:
        answers = await asyncio.gather(*[pool.fetchval("SELECT $1::int * 2", i) for i in range(50)])
        assert answers == [2 * i for i in range(50)]

asyncio.run(main())
print("done")
"""


@with_server
def test_asyncpg(server):
    assert run([python_program(), "-c", ASYNCPG, str(server.sockets), str(server.port)]) == "done\n"


@with_server
def test_node_postgres(server):
    out = seen(run(["node", str(HERE / "clients.js"), str(server.sockets), str(server.port)],
                   NODE_PATH=node_modules()))
    values = {name: json.loads(value) for name, value in out.items()}
    assert values["typed"] == {"i": 42, "t": "é", "a": [1, None, 3], "j": {"k": [1]}, "b": True, "n": "1.50",
                               "big": "9007199254740993", "nothing": None}, values["typed"]
    assert values["fields"] == [23, 25, 1007, 3802, 16, 1700, 20, 25], values["fields"]
    assert values["script"] == [[{"a": 1}], [{"b": 2}]]
    assert values["error"] == ["22012", "ERROR"] and values["named"] == 3
    assert values["row"] == ["2026-01-02T03:04:05.000Z", [0, 255]], values["row"]
    assert values["notices"] == ["25P01"] and values["pool"] == 380


@with_server
def test_pgjdbc(server):
    if not JDBC.exists() or shutil.which("java") is None:
        raise Skipped("libpostgresql-jdbc-java and a JDK are not installed")
    server.sql("ALTER ROLE kade PASSWORD 'pencil'")
    url = f"jdbc:postgresql://127.0.0.1:{server.port}/{server.path.name}"
    out = seen(run(["java", "-cp", str(JDBC), str(HERE / "Clients.java"), url, "kade", "pencil"]))
    assert out["batch"] == "500" and out["refused"] == "23505" and out["count"] == "[500]", out
    assert out["read"] == "näme 9 10.50 2026-01-02 03:04:05.678 false 9 1.5", out["read"]
    assert out["fetched"] == str(sum(range(500)))
    assert out["tables"] == "[java_rows]" and out["columns"] == "[int4, text, numeric, timestamp, bool]", out
    assert out["keys"] == "[id]" and out["indexes"] == "[java_rows_pkey]", out
    assert out["copied"] == "2" and out["error"] == "22012"


if __name__ == "__main__":
    assert served  # The module that this one begins from.
    sys.exit(main(globals(), __doc__))

#!/usr/bin/env python3
"""Random schemas and queries, answered by KadeDB and by PostgreSQL 15.

    random_queries.py [--seed N] [--count N] [--seconds N] [--library libkade.so] [--verbose]

Every seed makes a schema of a few tables with NULLs and few distinct values, some of them with
thousands of rows, indexes, a key or partitions, and then queries over it: joins of all kinds,
sub-queries, grouping, windows, set operations, row values, functions, orders with limits. Between
them rows are changed and deleted, and flushed to segments. Queries are asked four ways:

    differential  both systems must give the same rows, or both an error of the same class
    TLP           WHERE p, WHERE NOT p and WHERE p IS NULL together give the rows without WHERE
    NoREC         count(*) WHERE p is the number of rows whose p, as a column, is true
    pivot         a row for which p was found true with its values as constants is in WHERE p

The same seed makes the same statements. Without PostgreSQL 15 the exit code is 77: skipped.
"""
import argparse
import ctypes
import os
import random
import sys
import time

TREE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(TREE, "tools"))
sys.path.insert(0, os.path.join(TREE, "python"))
import record_sql  # noqa: E402

TYPES = ["int", "bigint", "numeric(8,2)", "text", "date", "boolean", "float8", "smallint",
         "timestamp"]
WORDS = ["a", "b", "ab", "B", "", "a b", "zz", "10"]
SIZES = [0, 4, 12, 25, 25, 25, 25, 700, 3000]
# Errors that depend on the order in which rows and branches are evaluated.
FRAGILE = {"42P22", "22012", "22003", "22P02", "22008", "22007", "21000", "2201E", "2201F", "2201G",
           "57014"}


class Kade:
    """A database in memory through libkade."""

    def __init__(self):
        from kadedb.library import LIBRARY, Error
        self.library = LIBRARY
        self.database = ctypes.c_void_p()
        self.session = ctypes.c_void_p()
        error = ctypes.POINTER(Error)()
        for status in (LIBRARY.kade_open(b":memory:", 8, None, ctypes.byref(self.database),
                                         ctypes.byref(error)),
                       LIBRARY.kade_connect(self.database, ctypes.byref(self.session),
                                            ctypes.byref(error))):
            if status != 0:
                raise SystemExit("KadeDB does not open")
        self.run("SET statement_timeout = '2s'")

    def close(self):
        self.library.kade_disconnect(self.session)
        self.library.kade_close(self.database)

    def run(self, sql):
        """(rows or None, SQLSTATE or None, message)."""
        text, statement, has_row = sql.encode(), ctypes.c_void_p(), ctypes.c_bool()
        if self.library.kade_prepare(self.session, text, len(text), ctypes.byref(statement)) != 0:
            return self.error()
        rows = []
        while True:
            if self.library.kade_step(statement, ctypes.byref(has_row)) != 0:
                answer = self.error()
                self.library.kade_finalize(statement)
                return answer
            count = self.library.kade_column_count(statement)  # EXECUTE and FETCH know theirs now.
            if not has_row.value:
                break
            rows.append([self.value(statement, i) for i in range(count)])
        self.library.kade_finalize(statement)
        return (rows if count > 0 or rows else None), None, ""

    def value(self, statement, column):
        if self.library.kade_column_is_null(statement, column):
            return "NULL"
        size = ctypes.c_size_t()
        pointer = self.library.kade_column_text(statement, column, ctypes.byref(size))
        value = ctypes.string_at(pointer, size.value).decode("utf-8", "replace")
        return value.replace("\n", "\\n").replace("\t", "\\t") or "(empty)"

    def error(self):
        record = self.library.kade_session_error(self.session).contents
        return None, record.sqlstate.decode(), record.message.decode("utf-8", "replace")


class Postgres:
    def __init__(self, server, name):
        keeper = record_sql.Connection(server, "postgres")
        keeper.run(f"CREATE DATABASE {name} TEMPLATE template0")
        keeper.close()
        self.connection = record_sql.Connection(server, name)
        self.connection.run("SET statement_timeout = '2s'")

    def run(self, sql):
        rows, state, _, told = self.connection.run(sql)
        return rows, state, told

    def close(self):
        self.connection.close()


class Maker:
    """Statements by chance; `scope` is the list of (expression, type) that may be used."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.tables = []
        self.large = set()  # Tables of which a query holds one at most.
        self.has_large = False
        self.names = 0

    def chance(self, percent):
        return self.random.random() * 100 < percent

    def pick(self, things):
        return self.random.choice(things)

    def name(self, prefix):
        self.names += 1
        return f"{prefix}{self.names}"

    # --- schema

    def literal(self, kind):
        r = self.random
        if self.chance(12):
            return "NULL"
        if kind in ("int", "bigint", "smallint"):
            return str(r.randint(-3, 6))
        if kind.startswith("numeric"):
            return f"{r.randint(-2, 4)}.{r.randint(0, 3) * 25:02d}"
        if kind == "float8":
            return f"{r.randint(-2, 4)}.5"
        if kind == "text":
            return "'" + self.pick(WORDS) + "'"
        if kind == "date":
            return f"date '2020-01-{r.randint(1, 6):02d}'"
        if kind == "timestamp":
            return f"timestamp '2020-01-{r.randint(1, 3):02d} {r.randint(0, 2):02d}:30:00'"
        return self.pick(["true", "false"])

    def of_row(self, kind):
        """A value of `kind` that follows from the number i of a row, NULL now and then."""
        r = self.random
        i = f"(i * {r.choice([1, 7, 13, 101])} / {r.choice([1, 1, 3, 50])} % {r.choice([3, 11, 50, 4000])})"
        value = {"int": f"{i} - 2", "bigint": f"({i} - 2)::bigint", "smallint": f"({i} - 2)::smallint",
                 "numeric(8,2)": f"({i} * 0.25)::numeric(8,2)", "float8": f"({i} - 1) * 0.5::float8",
                 "text": f"(ARRAY[{', '.join(repr(w) for w in WORDS)}])[{i} % {len(WORDS)} + 1]",
                 "date": f"date '2020-01-01' + {i}::int % 9", "boolean": f"{i} % 2 = 0",
                 "timestamp": f"timestamp '2020-01-01 00:30:00' + {i} * interval '1 hour'"}[kind]
        if kind == "text" and self.chance(30):
            value = f"'v' || {i}"
        return f"CASE WHEN i % {r.choice([5, 17, 1000000])} <> 1 THEN {value} END"

    def typed(self, kind):
        value = self.literal(kind)
        return f"{value}::{kind}" if value == "NULL" or kind != "text" else f"{value}::text"

    def schema(self):
        statements = []
        for _ in range(self.random.randint(2, 4)):
            table = self.name("t")
            columns = [(self.name("c"), self.pick(TYPES)) for _ in
                       range(self.random.randint(2, 5))]
            self.tables.append((table, columns))
            rows = self.pick(SIZES)
            if rows > 25:
                self.large.add(table)
            statements += self.created(table, columns)
            if rows > 25:
                statements.append(f"INSERT INTO {table} SELECT " +
                                  ", ".join(self.of_row(k) for _, k in columns) +
                                  f" FROM generate_series(1, {rows}) g (i)")
            elif rows > 0:
                statements.append(f"INSERT INTO {table} VALUES " + ", ".join(
                    "(" + ", ".join(self.literal(k) for _, k in columns) + ")"
                    for _ in range(rows)))
            if self.chance(50):
                statements.append(f"CREATE INDEX ON {table} ({self.pick(columns)[0]})")
            if self.chance(40):
                statements.append(f"VACUUM {table}")
        return statements

    def created(self, table, columns):
        listed = ", ".join(f"{n} {k}" for n, k in columns)
        by = [n for n, k in columns if k in ("int", "bigint", "smallint")]
        if not by or self.chance(80):
            return [f"CREATE TABLE {table} ({listed})"]
        return [f"CREATE TABLE {table} ({listed}) PARTITION BY RANGE ({by[0]})",
                f"CREATE TABLE {table}_low PARTITION OF {table} FOR VALUES FROM (MINVALUE) TO (1)",
                f"CREATE TABLE {table}_mid PARTITION OF {table} FOR VALUES FROM (1) TO (4)",
                f"CREATE TABLE {table}_else PARTITION OF {table} DEFAULT"]

    def change(self):
        """A statement that changes a table, or moves its rows to segments."""
        table, columns = self.pick(self.tables)
        scope = [(f"{table}.{n}", k) for n, k in columns]
        if self.chance(30):
            return f"VACUUM {table}"
        if self.chance(40):
            return (f"DELETE FROM {table} WHERE {self.condition(scope, 1)} "
                    f"AND {self.condition(scope, 1)}")
        name, kind = self.pick(columns)
        return (f"UPDATE {table} SET {name} = {self.value(scope, kind, 1)} "
                f"WHERE {self.condition(scope, 1)}")

    # --- expressions

    def of_type(self, scope, kind):
        return [e for e, k in scope if k == kind]

    def value(self, scope, kind, depth=2):
        r = self.random
        columns = self.of_type(scope, kind)
        if columns and self.chance(55 if depth > 0 else 85):
            return self.pick(columns)
        if depth <= 0 or self.chance(20):
            return self.typed(kind)
        a = lambda k=kind: self.value(scope, k, depth - 1)
        if self.chance(15):
            return f"CASE WHEN {self.condition(scope, depth - 1)} THEN {a()} ELSE {a()} END"
        if self.chance(10):
            return f"coalesce({a()}, {a()})"
        if self.chance(6):
            return f"nullif({a()}, {a()})"
        if self.chance(5) and kind not in ("boolean",):
            return f"{self.pick(['greatest', 'least'])}({a()}, {a()})"
        if self.chance(5):
            return f"(ROW({a()}, {self.value(scope, 'int', depth - 1)})).f1"
        if kind == "int":
            return self.pick([f"({a()} + {a()})", f"({a()} - {a()})", f"({a()} * {a()})",
                              f"abs({a()})", f"length({a('text')})", f"(- {a()})",
                              f"extract(day from {a('date')})::int", f"{a('smallint')}::int",
                              f"extract(hour from {a('timestamp')})::int"])
        if kind == "smallint":
            return self.pick([f"({a()} % 3::smallint)", f"abs({a()})", f"{a('int')}::smallint"])
        if kind == "timestamp":
            return self.pick([f"({a()} + interval '{r.randint(0, 30)} hours')",
                              f"date_trunc('day', {a()})", f"{a('date')}::timestamp"])
        if kind == "bigint":
            return self.pick([f"({a()} + {a('int')})", f"({a()} * 2)", f"{a('int')}::bigint"])
        if kind.startswith("numeric"):
            return self.pick([f"({a()} + {a()})::{kind}", f"round({a()}, {r.randint(0, 2)})::{kind}",
                              f"{a('int')}::{kind}"])
        if kind == "float8":
            return self.pick([f"({a()} + {a()})", f"{a('int')}::float8", f"abs({a()})"])
        if kind == "text":
            return self.pick([f"({a()} || {a()})", f"upper({a()})", f"substr({a()}, 1, 1)",
                              f"{a('int')}::text", f"replace({a()}, 'a', 'xy')", f"trim({a()})"])
        if kind == "date":
            return self.pick([f"({a()} + {r.randint(0, 3)})", f"({a()} - 1)",
                              f"{a('timestamp')}::date"])
        return self.condition(scope, depth - 1)

    def condition(self, scope, depth=2):
        r = self.random
        kinds = [k for _, k in scope] or ["int"]
        if depth > 0 and self.chance(30):
            parts = [self.condition(scope, depth - 1) for _ in range(r.randint(2, 3))]
            return "(" + self.pick([" AND ", " OR "]).join(parts) + ")"
        if depth > 0 and self.chance(10):
            return f"(NOT {self.condition(scope, depth - 1)})"
        kind = self.pick(kinds)
        a = lambda k=kind: self.value(scope, k, depth - 1)
        choices = [lambda: f"({a()} {self.pick(['=', '<>', '<', '<=', '>', '>='])} {a()})"] * 5 + [
            lambda: f"({a()} IS {self.pick(['', 'NOT '])}NULL)",
            lambda: f"({a()} {self.pick(['', 'NOT '])}BETWEEN {a()} AND {a()})",
            lambda: f"({a()} {self.pick(['', 'NOT '])}IN ({a()}, {a()}, {self.typed(kind)}))",
            lambda: f"({a()} IS {self.pick(['', 'NOT '])}DISTINCT FROM {a()})",
            lambda: f"({a('text')} {self.pick(['LIKE', 'NOT LIKE'])} {self.pick(['$$a%$$', '$$%b$$', '$$_$$'])})",
            lambda: f"({a('boolean')} IS {self.pick(['', 'NOT '])}{self.pick(['TRUE', 'FALSE', 'UNKNOWN'])})",
            lambda: f"({a()} = ANY (ARRAY[{a()}, {self.typed(kind)}]))",
            lambda: self.row_comparison(scope, depth),
        ]
        if depth > 0 and self.tables:
            choices += [lambda: self.sub_condition(scope, kind, depth)] * 2
        return self.pick(choices)()

    def row_comparison(self, scope, depth):
        kinds = [self.pick([k for _, k in scope] or ["int"]) for _ in range(2)]
        left, right = (", ".join(self.value(scope, k, depth - 1) for k in kinds) for _ in range(2))
        return f"(({left}) {self.pick(['=', '<>', '<', '<=', '>', 'IS DISTINCT FROM'])} ({right}))"

    def sub_condition(self, scope, kind, depth):
        from_, inner = self.source(1)
        seen = inner + (scope if self.chance(50) else [])
        where = f" WHERE {self.condition(seen, depth - 1)}" if self.chance(60) else ""
        if self.chance(35):
            return f"({self.pick(['', 'NOT '])}EXISTS (SELECT 1 FROM {from_}{where}))"
        value = self.value(inner, kind, 0)
        if self.chance(25):
            operator = self.pick(["=", "<>", "<", ">="])
            return (f"({self.value(scope, kind, 0)} {operator} {self.pick(['ANY', 'ALL'])} "
                    f"(SELECT {value} FROM {from_}{where}))")
        return (f"({self.value(scope, kind, 0)} {self.pick(['', 'NOT '])}IN "
                f"(SELECT {value} FROM {from_}{where}))")

    # --- FROM

    def source(self, items):
        """(text, scope)"""
        text, scope = self.item([])
        for _ in range(items - 1):
            join = self.pick(["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "CROSS JOIN", ",",
                              "LEFT JOIN LATERAL", "CROSS JOIN LATERAL"])
            lateral = "LATERAL" in join
            more, seen = self.item(scope if lateral else None)
            both = scope + seen
            if join == "FULL JOIN":  # PostgreSQL wants conditions that it can merge or hash.
                kind = self.pick([k for _, k in scope])
                on = [f"{a} = {b}" for a in self.of_type(scope, kind)
                      for b in self.of_type(seen, kind)]
                if not on:
                    join = "LEFT JOIN"
                else:
                    text = f"{text} FULL JOIN {more} ON {self.pick(on)}"
                    scope = both
                    continue
            text = f"{text} {join} {more}"
            if join in ("JOIN", "LEFT JOIN", "RIGHT JOIN", "LEFT JOIN LATERAL"):
                text += f" ON {self.condition(both, 1)}"
            scope = both
        return text, scope

    def item(self, outer):
        """A table, a sub-query (over `outer` too where it is LATERAL), VALUES or a function."""
        alias = self.name("x")
        if outer is None and self.chance(70) or outer == [] and self.chance(80):
            table, columns = self.pick(self.tables)
            while table in self.large and self.has_large and not self.chance(20):
                table, columns = self.pick(self.tables)
            if table in self.large and self.has_large:
                return (f"(SELECT * FROM {table} LIMIT 0) {alias}",
                        [(f"{alias}.{n}", k) for n, k in columns])
            self.has_large |= table in self.large
            return f"{table} {alias}", [(f"{alias}.{n}", k) for n, k in columns]
        if self.chance(15) and not outer:
            kinds = [self.pick(TYPES) for _ in range(2)]
            rows = ", ".join("(" + ", ".join(self.typed(k) for k in kinds) + ")" for _ in range(3))
            return (f"(VALUES {rows}) {alias} (a, b)",
                    [(f"{alias}.a", kinds[0]), (f"{alias}.b", kinds[1])])
        if self.chance(10):
            return f"generate_series(1, {self.random.randint(0, 4)}) {alias} (g)", [(f"{alias}.g", "int")]
        text, columns = self.query(1, outer or [])
        return f"({text}) {alias}", [(f"{alias}.{n}", k) for n, k in columns]

    # --- queries

    def ordered(self):
        """A query whose rows come in an order without ties, with a limit."""
        text, columns = self.query(1)
        order = ", ".join(f"{n}{self.pick(['', '', ' DESC', ' NULLS FIRST', ' DESC NULLS LAST'])}"
                          for n, _ in self.random.sample(columns, len(columns)))
        limit = self.pick(["", f" LIMIT {self.random.randint(0, 12)}", " LIMIT 3 OFFSET 2",
                           " OFFSET 4"])
        return f"SELECT * FROM ({text}) ordered ORDER BY {order}{limit}"

    def whole(self):
        """A query; of many rows only how often each comes."""
        text, columns = self.query(1)
        if not self.has_large:
            return text
        listed = ", ".join(n for n, _ in columns)
        return f"SELECT {listed}, count(*) FROM ({text}) q GROUP BY {listed}"

    def query(self, depth, outer=()):
        """(text, [(column, type)]); the order of rows is not fixed."""
        if depth > 0 and self.chance(12):
            return self.set_operation(depth, outer)
        from_, scope = self.source(self.random.randint(1, 2 if depth else 3))
        seen = scope + list(outer)
        where = f" WHERE {self.condition(seen)}" if self.chance(60) else ""
        if self.chance(30):
            return self.grouped(from_, scope, seen, where)
        columns = []
        targets = []
        for _ in range(self.random.randint(1, 3)):
            kind, name = self.pick(TYPES), self.name("v")
            expression = self.value(seen, kind)
            if self.chance(12):
                expression, kind = self.window(scope)
            targets.append(f"{expression} AS {name}")
            columns.append((name, kind))
        distinct = "DISTINCT " if self.chance(15) else ""
        return f"SELECT {distinct}{', '.join(targets)} FROM {from_}{where}", columns

    def window(self, scope):
        kind = self.pick([k for _, k in scope])
        argument = self.value(scope, kind, 1)
        order = ", ".join(e for e, _ in scope) # A total order but for equal rows.
        partition = f"PARTITION BY {self.value(scope, 'int', 1)} " if self.chance(50) else ""
        function, result = self.pick([("count(*)", "bigint"), (f"count({argument})", "bigint"),
                                      ("rank()", "bigint"), ("dense_rank()", "bigint"),
                                      (f"min({self.value(scope, 'int', 1)})", "int"),
                                      (f"sum({self.value(scope, 'int', 1)})", "bigint")])
        frame = self.pick(["", "RANGE UNBOUNDED PRECEDING", "GROUPS BETWEEN 1 PRECEDING AND CURRENT ROW",
                           "GROUPS BETWEEN 1 PRECEDING AND 1 FOLLOWING EXCLUDE GROUP"])
        if function.startswith(("rank", "dense")):
            frame = ""
        return f"{function} OVER ({partition}ORDER BY {order} {frame})", result

    def grouped(self, from_, scope, seen, where):
        keys = [(self.value(scope, k, 1), k) for k in
                (self.pick([k for _, k in scope]) for _ in range(self.random.randint(0, 2)))]
        keys = [(e, k) for e, k in keys if any(s in e for s, _ in scope)]
        targets, columns = [], []
        for expression, kind in keys:
            name = self.name("k")
            targets.append(f"{expression} AS {name}")
            columns.append((name, kind))
        for _ in range(self.random.randint(1, 2)):
            name = self.name("g")
            call, kind = self.aggregate(seen)
            targets.append(f"{call} AS {name}")
            columns.append((name, kind))
        by = ""
        if keys:
            listed = ", ".join(e for e, _ in keys)
            by = " GROUP BY " + self.pick([listed, listed, listed, f"ROLLUP ({listed})",
                                           f"CUBE ({listed})"])
        having = f" HAVING {self.pick(['count(*) > 1', 'count(*) < 4'])}" if self.chance(25) else ""
        return f"SELECT {', '.join(targets)} FROM {from_}{where}{by}{having}", columns

    def aggregate(self, scope):
        filter_ = f" FILTER (WHERE {self.condition(scope, 1)})" if self.chance(25) else ""
        distinct = "DISTINCT " if self.chance(20) else ""
        kind = self.pick([k for _, k in scope])
        a = lambda k: self.value(scope, k, 1)
        call, result = self.pick([
            ("count(*)", "bigint"), (f"count({distinct}{a(kind)})", "bigint"),
            (f"sum({distinct}{a('int')})", "bigint"), (f"min({a('int')})", "int"),
            (f"max({a('text')})", "text"), (f"min({a('date')})", "date"),
            (f"bool_or({a('boolean')})", "boolean"), (f"max({a('numeric(8,2)')})", "numeric(8,2)"),
            (f"count({distinct}({a(kind)}, {a('int')}))", "bigint")])
        if result == "numeric(8,2)":
            return f"({call}{filter_})::numeric(8,2)", result
        return call + filter_, result

    def set_operation(self, depth, outer):
        kinds = [self.pick(TYPES) for _ in range(self.random.randint(1, 2))]
        names = [self.name("s") for _ in kinds]
        sides = []
        for _ in range(2):
            from_, scope = self.source(1)
            targets = ", ".join(f"{self.value(scope + list(outer), k, 1)} AS {n}"
                                for k, n in zip(kinds, names))
            where = f" WHERE {self.condition(scope, 1)}" if self.chance(40) else ""
            sides.append(f"SELECT {targets} FROM {from_}{where}")
        operation = self.pick(["UNION", "UNION ALL", "INTERSECT", "INTERSECT ALL", "EXCEPT",
                               "EXCEPT ALL"])
        return f"{sides[0]} {operation} {sides[1]}", list(zip(names, kinds))


class Run:
    def __init__(self, seed, kade, postgres, verbose):
        self.seed, self.kade, self.postgres, self.verbose = seed, kade, postgres, verbose
        self.maker = Maker(seed)
        self.statements = []
        self.failures = []
        self.asked = 0

    def fail(self, what, sql, *answers):
        self.failures.append(what)
        print(f"-- seed {self.seed}: {what}")
        if len(self.failures) == 1:
            print(";\n".join(self.statements) + ";")
        print(sql + ";")
        for answer in answers:
            print("--   " + str(answer)[:400])

    def both(self, sql, ordered=False):
        """What both answer is the same."""
        start = time.monotonic()
        ours = self.kade.run(sql)
        middle = time.monotonic()
        theirs = self.postgres.run(sql)
        order = list if ordered else sorted
        self.asked += 1
        if self.verbose:
            print(f"{ours[1] or 'ok'} {middle - start:.3f} s, {theirs[1] or 'ok'} "
                  f"{time.monotonic() - middle:.3f} s: {sql}", flush=True)
        if ours[1] in ("XX000", "XX001"):
            self.fail("internal error", sql, ours[1:])
        elif (ours[1] is None) != (theirs[1] is None):
            if not {ours[1], theirs[1]} & FRAGILE:
                self.fail("one of them fails", sql, ours[1:], theirs[1:])
        elif ours[1] is None and order(ours[0] or []) != order(theirs[0] or []):
            self.fail("rows differ", sql, order(ours[0] or []), order(theirs[0] or []))

    def change(self):
        """The same change on both sides: the tables stay alike, or the seed ends here."""
        sql = self.maker.change()
        self.statements.append(sql)
        ours, theirs = self.kade.run(sql), self.postgres.run(sql)
        self.asked += 1
        if (ours[1] is None) != (theirs[1] is None):
            if not {ours[1], theirs[1]} & FRAGILE:
                self.fail("one of them fails", sql, ours[1:], theirs[1:])
            return False
        for table, columns in self.maker.tables:
            listed = ", ".join(n for n, _ in columns)
            self.both(f"SELECT {listed}, count(*) FROM {table} GROUP BY {listed}")
        return True

    def pivot(self):
        """Rows for which a condition holds as constants are found by it in their table."""
        maker = self.maker
        table, columns = maker.pick(maker.tables)
        rows = self.kade.run(f"SELECT {', '.join(n for n, _ in columns)} FROM {table} "
                             f"OFFSET {maker.random.randint(0, 20)} LIMIT 1")[0]
        if not rows:
            return
        values = ["NULL" if v == "NULL" else "''" if v == "(empty)" else "'" + v + "'" for v in rows[0]]
        condition = maker.condition([(f"p.{n}", k) for n, k in columns])
        constants = ", ".join(f"{v}::{k} AS {n}" for v, (n, k) in zip(values, columns))
        answer = self.kade.run(f"SELECT ({condition})::text FROM (SELECT {constants}) p")
        self.asked += 1
        if answer[1]:
            return
        holds = {"true": condition, "false": f"NOT {condition}",
                 "NULL": f"({condition}) IS NULL"}[answer[0][0][0]]
        same = " AND ".join(f"p.{n} IS NOT DISTINCT FROM {v}::{k}"
                            for v, (n, k) in zip(values, columns))
        listed = ", ".join("p." + n for n, _ in columns)
        for where in (holds, f"{holds} AND {same}"):
            sql = f"SELECT {listed} FROM {table} p WHERE {where}"
            found = self.kade.run(sql)
            if not found[1] and rows[0] not in found[0]:
                self.fail("pivot: the row is not found", sql, rows[0])

    def partition(self):
        from_, scope = self.maker.source(self.maker.random.randint(1, 2))
        condition = self.maker.condition(scope)
        columns = "count(*)" if self.maker.has_large else ", ".join(e for e, _ in scope)
        whole = self.kade.run(f"SELECT {columns} FROM {from_}")
        parts = [self.kade.run(f"SELECT {columns} FROM {from_} WHERE {p}") for p in
                 (condition, f"NOT ({condition})", f"({condition}) IS NULL")]
        flags = self.kade.run(f"SELECT f, count(*) FROM (SELECT ({condition}) AS f FROM {from_}) q "
                              "GROUP BY f")
        self.asked += 1
        if whole[1] or flags[1] or any(p[1] for p in parts):
            return
        sql = f"SELECT {columns} FROM {from_} WHERE {condition}"
        if self.maker.has_large:
            counts = [int(p[0][0][0]) for p in parts]
            split, passing = sum(counts) == int(whole[0][0][0]), counts[0]
        else:
            split = sorted(whole[0]) == sorted(row for p in parts for row in p[0])
            passing = len(parts[0][0])
        if not split:
            self.fail("TLP: the parts are not the whole", sql)
        if sum(int(n) for flag, n in flags[0] if flag in ("t", "true")) != passing:
            self.fail("NoREC: as many rows are true as pass", sql)

    def go(self, count):
        for statement in self.maker.schema():
            self.statements.append(statement)
            self.both(statement)
        for _ in range(count):
            self.maker.has_large = False
            what = self.maker.random.random()
            if what < 0.25:
                self.partition()
            elif what < 0.35:
                self.pivot()
            elif what < 0.38:
                if not self.change():
                    break
            elif what < 0.55:
                self.both(self.maker.ordered(), True)
            else:
                self.both(self.maker.whole())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=0, help="0: until all seeds are done")
    parser.add_argument("--library")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    if not os.path.exists(record_sql.BIN + "/initdb"):
        print("PostgreSQL 15 is not installed")
        return 77
    if options.library:
        os.environ["KADE_LIBRARY"] = options.library
    asked = failed = 0
    end = time.monotonic() + options.seconds if options.seconds else None
    with record_sql.Server() as server:
        for seed in range(options.seed, options.seed + options.seeds):
            if end is not None and time.monotonic() > end:
                break
            kade, postgres = Kade(), Postgres(server, f"random_{seed}")
            run = Run(seed, kade, postgres, options.verbose)
            run.go(options.count)
            asked += run.asked
            failed += len(run.failures)
            kade.close()
            postgres.close()
    print(f"{asked - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

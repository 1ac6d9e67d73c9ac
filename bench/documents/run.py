#!/usr/bin/env python3
"""Documents and their inverted indexes: KadeDB beside PostgreSQL 15 and, for scans, DuckDB.

A million orders of about 320 bytes are made in KadeDB, exported and loaded into the others. Told are
seconds of loading and of CREATE INDEX (jsonb_ops and jsonb_path_ops), bytes of the indexes, seconds for
single inserts with both indexes, and per query milliseconds with the indexes and without (KadeDB's clock is
CPU too). Answers must agree. PostgreSQL is left out where it is not installed, DuckDB where it cannot be.
"""
import argparse
import importlib.util
import json
import os
import pathlib
import shutil
import statistics
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE.parent))
from engines import Duck, Kade, duckdb_module, kade_module, timed, timed_cpu  # noqa: E402

MAKE = """INSERT INTO docs SELECT g, jsonb_build_object('id', g, 'user', 'user' || (g * 7919::bigint) % 100000,
 'country', (ARRAY['de','fr','us','uk','jp','br','in','cn','es','it'])[1 + g % 10],
 'status', (ARRAY['new','paid','sent','done'])[1 + (g / 10) % 4],
 'amount', round(((g * 37::bigint) % 100000) / 100.0, 2),
 'tags', jsonb_build_array('t' || g % 1000, 't' || (g * 31::bigint) % 1000, 't' || (g * 17::bigint) % 200),
 'address', jsonb_build_object('city', 'city' || (g * 13::bigint) % 5000,
  'zip', lpad(((g * 101::bigint) % 99999)::text, 5, '0'), 'lat', (g % 180) - 90.5),
 'flags', jsonb_build_object('active', g % 3 = 0, 'vip', g % 50 = 0),
 'note', 'order number ' || g || ' of the day, nothing else to say')
 FROM generate_series({first}, {last}) g"""

# Name, condition, and what DuckDB understands for the scan.
QUERIES = [
    ("one user", """doc @> '{"user": "user777"}'""", "doc->>'user' = 'user777'"),
    ("tag and status", """doc @> '{"tags": ["t77"], "status": "paid"}'""",
     """list_contains(from_json(doc->'tags', '["VARCHAR"]'), 't77') AND doc->>'status' = 'paid'"""),
    ("city and country", """doc @> '{"address": {"city": "city99"}, "country": "br"}'""",
     "doc->'address'->>'city' = 'city99' AND doc->>'country' = 'br'"),
    ("a tag", """doc @> '{"tags": ["t77"]}'""",
     """list_contains(from_json(doc->'tags', '["VARCHAR"]'), 't77')"""),
    ("two of a hundred", """doc @> '{"flags": {"vip": true}}'""", "doc->'flags'->>'vip' = 'true'"),
    ("jsonpath", """doc @@ '$.amount == 37.5 && $.country == "fr"'""",
     "(doc->>'amount')::decimal(9,2) = 37.5 AND doc->>'country' = 'fr'"),
    ("one of ten", """doc @> '{"country": "de"}'""", "doc->>'country' = 'de'"),
    ("no such key", "doc @@ 'exists($.nothing)'", "json_exists(doc, '$.nothing')"),
]


def recorder():
    spec = importlib.util.spec_from_file_location("record_sql", ROOT / "tools" / "record_sql.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Postgres:
    name = "PostgreSQL"

    def __init__(self, module):
        self.server = module.Server()
        self.server.__enter__()
        self.connection = module.Connection(self.server, "postgres")

    def execute(self, sql):
        rows, state, _, told = self.connection.run(sql)
        if state is not None:
            raise RuntimeError(told)
        return rows or []

    def size(self, index):
        return int(self.execute(f"SELECT pg_relation_size('{index}')")[0][0])

    def close(self):
        self.connection.close()
        self.server.__exit__(None, None, None)


def run_bytes(path):
    return sum(f.stat().st_size for f in (pathlib.Path(path) / "units").glob("*.run"))


def median_ms(action, rounds):
    return statistics.median(timed(action)[0] for _ in range(rounds)) * 1000


def answers(engine, rounds, conditions):
    result = {}
    for name, condition in conditions:
        sql = f"SELECT count(*) FROM docs WHERE {condition}"
        count = int(engine.execute(sql)[0][0])
        result[name] = (count, median_ms(lambda: engine.execute(sql), rounds))
    return result


def load_and_index(engine, size, arguments, told):
    own = [(name, condition) for name, condition, _ in QUERIES]
    told["scan"] = answers(engine, 1, own)
    for index, columns in (("docs_keys", "doc"), ("docs_paths", "doc jsonb_path_ops")):
        before = size(index) if engine.name == "KadeDB" else 0
        told[index + " s"] = timed(
            lambda: engine.execute(f"CREATE INDEX {index} ON docs USING gin ({columns})"))[0]
        if engine.name == "KadeDB":
            engine.execute("CHECKPOINT")
        told[index + " bytes"] = size(index) - before
    told["index"] = answers(engine, arguments.rounds, own)
    last = arguments.rows
    # PostgreSQL's server here runs without fsync; nobody waits for the disk.
    engine.execute("SET synchronous_commit = off")

    def inserts():
        for i in range(arguments.inserts):
            engine.execute(MAKE.format(first=last + 1 + i, last=last + 1 + i))
    told["inserts per s"] = arguments.inserts / timed(inserts)[0]


def run(work, arguments):
    told = {}
    kadedb = kade_module(arguments.build.resolve())
    kade = Kade(kadedb, work / "docs.kade")
    kade.execute("CREATE TABLE docs (id int PRIMARY KEY, doc jsonb)")
    seconds, _ = timed(lambda: kade.execute(MAKE.format(first=1, last=arguments.rows)))
    kade.execute("CHECKPOINT")
    file = work / "docs.csv"
    os.chmod(work, 0o755)
    kade.execute(f"COPY docs TO '{file}' (FORMAT csv, HEADER true)")
    told["KadeDB"] = {"load s": seconds}
    load_and_index(kade, lambda index: run_bytes(work / "docs.kade"), arguments, told["KadeDB"])
    if pathlib.Path("/usr/lib/postgresql/15/bin/initdb").exists():
        postgres = Postgres(recorder())
        try:
            postgres.execute("CREATE TABLE docs (id int PRIMARY KEY, doc jsonb)")
            os.chmod(file, 0o644)
            told["PostgreSQL"] = {"load s": timed(lambda: postgres.execute(
                f"COPY docs FROM '{file}' (FORMAT csv, HEADER true)"))[0]}
            postgres.execute("SET maintenance_work_mem = '512MB'")
            postgres.execute("VACUUM ANALYZE docs")
            load_and_index(postgres, postgres.size, arguments, told["PostgreSQL"])
        finally:
            postgres.close()
    duck = Duck(duckdb_module(arguments.build.resolve()), work / "docs.duck")
    duck.execute("CREATE TABLE docs (id int PRIMARY KEY, doc JSON)")
    told["DuckDB"] = {"load s": timed(lambda: duck.load("docs", file))[0]}
    told["DuckDB"]["scan"] = answers(duck, arguments.rounds, [(n, d) for n, _, d in QUERIES])
    return told


def report(told):
    for engine, figures in told.items():
        print(engine + ": " + ", ".join(f"{name} {value:.1f}" if isinstance(value, float)
                                        else f"{name} {value}" for name, value in figures.items()
                                        if not isinstance(value, dict)))
    wrong = 0
    kinds = [(engine, kind) for engine in told for kind in ("index", "scan") if kind in told[engine]]
    print("query".ljust(18) + "rows".rjust(8)
          + "".join(f"{engine} {kind}".rjust(18) for engine, kind in kinds))
    for name, _, _ in QUERIES:
        counts = {told[engine][kind][name][0] for engine, kind in kinds}
        wrong += len(counts) > 1
        print(name.ljust(18) + "/".join(str(c) for c in sorted(counts)).rjust(8)
              + "".join(f"{told[engine][kind][name][1]:15.2f} ms" for engine, kind in kinds))
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--rows", type=int, default=1000000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--inserts", type=int, default=2000)
    parser.add_argument("--json", type=pathlib.Path, help="the figures go here, too")
    arguments = parser.parse_args()
    work = pathlib.Path(tempfile.mkdtemp(prefix="kade-documents-"))
    try:
        told = run(work, arguments)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(told, indent=1))
    if report(told) > 0:
        print("answers differ")
        sys.exit(1)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Five analytical queries over nested documents: KadeDB's jsonb beside DuckDB's JSON.

A million orders (customer with address, totals, tags, one to five items) of about 600 bytes are made in
KadeDB from row numbers alone, exported and loaded into DuckDB. Per query told are the median milliseconds of
both with two threads and how often KadeDB's fit into DuckDB's. Answers must agree.
"""
import argparse
import json
import os
import pathlib
import shutil
import statistics
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from engines import Duck, Kade, duckdb_module, geomean, kade_module, timed  # noqa: E402

MAKE = """INSERT INTO orders SELECT g, jsonb_build_object('id', g,
 'status', (ARRAY['new','paid','sent','done','back'])[1 + (g * 7919::bigint) % 5],
 'customer', jsonb_build_object('id', (g * 7919::bigint) % 100000, 'name', 'customer ' || (g * 7919::bigint) % 100000,
  'tier', (ARRAY['gold','silver','bronze'])[1 + (g * 104729::bigint) % 3],
  'address', jsonb_build_object('country', (ARRAY['de','fr','us','uk','jp','br','in','cn','es','it'])[1 + (g * 31::bigint) % 10],
   'city', 'city' || (g * 13::bigint) % 5000, 'zip', lpad(((g * 101::bigint) % 99999)::text, 5, '0'))),
 'total', jsonb_build_object('net', round(((g * 37::bigint) % 100000) / 100.0, 2),
  'tax', round(((g * 41::bigint) % 10000) / 100.0, 2), 'currency', 'EUR'),
 'tags', jsonb_build_array('t' || g % 1000, 't' || (g * 31::bigint) % 1000, 't' || (g * 17::bigint) % 200),
 'items', (SELECT jsonb_agg(jsonb_build_object('sku', 'sku' || (g * n * 97::bigint) % 2000,
   'quantity', 1 + (g + n) % 9, 'price', round(((g * n * 53::bigint) % 20000) / 100.0, 2),
   'gift', (g + n) % 4 = 0)) FROM generate_series(1, 1 + g % 5) n),
 'note', 'order number ' || g || ' of the day, nothing else to say')
 FROM generate_series({first}, {last}) g"""

# Name, KadeDB's text, DuckDB's.
QUERIES = [
    ("filter on paths",
     """SELECT count(*) FROM orders WHERE doc->'customer'->>'tier' = 'gold'
         AND doc->'customer'->'address'->>'country' = 'de' AND doc->>'status' = 'paid'""",
     None),
    ("group by a path",
     """SELECT doc->'customer'->'address'->>'country', doc->>'status', count(*) FROM orders
         GROUP BY 1, 2 ORDER BY 1, 2""",
     None),
    ("sum of a number",
     """SELECT doc->>'status', sum((doc->'total'->>'net')::numeric(12,2)) FROM orders GROUP BY 1 ORDER BY 1""",
     None),
    ("containment",
     """SELECT count(*) FROM orders WHERE doc @> '{"tags": ["t77"], "customer": {"tier": "gold"}}'""",
     """SELECT count(*) FROM orders
         WHERE json_contains(doc, '{"tags": ["t77"], "customer": {"tier": "gold"}}')"""),
    ("items unnested",
     """SELECT i->>'sku', sum((i->>'quantity')::int) FROM orders, jsonb_array_elements(doc->'items') i
         WHERE doc->>'status' = 'sent' GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 10""",
     """SELECT i->>'sku', sum((i->>'quantity')::int) FROM
         (SELECT unnest(json_extract(doc, '$.items[*]')) AS i FROM orders WHERE doc->>'status' = 'sent')
         GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 10"""),
]


def plain(rows):
    return [tuple(float(v) if not isinstance(v, str) else v for v in row) for row in rows]


def measured(engine, queries, rounds):
    told = {}
    for name, sql in queries:
        rows = engine.execute(sql)
        told[name] = (plain(rows), statistics.median(
            timed(lambda: engine.execute(sql))[0] for _ in range(rounds)) * 1000)
    return told


def run(work, arguments):
    kade = Kade(kade_module(arguments.build.resolve()), work / "orders.kade")
    kade.execute("CREATE TABLE orders (id int PRIMARY KEY, doc jsonb)")
    for first in range(1, arguments.rows + 1, 100000):
        kade.execute(MAKE.format(first=first, last=min(first + 99999, arguments.rows)))
    kade.execute("CHECKPOINT")
    file = work / "orders.csv"
    os.chmod(work, 0o755)
    kade.execute(f"COPY orders TO '{file}' (FORMAT csv, HEADER true)")
    duck = Duck(duckdb_module(arguments.build.resolve()), work / "orders.duck")
    duck.execute("CREATE TABLE orders (id int PRIMARY KEY, doc JSON)")
    duck.load("orders", file)
    return {"KadeDB": measured(kade, [(n, k) for n, k, _ in QUERIES], arguments.rounds),
            "DuckDB": measured(duck, [(n, d or k) for n, k, d in QUERIES], arguments.rounds)}


def report(told):
    wrong, ratios = 0, []
    print("query".ljust(18) + "KadeDB ms".rjust(12) + "DuckDB ms".rjust(12) + "ratio".rjust(8))
    for name, _, _ in QUERIES:
        ours, theirs = told["KadeDB"][name], told["DuckDB"][name]
        differs = ours[0] != theirs[0]
        wrong += differs
        ratios.append(theirs[1] / ours[1])
        print(f"{name:18}{ours[1]:12.1f}{theirs[1]:12.1f}{ratios[-1]:8.2f}"
              + ("  answers differ" if differs else ""))
    print(f"geometric mean of the ratios: {geomean(ratios):.2f}")
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--rows", type=int, default=1000000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=pathlib.Path, help="the figures go here, too")
    arguments = parser.parse_args()
    work = pathlib.Path(tempfile.mkdtemp(prefix="kade-json-"))
    try:
        told = run(work, arguments)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    if arguments.json:
        arguments.json.write_text(json.dumps({e: {q: ms for q, (_, ms) in f.items()}
                                              for e, f in told.items()}, indent=1))
    sys.exit(1 if report(told) else 0)


if __name__ == "__main__":
    main()

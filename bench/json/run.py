#!/usr/bin/env python3
"""Five analytical queries over nested documents: KadeDB's jsonb beside DuckDB's JSON.

A million orders (customer with address, totals, tags, one to five items) of about 600 bytes are made in
KadeDB from row numbers alone, exported and loaded into DuckDB. Per query told are the median milliseconds of
both with two threads, by the clock and of the processors, and the ratios. Answers must agree.
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
from engines import Duck, Kade, duckdb_module, geomean, kade_module, timed_cpu  # noqa: E402

MAKE = """INSERT INTO orders SELECT g, jsonb_build_object('id', g,
 'status', (ARRAY['new','paid','sent','done','back'])[1 + (g * 7919::bigint) % 5],
 'customer', jsonb_build_object('id', (g * 7919::bigint) % 100000, 'name', 'customer ' || (g * 7919::bigint) % 100000,
  'tier', (ARRAY['gold','silver','bronze'])[1 + (g * 104729::bigint) % 3],
  'address', jsonb_build_object('country', (ARRAY['de','fr','us','uk','jp','br','in','cn','es','it'])[1 + (g * 31::bigint) % 10],
   'city', 'city' || (g * 13::bigint) % 5000, 'zip', lpad(((g * 101::bigint) % 99999)::text, 5, '0'))),
 'total', jsonb_build_object('net', round(((g * 37::bigint) % 100000) / 100.0, 2),
  'tax', round(((g * 41::bigint) % 10000) / 100.0, 2), 'currency', 'EUR'),
 'tags', jsonb_build_array('t' || g % 1000, 't' || (g * 31::bigint) % 1000, 't' || (g * 17::bigint) % 200),
 'items', CASE g % 5 {items} END,
 'note', 'order number ' || g || ' of the day, nothing else to say')
 FROM generate_series({first}, {last}) g"""

ITEM = """jsonb_build_object('sku', 'sku' || (g * {n} * 97::bigint) % 2000, 'quantity', 1 + (g + {n}) % 9,
 'price', round(((g * {n} * 53::bigint) % 20000) / 100.0, 2), 'gift', (g + {n}) % 4 = 0)"""
ITEMS = " ".join(f"WHEN {k} THEN jsonb_build_array({', '.join(ITEM.format(n=n + 1) for n in range(k + 1))})"
                 for k in range(5))

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


def load(work, arguments):
    kade = Kade(kade_module(arguments.build.resolve()), work / "orders.kade")
    kade.execute("CREATE TABLE orders (id int PRIMARY KEY, doc jsonb)")
    for first in range(1, arguments.rows + 1, 100000):
        kade.execute(MAKE.format(items=ITEMS, first=first, last=min(first + 99999, arguments.rows)))
    kade.execute("CHECKPOINT")
    file = work / "orders.csv"
    os.chmod(work, 0o755)
    kade.execute(f"COPY orders TO '{file}' (FORMAT csv, HEADER true)")
    duck = Duck(duckdb_module(arguments.build.resolve()), work / "orders.duck")
    duck.execute("CREATE TABLE orders (id int PRIMARY KEY, doc JSON)")
    duck.load("orders", file)
    return kade, duck


def run(work, arguments):
    """Per query: whether answers agree, then wall and CPU milliseconds of both, rounds turn about."""
    engines = load(work, arguments)
    told = {}
    for name, ours, theirs in QUERIES:
        texts = (ours, theirs or ours)
        answers = [plain(engine.execute(sql)) for engine, sql in zip(engines, texts)]
        times = [[timed_cpu(lambda: engine.execute(sql)) for engine, sql in zip(engines, texts)]
                 for _ in range(arguments.rounds)]
        told[name] = {"agree": answers[0] == answers[1]}
        for e, engine in enumerate(engines):
            for c, clock in enumerate(("wall", "cpu")):
                told[name][f"{engine.name} {clock}"] = statistics.median(
                    row[e][c] for row in times) * 1000
    return told


def report(told):
    columns = ("KadeDB wall", "DuckDB wall", "KadeDB cpu", "DuckDB cpu")
    print("query".ljust(18) + "".join(c.rjust(13) for c in columns) + "ratio".rjust(8) + "by cpu".rjust(8))
    ratios = {"wall": [], "cpu": []}
    for name, figures in told.items():
        for clock in ratios:
            ratios[clock].append(figures[f"DuckDB {clock}"] / figures[f"KadeDB {clock}"])
        print(name.ljust(18) + "".join(f"{figures[c]:13.1f}" for c in columns)
              + f"{ratios['wall'][-1]:8.2f}{ratios['cpu'][-1]:8.2f}"
              + ("" if figures["agree"] else "  answers differ"))
    print(f"geometric mean of the ratios: {geomean(ratios['wall']):.2f}, by CPU {geomean(ratios['cpu']):.2f}")
    return sum(not figures["agree"] for figures in told.values())


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
        arguments.json.write_text(json.dumps(told, indent=1))
    sys.exit(1 if report(told) else 0)


if __name__ == "__main__":
    main()

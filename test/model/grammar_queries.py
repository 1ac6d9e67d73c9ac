#!/usr/bin/env python3
"""Statements by the fuzzer's grammar, answered by KadeDB and by PostgreSQL 15.

    grammar_queries.py [--seed N] [--seeds N] [--count N] [--library libkade.so]

fuzz/statement.grammar writes statements of every kind; both systems must refuse the same ones and give
the same rows. What differs is told in groups by its errors, each with the shortest statement that shows
it. Statements that only KadeDB has (friendly forms, SQL/JSON beyond PostgreSQL 15) are left out by
PostgreSQL's syntax errors. Without PostgreSQL 15 the exit code is 77: skipped.
"""
import argparse
import os
import random
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from random_queries import FRAGILE as FRAGILE_QUERIES, TREE, Kade, Postgres  # noqa: E402
import record_sql  # noqa: E402

DEPTH = 9
FRAGILE = FRAGILE_QUERIES | {"22023"}
# Answers that are the system's own, or the moment's.
OPEN = re.compile(r"now\(|current_|nextval|SAMPLE|LIMIT|OFFSET|FETCH|pg_|EXPLAIN|SHOW|COPY|mode\(|"
                  r"DISTINCT ON|kade|work_mem|CHECKPOINT|VACUUM|search_path|TimeZone|ctid", re.I)


class Grammar:
    def __init__(self, path):
        self.rules = {}
        name = None
        with open(path) as lines:
            for line in lines:
                if line.startswith("#") or not line.strip():
                    continue
                if line[0] == " ":
                    self.rules[name].append(line.split())
                else:
                    name = line.strip()
                    self.rules[name] = []
        self.heights = {rule: 1000 for rule in self.rules}
        changed = True
        while changed:
            changed = False
            for rule, ways in self.rules.items():
                lowest = min(self.height(way) for way in ways)
                if lowest < self.heights[rule]:
                    self.heights[rule], changed = lowest, True

    @staticmethod
    def reference(part):
        found = re.fullmatch(r"(\??)<([a-z][a-z_]*)>", part)
        return (found[2], bool(found[1])) if found else (None, False)

    def height(self, way):
        needed = [self.reference(part) for part in way]
        return max([self.heights[r] + 1 for r, optional in needed if r and not optional], default=0)

    def write(self, rule, source, depth, out):
        ways = self.rules[rule]
        must_end = depth > DEPTH
        way = min(ways, key=self.height) if must_end else source.choice(ways)
        for part in way:
            name, optional = self.reference(part)
            if name is None:
                out.append(part)
            elif not optional or (not must_end and source.random() < 0.33):
                self.write(name, source, depth + 1, out)

    def statement(self, source):
        out = []
        self.write(source.choice(["query", "query", "query", "change", "definition", "transaction",
                                  "other"]), source, 0, out)
        return " ".join(out)


class Findings:
    def __init__(self):
        self.groups = {}

    def add(self, kind, sql, *answers):
        group = self.groups.setdefault(kind, [0, sql, answers])
        group[0] += 1
        if len(sql) < len(group[1]):
            group[1:] = [sql, answers]

    def tell(self):
        for kind, (count, sql, answers) in sorted(self.groups.items(), key=lambda it: -it[1][0]):
            print(f"-- {count} times: {kind}\n{sql};")
            for answer in answers:
                print(f"--   {str(answer)[:300]}")


def alike(ours, theirs):
    return sorted(map(str, ours or [])) == sorted(map(str, theirs or []))


def general(message):
    return re.sub(r'"[^"]*"|\d+', "?", message)[:90]


def compare(sql, kade, postgres, findings):
    """False where the two have parted, so that what follows means nothing."""
    ours, theirs = kade.run(sql), postgres.run(sql)
    if ours[1] in ("XX000", "XX001"):
        findings.add(f"internal error {ours[2]}", sql)
        return False
    if ours[1] and theirs[1]:
        return True
    if ours[1] or theirs[1]:
        if not {ours[1], theirs[1]} & (FRAGILE | {"42601"} if theirs[1] else FRAGILE):
            who = f"KadeDB {ours[1]} {general(ours[2])}" if ours[1] else \
                f"PostgreSQL {theirs[1]} {general(theirs[2])}"
            findings.add(f"only {who}", sql)
        return False
    if not OPEN.search(sql) and not alike(ours[0], theirs[0]):
        findings.add("rows differ: " + " ".join(sql.split()[:3]), sql, sorted(map(str, ours[0] or [])),
                     sorted(map(str, theirs[0] or [])))
        return False
    return True


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--library")
    options = parser.parse_args()
    if not os.path.exists(record_sql.BIN + "/initdb"):
        print("PostgreSQL 15 is not installed")
        return 77
    grammar = Grammar(os.path.join(TREE, "fuzz", "statement.grammar"))
    findings, asked = Findings(), 0
    with record_sql.Server() as server:
        for seed in range(options.seed, options.seed + options.seeds):
            source = random.Random(seed)
            kade, postgres = Kade(), Postgres(server, f"grammar_{seed}")
            for way in grammar.rules["beginning"]:
                compare(" ".join(way), kade, postgres, findings)
            for _ in range(options.count):
                sql = grammar.statement(source)
                if "COPY" in sql:
                    continue
                asked += 1
                changes = not sql.startswith(("SELECT", "(", "VALUES", "TABLE"))
                if not compare(sql, kade, postgres, findings) and changes:
                    break
            kade.close()
            postgres.close()
    findings.tell()
    failed = sum(it[0] for it in findings.groups.values())
    print(f"{asked - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

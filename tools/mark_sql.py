#!/usr/bin/env python3
"""Marks the SQL records that KadeDB does not answer as recorded, so that new failures stand out.

    tools/mark_sql.py RUN_SQL [FILE.test ...]      (all files: none named)

Every "# fails: ..." mark with its "skipif kade" is taken away, the files are run in the three modes,
and what fails is marked again with what KadeDB said. Marks that a person wrote ("# differs: why")
stay. A mark is a debt: fix the cause, run this again, and it goes.
"""
import glob
import os
import re
import subprocess
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "test", "sql")
MODES = ("delta", "always", "mixed")


def first_failure(runner, path):
    """(line number, report) of the first record that fails in some mode, or None."""
    first = None
    for mode in MODES:
        ran = subprocess.run([runner, "--mode", mode, "--show", "1", path],
                             stdout=subprocess.PIPE, check=False)
        if ran.returncode not in (0, 1):
            raise SystemExit(f"{path}: run_sql ended with {ran.returncode} in mode {mode}")
        found = re.search(r"^.*?:(\d+): \[\w+\] (.*)", ran.stdout.decode(errors="replace"), re.M)
        if found and (first is None or int(found[1]) < first[0]):
            first = int(found[1]), found[2]
    return first


def unmark(lines):
    kept, mark = [], False
    for line in lines:
        if line.startswith("# fails: "):
            mark = True
        elif not (mark and line == "skipif kade"):
            kept.append(line)
            mark = False
    return kept


def main():
    runner, files = sys.argv[1], sys.argv[2:] or sorted(glob.glob(ROOT + "/*/*.test"))
    total = 0
    for path in files:
        with open(path, encoding="utf-8") as file:
            lines = unmark(file.read().split("\n"))
        count = 0
        while True:
            with open(path, "w", encoding="utf-8") as file:
                file.write("\n".join(lines))
            failure = first_failure(runner, path)
            if failure is None:
                break
            at = failure[0] - 1
            lines[at:at] = ["# fails: " + failure[1][:140], "skipif kade"]
            count += 1
        total += count
        if count:
            print(f"{os.path.relpath(path, ROOT)}: {count} marked")
    print(f"{total} marked")


if __name__ == "__main__":
    main()

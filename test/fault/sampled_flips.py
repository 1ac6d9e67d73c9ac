#!/usr/bin/env python3
"""Bytes that flip anywhere in the segments and index runs of a large database: kade check names each with
its file and place. (Every byte of all kinds of files: bit_flips.c, in a small one.)

usage: sampled_flips.py KADE [FLIPS [MEGABYTES [SEED]]]

Flips are put in by the thousand, at most one in a block (blocks are smaller than STRIPE; of two neighbouring
stripes one is left alone), the check is asked, and they are taken back. A flip is found when a finding
has its file and, where the finding has a place, its byte. One beside a damaged footer, without which nobody
knows the file's blocks, is not counted. What is not found has to be space that nobody reads: then the
check's other findings, and every answer, are as before. Standard library only.
"""
import json
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile

KADE = sys.argv[1]
FLIPS, MEGABYTES, SEED = [int(text) for text in sys.argv[2:]] + [300, 12, 1][len(sys.argv) - 2:]
STRIPE = 200 << 10
COLUMNS = 16  # Of 8 random bytes: a row takes 128 bytes, a block 16,384 of one column.
QUESTION = "SELECT count(*), sum(id), sum(x1)::numeric(30,6), min(x7), max(x15) FROM t"


def kade(*arguments):
    done = subprocess.run([KADE, *arguments], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def database_make(path):
    rows = (MEGABYTES << 20) // (COLUMNS * 8 + 8)
    columns = ", ".join(f"random() AS x{i}" for i in range(COLUMNS))
    code, _, err = kade(path, "-c", f"CREATE TABLE t AS SELECT g::bigint * 7919 % 1000003 AS id, {columns} "
                                    f"FROM generate_series(1, {rows}) g; CREATE INDEX ON t (x0); "
                                    "VACUUM; CHECKPOINT")
    assert code == 0, err
    code, out, err = kade("check", path)
    assert (code, out) == (0, "no damage found\n"), (out, err)


def files_of(path):
    return sorted(file for file in pathlib.Path(path, "units").iterdir() if file.suffix in (".seg", ".run"))


def places(path, stripes):
    """At most one in a stripe of every other stripe of every file."""
    phase = stripes.randrange(2) * STRIPE
    for file in files_of(path):
        size = file.stat().st_size
        for begin in range(phase, size, 2 * STRIPE):
            offset = begin + stripes.randrange(STRIPE)  # So that small files are met as seldom as they are small.
            if offset < size:
                yield file, offset


def flip(flips):
    for file, offset in flips:
        with file.open("r+b") as opened:
            opened.seek(offset)
            byte = opened.read(1)[0]
            opened.seek(offset)
            opened.write(bytes([byte ^ 1 << offset % 8]))


def is_block(finding):
    return finding["size_bytes"] is not None


def is_at(finding, offset):
    return is_block(finding) and finding["file_offset"] <= offset < finding["file_offset"] + finding["size_bytes"]


def batch_try(path, answer, flips):
    """How many were found, how many lie in space that nobody reads, how many cannot be told."""
    flip(flips)
    try:
        code, out, err = kade("check", path, "--json")
        assert code in (0, 1), err
        findings = [finding for finding in json.loads(out or "[]") if finding["severity"] == "damage"]
        by_file = {file.name: [] for file in files_of(path)}
        for finding in findings:
            # A run without its footer has no place.
            name = pathlib.Path(finding["file"] or re.search(r"[\w-]+\.run|$", finding["problem"])[0]).name
            by_file.setdefault(name, []).append(finding)
        found, lost, hidden = 0, [], 0
        for file, offset in flips:
            of_file = by_file[file.name]
            if any(is_at(finding, offset) for finding in of_file):
                found += 1
            elif any(finding["first_row"] is None and not is_block(finding) for finding in of_file):
                hidden += 1
            else:
                lost.append((file, offset))
    finally:
        flip(flips)
    if lost:
        flip(lost)
        try:
            assert kade("check", path)[0] == 0, f"damage alone, and not told among others: {lost}"
            assert kade(path, "--csv", "-c", QUESTION)[1] == answer, f"another answer with {lost}"
        finally:
            flip(lost)
    return found, len(lost), hidden


def main():
    stripes = random.Random(SEED)
    folder = tempfile.mkdtemp(prefix="kade-flips-")
    path = folder + "/db"
    found = idle = hidden = 0
    try:
        database_make(path)
        answer = kade(path, "--csv", "-c", QUESTION)[1]
        size = sum(file.stat().st_size for file in files_of(path))
        while found + idle < FLIPS:
            flips = list(places(path, stripes))
            stripes.shuffle(flips)
            of_batch = batch_try(path, answer, flips[:FLIPS - found - idle])
            found, idle, hidden = found + of_batch[0], idle + of_batch[1], hidden + of_batch[2]
            print(f"{found + idle} flips, {found} named", flush=True)
        assert found > 0
        assert kade("check", path)[0] == 0
        print(f"{found + idle} flips in {size >> 20} MiB of segments and index runs (seed {SEED}): {found} named with file and "
              f"place, {idle} in space that nobody reads, which changed no answer; {hidden} more in files with a damaged footer")
        print("1 passed, 0 failed")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

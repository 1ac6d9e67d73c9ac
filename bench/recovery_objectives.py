#!/usr/bin/env python3
"""How much a lost machine costs: seconds of acknowledged commits, and seconds until it is back.

usage: recovery_objectives.py KADE TARGET [ROUNDS [MEGABYTES]]

TARGET is a new directory of backups, or s3://bucket/prefix?endpoint=... with the keys in AWS_*.
A writer commits one row after the other beside the archive, and is killed (SIGKILL) with the database;
only the archive is left. Lost is what was acknowledged and is not in the restored database, as the
time between the last commit that is there and the kill. Then the same for a database of so many MB, for
the time of the restore and of the first query.
"""
import os
import statistics
import subprocess
import sys
import tempfile
import time


def run(*arguments):
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{arguments}: {done.stderr}")
    return done.stdout.strip()


def value(kade, path, sql):
    return run(kade, path, "--csv", "--no-header", "-c", sql)


def restored(kade, target, path):
    """The latest that there is, also when the kill cut off a piece."""
    done = subprocess.run([kade, "restore", target, path], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return
    position = done.stderr.split("ends at position ")[1].split(".")[0]
    run(kade, "restore", target, path, "--to-position", position)


def lost_seconds(kade, target, path, other, base):
    writer = subprocess.Popen([kade, path, "--csv", "--no-header"], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True)
    when, number, end = {}, base, time.monotonic() + 3
    while time.monotonic() < end:
        number += 1
        writer.stdin.write(f"INSERT INTO t VALUES ({number}); SELECT 'y';\n")
        writer.stdin.flush()
        assert writer.stdout.readline() == "y\n"
        when[number] = time.monotonic()
    writer.kill()
    killed = time.monotonic()
    writer.wait()
    restored(kade, target, other)
    last = int(value(kade, other, "SELECT max(a) FROM t"))
    return killed - when[last] if last in when else killed - min(when.values()), number - last


def main():
    kade, target = sys.argv[1:3]
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 5
    megabytes = int(sys.argv[4]) if len(sys.argv) > 4 else 300
    with tempfile.TemporaryDirectory(prefix="kade-objectives-") as place:
        path = os.path.join(place, "shop")
        value(kade, path, "CREATE TABLE t (a int PRIMARY KEY)")
        run(kade, "archive", path, target)
        lost = [lost_seconds(kade, target, path, f"{path}.{number}", number * 1000000)
                for number in range(rounds)]
        print("lost seconds:", " ".join(f"{seconds:.3f}" for seconds, _ in lost),
              f"(median {statistics.median(s for s, _ in lost):.3f}); commits:",
              " ".join(str(commits) for _, commits in lost))
        rows = megabytes * 1000000 // 100
        value(kade, path, "CREATE TABLE big AS SELECT g, md5(g::text) || md5((g + 1)::text) || "
                          f"md5((g * 7)::text) AS s FROM generate_series(1, {rows}) g")
        size = int(run("du", "-sm", path).split()[0])
        begun = time.monotonic()
        restored(kade, target, path + ".back")
        done = time.monotonic()
        assert int(value(kade, path + ".back", "SELECT count(*) FROM big")) == rows
        print(f"restore of {size} MB: {done - begun:.1f} s, to the first answer "
              f"{time.monotonic() - begun:.1f} s")


if __name__ == "__main__":
    main()

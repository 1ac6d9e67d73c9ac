#!/usr/bin/env python3
"""Runs every benchmark program of a build folder and prints its figures.

A benchmark is an executable bench_* under build/<preset>/bench; it prints one line per figure and exits
non-zero when its answer is wrong. Python benchmarks against peers lie in bench/*/run.py. Each line
is also appended to bench/results/<host>.csv with the commit. Standard library only.
"""
import argparse
import datetime
import os
import pathlib
import platform
import subprocess
import sys


def commit():
    answer = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    return answer.stdout.strip() or "unknown"


def find(build, pattern):
    programs = [path for path in sorted(build.glob("bench/**/bench_*"))
                if path.is_file() and os.access(path, os.X_OK)]
    scripts = sorted(pathlib.Path("bench").glob("*/run.py"))
    commands = [[str(path)] for path in programs]
    commands += [[sys.executable, str(path), "--build", str(build)] for path in scripts]
    return [command for command in commands if pattern in " ".join(command)]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--only", default="", help="only benchmarks whose path contains this")
    arguments = parser.parse_args()
    results = pathlib.Path("bench/results")
    results.mkdir(parents=True, exist_ok=True)
    stamp = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    failures = 0
    with (results / f"{platform.node()}.csv").open("a", encoding="utf-8") as log:
        for command in find(arguments.build, arguments.only):
            name = pathlib.Path(command[1] if len(command) > 1 else command[0])
            print(f"== {name}", flush=True)
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
            print(done.stdout, end="", flush=True)
            if done.returncode == 77:
                continue
            if done.returncode != 0:
                failures += 1
                print(f"FAIL {name}: exit code {done.returncode}", flush=True)
                continue
            for line in done.stdout.splitlines():
                log.write(f"{stamp},{commit()},{name.name},\"{line}\"\n")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

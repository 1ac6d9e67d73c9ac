#!/usr/bin/env python3
"""Runs every libFuzzer target of a build folder for some seconds on its corpus.

A target is an executable fuzz_* under build/fuzz/fuzz; its seeds lie in fuzz/corpus/<name>, what it
finds goes to build/fuzz/found/<name>. fuzz/<name>.dict, where there is one, holds words to try. Each
target's line says how many inputs it ran. The last line is the totals. Standard library only.
"""
import argparse
import os
import pathlib
import subprocess
import sys


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    passed = failed = 0
    for program in sorted(arguments.build.glob("fuzz/fuzz_*")):
        if not os.access(program, os.X_OK) or not program.is_file():
            continue
        name = program.name.removeprefix("fuzz_")
        if arguments.only not in name:
            continue
        found = arguments.build / "found" / name
        found.mkdir(parents=True, exist_ok=True)
        seeds = pathlib.Path("fuzz/corpus") / name
        command = [str(program), f"-max_total_time={arguments.seconds}", "-timeout=5",
                   "-rss_limit_mb=2048", f"-artifact_prefix={found}/", str(found)]
        if seeds.is_dir():
            command.append(str(seeds))
        words = pathlib.Path("fuzz") / f"{name}.dict"
        if words.is_file():
            command.append(f"-dict={words}")
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              errors="replace")
        lines = done.stdout.splitlines()
        if done.returncode == 0:
            passed += 1
            print(f"ok   {name}: {next((l for l in reversed(lines) if l.startswith('Done')), '')}",
                  flush=True)
        else:
            failed += 1
            print(f"FAIL {name}", flush=True)
            print("\n".join(lines[-60:]), flush=True)
    print(f"{passed} passed, {failed} failed, 0 skipped", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

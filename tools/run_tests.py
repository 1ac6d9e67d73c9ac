#!/usr/bin/env python3
"""Runs every test that CMake knows in one or several build folders.

Each test has a time limit; a failing test's output is shown at once. A test program may print
its own totals ("N passed, N failed, N skipped") as its last line, which are then added up; any other
counts as one test by its exit code (77: skipped). Unit tests run in every folder given; tests of other
labels run only in the first one that is no sanitizer build, because they run the real program at
length. The last line printed is the sum. Standard library only.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

TOTALS = re.compile(r"^(\d+) passed, (\d+) failed, (\d+) skipped$")
SKIP_CODE = 77
# Tests are labelled unit, sql, shell, server, fault, crash, sim, model, compat, bench, suite, slow.
CHECK_LABELS = {"unit"}
SLOW_LABEL = "slow"
TIMEOUT_S = {"check": 50, "test": 600, "all": 7200}
# Instrumented code runs so much slower.
SANITIZED_TIMES = 6


class Test:
    def __init__(self, build, entry):
        self.build = build
        self.name = entry["name"]
        self.command = entry.get("command", [])
        properties = {p["name"]: p["value"] for p in entry.get("properties", [])}
        self.labels = set(properties.get("LABELS", []))
        self.directory = properties.get("WORKING_DIRECTORY", str(build))
        self.timeout_s = float(properties.get("TIMEOUT", 0))
        self.environment = dict(line.split("=", 1) for line in properties.get("ENVIRONMENT", []))

    def title(self):
        return f"{self.build.name}/{self.name}"


class Outcome:
    def __init__(self, test):
        self.test = test
        self.passed = self.failed = self.skipped = 0
        self.seconds = 0.0
        self.output = ""
        self.reason = ""


def load_tests(build):
    answer = subprocess.run(["ctest", "--test-dir", str(build), "--show-only=json-v1"],
                            capture_output=True, text=True, check=True)
    return [Test(build, entry) for entry in json.loads(answer.stdout)["tests"]]


def is_sanitized(build):
    for line in (build / "CMakeCache.txt").read_text().splitlines():
        if line.startswith("KD_SANITIZE:"):
            return line.partition("=")[2] != ""
    return False


def choose(arguments):
    chosen = []
    long_runs_build = next((b for b in arguments.build if not is_sanitized(b)),
                           arguments.build[0])
    for build in arguments.build:
        for test in load_tests(build):
            if not test.command:
                continue
            if arguments.label and arguments.label not in test.labels:
                continue
            if arguments.tier == "check" and not test.labels & CHECK_LABELS:
                continue
            if arguments.tier != "all" and SLOW_LABEL in test.labels:
                continue
            if "unit" not in test.labels and build != long_runs_build:
                continue
            # A build without sanitizers beside one with them adds nothing to a unit test.
            if ("unit" in test.labels and not is_sanitized(build)
                    and any(is_sanitized(other) for other in arguments.build)):
                continue
            if arguments.filter and not re.search(arguments.filter, test.name):
                continue
            chosen.append(test)
    return chosen


def run(test, arguments):
    outcome = Outcome(test)
    limit = test.timeout_s or TIMEOUT_S[arguments.tier]
    if arguments.tier != "check" and is_sanitized(test.build):
        limit *= SANITIZED_TIMES
    scratch = tempfile.mkdtemp(prefix="kade-test-")
    environment = dict(os.environ, KADE_TEST_TIER=arguments.tier, KADE_TEST_SCRATCH=scratch,
                       KADE_TEST_SEEDS=str(arguments.seeds), **test.environment)
    environment.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
    begin = time.monotonic()
    try:
        done = subprocess.run(test.command, cwd=test.directory, env=environment, timeout=limit,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
        code, text = done.returncode, done.stdout.decode("utf-8", "replace")
    except subprocess.TimeoutExpired as late:
        code, text = -1, (late.stdout or b"").decode("utf-8", "replace")
        outcome.reason = f"ran past its limit of {limit:.0f} s"
    except OSError as error:
        code, text = -1, f"{error}\n"
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    outcome.seconds = time.monotonic() - begin
    outcome.output = text
    lines = text.rstrip().splitlines()
    totals = TOTALS.match(lines[-1].strip()) if lines else None
    if totals is not None:
        outcome.passed, outcome.failed, outcome.skipped = map(int, totals.groups())
        if code not in (0, SKIP_CODE) and outcome.failed == 0:
            outcome.failed = 1
    elif code == SKIP_CODE:
        outcome.skipped = 1
        outcome.reason = lines[-1] if lines else "skipped"
    elif code == 0:
        outcome.passed = 1
    else:
        outcome.failed = 1
    if outcome.failed and not outcome.reason:
        outcome.reason = f"exit code {code}"
    return outcome


def show(outcome):
    word = "FAIL" if outcome.failed else "skip" if not outcome.passed and outcome.skipped else "ok"
    count = f"{outcome.passed}/{outcome.passed + outcome.failed}"
    print(f"{word:4} {outcome.test.title():40} {count:>9} {outcome.seconds:7.1f} s"
          f"{'  ' + outcome.reason if outcome.reason else ''}", flush=True)
    if outcome.failed:
        print("".join(f"     | {line}\n" for line in outcome.output.splitlines()[-200:]), end="",
              flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", action="append", type=pathlib.Path, required=True)
    parser.add_argument("--tier", choices=["check", "test", "all"], default="test")
    parser.add_argument("--label", help="only tests with this label")
    parser.add_argument("--filter", help="only tests whose name matches this pattern")
    parser.add_argument("--seeds", type=int, default=200, help="for simulations (KADE_TEST_SEEDS)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    arguments = parser.parse_args()

    passed = failed = skipped = 0
    tests = choose(arguments)
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        futures = [pool.submit(run, test, arguments) for test in tests]
        for future in concurrent.futures.as_completed(futures):
            outcome = future.result()
            show(outcome)
            passed += outcome.passed
            failed += outcome.failed
            skipped += outcome.skipped
    print(f"{passed} passed, {failed} failed, {skipped} skipped", flush=True)
    return 1 if failed or not tests else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Do the tests notice? Faults are put into a copy of the sources, one at a time, and tests run on each.

    mutants.py --planted                  the faults of planted.py; every one has to be found
    mutants.py --mutants 50 --seed 1      so many by rule (generate.py), drawn by the seed

The copy and its one build folder are build/mutants/; only what a fault touches is built again. Tests run
in order of their cost, two at a time, and end with the first that fails: that one has found the fault. A
test that takes several times as long as without a fault has found it too. A mutant whose object file is
byte for byte that of the unchanged source is no mutant; one that does not compile is drawn anew.

The last line of a run is its figure. Exit code 1: a planted fault was missed, or fewer mutants than
--goal percent were found. Standard library only.
"""
import argparse
import dataclasses
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

import generate
import planted

ROOT = pathlib.Path(__file__).resolve().parents[2]
WORK = ROOT / "build" / "mutants"
TREE = WORK / "tree"
BUILD = WORK / "build"
COPIED = ["CMakeLists.txt", "cmake", "data", "include", "src", "test"]

# The code that must not fail unnoticed, by what it does.
AREAS = {
    "log": ["src/wal/*.c"],
    "recovery": ["src/table/recovery.c", "src/table/checkpoint.c", "src/table/delta_image.c",
                 "src/store/root.c"],
    "visibility": ["src/table/row_place.c", "src/table/row_write.c", "src/table/unique.c",
                   "src/table/write_set.c", "src/table/version_chain.c", "src/table/delete_marks.c",
                   "src/txn/*.c"],
    "compaction": ["src/table/compaction.c", "src/table/flush.c", "src/table/row_move.c",
                   "src/table/segment_build.c", "src/index/index_checkpoint.c"],
    "backup": ["src/backup/*.c"],
}


@dataclasses.dataclass(frozen=True)
class Suite:
    name: str
    program: str  # Below test/ in the build folder; its last part is the target.
    arguments: tuple = ()
    seeds: int = 0  # KADE_TEST_SEEDS; 0: the program's own choice.

    def target(self):
        return self.program.rsplit("/", 1)[1]


def sql(folder):
    return Suite(f"sql_{folder}", "sql/run_sql", ("--mode", "mixed", f"test/sql/{folder}/*.test"))


def unit(module):
    return Suite(f"unit_{module}", f"unit/{module}/test_{module}")


SIM_STORAGE = Suite("sim_storage", "sim/sim_storage", seeds=60)
SIM_ENGINE = Suite("sim_engine", "sim/sim_engine", seeds=100)
CRASH_STATES = Suite("crash_states", "sim/crash_states")
SIM_KEYS = Suite("sim_keys", "sim/sim_keys", seeds=200)
ISOLATION = Suite("isolation", "isolation/run_isolation", ("test/isolation/*.spec",))
HISTORIES = Suite("histories", "isolation/run_histories", seeds=200)
FILE_SWEEP = Suite("file_sweep", "fault/file_sweep")
SPOILED_WRITES = Suite("spoiled_writes", "fault/spoiled_writes")
BIT_FLIPS = Suite("bit_flips", "fault/bit_flips")
DAMAGED_FILES = Suite("damaged_files", "fault/damaged_files")
KILL_STORAGE = Suite("kill_storage", "crash/kill_storage")

# In order of cost, by module.
STORAGE = (SIM_STORAGE, sql("dml"), sql("transactions"), ISOLATION, HISTORIES, SPOILED_WRITES, SIM_KEYS,
           CRASH_STATES, SIM_ENGINE, FILE_SWEEP, DAMAGED_FILES)
SUITES = {
    "wal": (unit("wal"), SIM_STORAGE, SPOILED_WRITES, CRASH_STATES, FILE_SWEEP, SIM_ENGINE, KILL_STORAGE,
            unit("backup")),
    "txn": (unit("txn"), *STORAGE, unit("table")),
    "table": (*STORAGE, unit("table"), BIT_FLIPS),
    "store": (unit("store"), *STORAGE, BIT_FLIPS),
    "index": (unit("index"), *STORAGE, unit("table"), BIT_FLIPS),
    "backup": (unit("backup"),),
    "engine": (sql("dml"), sql("ddl"), sql("transactions"), ISOLATION, SIM_KEYS, SIM_ENGINE),
}


def module_of(path):
    return path.split("/")[1]


# --- The copy ---------------------------------------------------------------------------------------


def copy_tree():
    """Brings the copy up to date; what did not change keeps its time, so it is not built again."""
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *COPIED], cwd=ROOT, capture_output=True, check=True)
    wanted = {name for name in listed.stdout.decode().split("\0") if name}
    for name in wanted:
        source, target = ROOT / name, TREE / name
        if not source.is_file():
            continue
        if target.is_file() and target.read_bytes() == source.read_bytes():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        shutil.copymode(source, target)
    for target in TREE.rglob("*"):
        if target.is_file() and str(target.relative_to(TREE)) not in wanted:
            target.unlink()


def configure():
    # Release as it is shipped (assert() is off, kd_assert() on), but quicker to build. A mutant may
    # leave something unused.
    subprocess.run(["cmake", "-S", str(TREE), "-B", str(BUILD), "-G", "Ninja", "-DKD_WERROR=OFF",
                    "-DCMAKE_BUILD_TYPE=Release", "-DCMAKE_C_FLAGS_RELEASE=-O1 -DNDEBUG"],
                   check=True, stdout=subprocess.DEVNULL)


def ninja(targets, jobs):
    done = subprocess.run(["ninja", "-C", str(BUILD), f"-j{jobs}", *sorted(targets)],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    return done.returncode == 0, done.stdout


def object_of(path):
    directory, _, name = path.rpartition("/")
    return f"{directory}/CMakeFiles/kd_{module_of(path)}.dir/{name}.o"


# --- Running tests ----------------------------------------------------------------------------------


class Running:
    """One suite's process and what it prints, until it ends, fails, or is stopped."""

    def __init__(self, suite):
        self.suite = suite
        self.scratch = tempfile.mkdtemp(prefix="kade-mutant-")
        environment = dict(os.environ, KD_TEST_DIRECTORY=self.scratch, KADE_TEST_SCRATCH=self.scratch,
                           TMPDIR=self.scratch)
        environment.pop("KADE_TEST_SEEDS", None)
        if suite.seeds:
            environment["KADE_TEST_SEEDS"] = str(suite.seeds)
        arguments = []
        for word in suite.arguments:
            arguments += sorted(str(p) for p in TREE.glob(word)) if "*" in word else [word]
        self.begin = time.monotonic()
        self.lines = []
        self.has_failed = False
        self.process = subprocess.Popen([str(BUILD / "test" / suite.program), *arguments],
                                        cwd=self.scratch, env=environment, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                        errors="replace", start_new_session=True)
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip())
            if line.startswith("FAILED "):
                self.has_failed = True
                self.stop()

    def stop(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)  # A session of our own; its children die with it.
        except ProcessLookupError:
            pass

    def seconds(self):
        return time.monotonic() - self.begin

    def end(self):
        self.process.wait()
        self.reader.join()
        shutil.rmtree(self.scratch, ignore_errors=True)
        return not self.has_failed and self.process.returncode == 0

    def reason(self):
        told = [line.strip() for line in self.lines if re.search(r"\w+\.[ch]:\d+: |ended by signal|timed out|"
                                                                r"^FAIL|Assert|assert|not ok", line)]
        return (told or self.lines[-1:] or [f"exit code {self.process.returncode}"])[0][:160]


@dataclasses.dataclass
class Finding:
    suite: str
    seconds: float
    reason: str


def run_suites(suites, limits, jobs):
    """The first suite that fails, or None."""
    waiting = list(suites)
    running = []
    found = None
    begin = time.monotonic()
    while (waiting or running) and found is None:
        while waiting and len(running) < jobs:
            running.append(Running(waiting.pop(0)))
        time.sleep(0.02)
        for one in list(running):
            is_late = one.seconds() > limits[one.suite.name]
            if is_late:
                one.stop()
            elif one.process.poll() is None and not one.has_failed:
                continue
            running.remove(one)
            is_good = one.end()
            if found is None and (is_late or not is_good):
                reason = f"ran past {limits[one.suite.name]:.0f} s" if is_late else one.reason()
                found = Finding(one.suite.name, time.monotonic() - begin, reason)
    for one in running:
        one.stop()
        one.end()
    return found


def measure(suites, arguments):
    """Every suite once without a fault: it must pass, and says how long it may take with one."""
    limits = {}
    for suite in suites:
        one = Running(suite)
        if not one.end():
            sys.exit(f"{suite.name} fails without a fault: {one.reason()}\n" + "\n".join(one.lines[-20:]))
        limits[suite.name] = one.seconds() * arguments.patience + 20
        print(f"without a fault: {suite.name} {one.seconds():.1f} s", flush=True)
    return limits


# --- One fault after the other ----------------------------------------------------------------------


@dataclasses.dataclass
class Outcome:
    kind: str  # found, missed, same, broken
    finding: Finding = None
    output: str = ""


def suites_of(path):
    return [s for s in SUITES[module_of(path)] if (BUILD / "test" / s.program).is_file()]


def try_text(path, text, arguments, limits):
    """The tests on the copy with another text in one file."""
    target = TREE / path
    original = target.read_text()
    suites = suites_of(path)
    compiled = BUILD / object_of(path) if path.endswith(".c") else None
    before = compiled.read_bytes() if compiled else b""
    try:
        target.write_text(text)
        if compiled:
            is_built, output = ninja([object_of(path)], arguments.jobs)
            if not is_built:
                return Outcome("broken", output=output)
            if compiled.read_bytes() == before:
                return Outcome("same")
        is_built, output = ninja({s.target() for s in suites}, arguments.jobs)
        if not is_built:
            return Outcome("broken", output=output)
        finding = run_suites(suites, limits, arguments.jobs)
        return Outcome("found", finding) if finding else Outcome("missed")
    finally:
        target.write_text(original)
        if compiled:
            ninja([object_of(path)], arguments.jobs)


def faults_choose(arguments):
    return [f for f in planted.FAULTS if re.search(arguments.only, f.name)]


def run_planted(arguments, limits):
    found = 0
    faults = faults_choose(arguments)
    for fault in faults:
        outcome = try_text(fault.path, (TREE / fault.path).read_text().replace(fault.find, fault.put),
                           arguments, limits)
        if outcome.kind == "broken":
            sys.exit(f"{fault.name} does not compile:\n{outcome.output[-3000:]}")
        if outcome.kind == "found":
            found += 1
            finding = outcome.finding
            print(f"found   {fault.name}: {fault.what}\n        by {finding.suite} after "
                  f"{finding.seconds:.1f} s: {finding.reason}", flush=True)
        else:
            print(f"MISSED  {fault.name}: {fault.what} ({fault.path})", flush=True)
    print(f"{len(faults)} planted faults, {found} found, {len(faults) - found} missed", flush=True)
    return found == len(faults)


def candidates(arguments):
    """All mutants of the areas, in the order that the seed gives."""
    chosen = []
    for area, patterns in AREAS.items():
        if not re.search(arguments.only, area):
            continue
        for pattern in patterns:
            for path in sorted(TREE.glob(pattern)):
                chosen += generate.mutants_of(str(path.relative_to(TREE)), path.read_text())
    random.Random(arguments.seed).shuffle(chosen)
    return chosen


def run_generated(arguments, limits, mutants):
    found, survivors, skipped = 0, [], {"same": 0, "broken": 0}
    for mutant in mutants:
        if found + len(survivors) == arguments.mutants or time.monotonic() > arguments.deadline:
            break
        lines = (TREE / mutant.path).read_text().split("\n")
        lines[mutant.line - 1] = mutant.after
        outcome = try_text(mutant.path, "\n".join(lines), arguments, limits)
        if outcome.kind in skipped:
            skipped[outcome.kind] += 1
        elif outcome.kind == "found":
            found += 1
            print(f"found    {mutant.title()}\n         by {outcome.finding.suite} after "
                  f"{outcome.finding.seconds:.1f} s: {outcome.finding.reason}", flush=True)
        else:
            survivors.append(mutant)
            print(f"SURVIVED {mutant.title()}", flush=True)
    tried = found + len(survivors)
    print(f"{skipped['same']} were the same program, {skipped['broken']} did not compile; those that survived:")
    for mutant in sorted(survivors, key=lambda m: (m.path, m.line)):
        print(f"  {mutant.title()}")
    score = 100.0 * found / tried if tried else 0.0
    print(f"{tried} mutants of {len(mutants)} possible (seed {arguments.seed}), {found} found, "
          f"{len(survivors)} survived: {score:.1f} %", flush=True)
    return score >= arguments.goal


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--planted", action="store_true", help="the faults of planted.py")
    parser.add_argument("--mutants", type=int, default=0, help="how many by rule")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="a pattern: names of planted faults, or areas "
                        f"({', '.join(AREAS)})")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--patience", type=float, default=6.0, help="times a suite's usual time")
    parser.add_argument("--minutes", type=float, default=0, help="ends after so long; 0: never")
    parser.add_argument("--goal", type=float, default=80.0, help="percent of mutants by rule to be found")
    arguments = parser.parse_args()
    arguments.deadline = time.monotonic() + arguments.minutes * 60 if arguments.minutes else float("inf")

    copy_tree()
    for fault in planted.FAULTS:
        if (TREE / fault.path).read_text().count(fault.find) != 1:
            sys.exit(f"{fault.name}: its text does not stand once in {fault.path}: plant it anew")
    configure()
    mutants = candidates(arguments) if arguments.mutants else []
    paths = {m.path for m in mutants} | ({f.path for f in faults_choose(arguments)} if arguments.planted else set())
    suites = list({s.name: s for path in sorted(paths) for s in SUITES[module_of(path)]}.values())
    is_built, output = ninja({s.target() for s in suites}, arguments.jobs)
    if not is_built:
        sys.exit(output[-3000:])
    limits = measure(suites, arguments)
    is_good = True
    if arguments.planted:
        is_good &= run_planted(arguments, limits)
    if arguments.mutants:
        is_good &= run_generated(arguments, limits, mutants)
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())

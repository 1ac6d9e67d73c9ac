#!/usr/bin/env python3
"""Databases and backups that earlier programs wrote, opened by this one: README.md.

    run_compat.py KADE; the last line is the totals. Standard library only.
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import traceback

KADE = sys.argv[1]
HERE = pathlib.Path(__file__).parent
SCRATCH = pathlib.Path(os.environ.get("KADE_TEST_SCRATCH") or tempfile.mkdtemp(prefix="kade-compat-"))


def kade(*arguments):
    """Runs the program: (exit code, standard output, standard error)."""
    done = subprocess.run([KADE, *map(str, arguments)], capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout, done.stderr


def kade_or_fail(*arguments):
    code, out, err = kade(*arguments)
    assert code == 0, (arguments, code, out, err)
    return out


def answers_are(database, name, *options):
    out = kade_or_fail("--csv", *options, "-f", HERE / f"{name}.sql", database)
    wanted = (HERE / f"{name}.txt").read_text()
    for line, (got, want) in enumerate(zip(out.splitlines(), wanted.splitlines()), 1):
        assert got == want, f"{name}.txt:{line}: got {got!r}, wanted {want!r}"
    assert out == wanted, f"{name}: {len(out)} bytes in place of {len(wanted)}"


def everything_is_whole(database):
    assert kade_or_fail("check", database, "--json").strip() in ("", "[]"), "kade check"


def is_refused(database):
    """What the earlier program's constraints forbid."""
    for line in (HERE / "refused.sql").read_text().splitlines():
        if line.startswith("--"):
            continue
        words, _, sql = line.partition(": ")
        code, out, err = kade("-c", sql, database)
        assert code == 1 and words in err, (line, code, out, err)


def format_of(database):
    return int.from_bytes((database / "ROOT").read_bytes()[8:12], "little")


def contents(database):
    return {path.name: path.read_bytes() for path in database.rglob("*")
            if path.is_file() and path.name not in ("LOCK", "ROOT")}


def opens_for_reading_as_it_is(stored):
    database = stored / "read"
    shutil.copytree(stored / "database", database)
    before = (database / "ROOT").read_bytes(), contents(database)
    answers_are(database, "answers", "--read-only")
    assert ((database / "ROOT").read_bytes(), contents(database)) == before, "a file was changed"


def is_upgraded_in_place(stored):
    database = stored / "upgraded"
    shutil.copytree(stored / "database", database)
    answers_are(database, "answers")
    is_refused(database)
    everything_is_whole(database)
    kade_or_fail("-f", HERE / "change.sql", database)
    answers_are(database, "changed")
    kade_or_fail("-c", "VACUUM; CHECKPOINT", database)
    answers_are(database, "changed")
    is_refused(database)
    everything_is_whole(database)
    newest = stored / "newest"
    kade_or_fail("-c", "CREATE TABLE t (a integer); CHECKPOINT", newest)
    assert format_of(database) == format_of(newest), "the root is of the earlier format still"


def is_recovered_from_a_log_of_both_programs(stored):
    database = stored / "logged"
    shutil.copytree(stored / "database", database)
    owner = subprocess.Popen([KADE, database], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    kade_or_fail("-c", "SELECT 1", database)
    kade_or_fail("-f", HERE / "change.sql", database)
    owner.kill()
    owner.wait()
    answers_are(database, "changed")
    everything_is_whole(database)


def backups_are_restored(stored):
    backups, database = stored / "backups", stored / "restored"
    kade_or_fail("backup", "verify", backups)
    kade_or_fail("restore", backups, database)
    answers_are(database, "answers")
    kade_or_fail("-f", HERE / "change.sql", database)
    # A later backup of this program beside those of the earlier one.
    kade_or_fail("backup", database, backups)
    kade_or_fail("backup", "verify", backups)
    again = stored / "restored_again"
    kade_or_fail("restore", backups, again)
    answers_are(again, "changed")
    everything_is_whole(again)


def a_newer_format_is_refused_and_untouched(stored):
    """What an earlier program says of this one's database, as this one says it of the next's."""
    database = stored / "newer"
    shutil.copytree(stored / "database", database)
    root = bytearray((database / "ROOT").read_bytes())
    root[8:12] = (format_of(database) + 100).to_bytes(4, "little")
    (database / "ROOT").write_bytes(root)
    before = contents(database)
    code, _, err = kade("-c", "SELECT 1", database)
    assert code != 0 and err != "", (code, err)
    assert (database / "ROOT").read_bytes() == root and contents(database) == before


CHECKS = (opens_for_reading_as_it_is, is_upgraded_in_place,
          is_recovered_from_a_log_of_both_programs, backups_are_restored,
          a_newer_format_is_refused_and_untouched)


def main():
    passed = failed = 0
    for path in sorted(HERE.glob("*.tar.xz")):
        for check in CHECKS:
            stored = SCRATCH / f"{path.name.partition('.')[0]}-{check.__name__}"
            with tarfile.open(path) as archive:
                archive.extractall(stored)
            try:
                check(stored)
                passed += 1
            except Exception:
                print(f"FAILED {path.name}: {check.__name__}")
                traceback.print_exc(file=sys.stdout)
                failed += 1
            finally:
                shutil.rmtree(stored, ignore_errors=True)
    assert passed + failed > 0, "no stored databases"
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return failed != 0


sys.exit(main())

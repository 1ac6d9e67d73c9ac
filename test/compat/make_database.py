#!/usr/bin/env python3
"""Writes the database that a program leaves to its successors: test/compat/NAME.tar.xz.

    make_database.py KADE NAME

KADE is the program of the release (or of an earlier commit) whose format is kept. In the archive are
`database`, whose process was killed so that its log has to be replayed, and `backups` with a backup and,
where the program can do it, the log's archive behind it. Prints the answers, which must be those of
answers.txt. Standard library only.
"""
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time

HERE = pathlib.Path(__file__).parent


def kade(program, *arguments):
    return subprocess.run([program, *map(str, arguments)], check=True, capture_output=True,
                          text=True, timeout=120).stdout


def run_and_kill(program, database, script):
    """Every statement is acknowledged by an owner that is then killed: only the log has them."""
    owner = subprocess.Popen([program, str(database)], stdin=subprocess.PIPE,
                             stdout=subprocess.DEVNULL)
    while not (database / "LINK").exists():
        assert owner.poll() is None, "the owner of the database has ended"
        time.sleep(0.1)
    kade(program, "-f", script, database)
    owner.kill()
    owner.wait()


def make_backups(program, database, backups):
    """A backup, and what only the log has behind it: in the archive, or else in the backup."""
    backups.mkdir()
    has_archive = "archive  " in kade(program, "--help")
    if has_archive:
        kade(program, "archive", database, backups)
        kade(program, "backup", database, backups)
    kade(program, "-f", HERE / "log_only.sql", database)
    if not has_archive:
        kade(program, "backup", database, backups)
        return
    for _ in range(100):
        if "lag_bytes  | 0" in kade(program, "archive", database):
            break
        time.sleep(0.1)
    else:
        raise SystemExit("the archive does not come to the end of the log")
    kade(program, "archive", database, "--stop")


def main():
    program, name = sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="kade-compat-") as scratch:
        scratch = pathlib.Path(scratch)
        database, copy, backups = scratch / "database", scratch / "copy", scratch / "backups"
        kade(program, "-f", HERE / "content.sql", database)
        shutil.copytree(database, copy, ignore=shutil.ignore_patterns("LINK"))
        run_and_kill(program, database, HERE / "log_only.sql")
        with tarfile.open(HERE / f"{name}.tar.xz", "w:xz", preset=9) as archive:
            make_backups(program, copy, backups)
            for folder in (database, backups):
                archive.add(folder, folder.name,
                            filter=lambda entry: entry if entry.isfile() or entry.isdir() else None)
        print(kade(program, "--csv", "-f", HERE / "answers.sql", database), end="")


main()

#!/usr/bin/env python3
"""The runbook's commands, run as they stand in the manual, each after the disaster that it is for.

usage: run_runbook.py KADE

From docs/manual/backup.md, its beginning, "When something has happened" and "A schedule": every command of a block is
given to a shell, with only the places (/backups, the server), the moment and the name of the backup
put in. A block without a disaster here fails the test, so that none is added without being run.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

import run_s3

KADE = pathlib.Path(sys.argv[1]).resolve()
MANUAL = pathlib.Path(__file__).resolve().parents[2] / "docs" / "manual" / "backup.md"
ROOT = pathlib.Path(tempfile.mkdtemp(prefix="kade-runbook-"))
ROWS = 5000


def section(title):
    text = MANUAL.read_text()
    begin = text.index(f"\n## {title}\n")
    end = text.find("\n## ", begin + 1)
    return text[begin:end if end > 0 else len(text)]


def blocks(text):
    """(the paragraphs before it since the last block, its lines) for each block of commands."""
    before, block = [], []
    for line in text.split("\n") + ["end"]:
        if line.startswith("    "):
            block.append(line[4:])
        elif block:
            yield "\n".join(before), "\n".join(block)
            before, block = [line], []
        else:
            before.append(line)


class Machine:
    """A folder with a database, shop.kade, and a place for backups."""

    def __init__(self, name, server=None):
        self.home = ROOT / name
        (self.home / "backups").mkdir(parents=True)
        self.changes = {"/backups/": f"{self.home}/backups/", "/data/": f"{self.home}/"}
        if server is not None:
            self.changes["https://minio.example:9000"] = server

    def run(self, text, expected=0):
        for old, new in self.changes.items():
            text = text.replace(old, new)
        environment = {**os.environ, **run_s3.KEYS, "PATH": f"{KADE.parent}:{os.environ['PATH']}"}
        done = subprocess.run(["bash", "-e", "-c", text], cwd=self.home, env=environment, text=True,
                              capture_output=True, timeout=120, check=False)
        assert done.returncode == expected, (text, done.stdout, done.stderr)
        return done.stdout

    def sql(self, statement):
        return self.run(f'kade shop.kade --csv --no-header -c "{statement}"').strip()

    def fill(self, target):
        self.sql(f"CREATE TABLE orders AS SELECT g AS id, md5(g::text) AS item FROM generate_series(1, {ROWS}) g; "
                 "ALTER TABLE orders ADD PRIMARY KEY (id); VACUUM; CHECKPOINT")
        self.run(f"kade archive shop.kade '{target}'")
        self.sql(f"UPDATE orders SET item = 'later' WHERE id = {ROWS}")

    def count(self):
        return self.sql("SELECT count(*), sum((item = 'later')::int) FROM orders")


def after_the_last_commit(machine):
    """The moment that the commands go back to, and nothing else in its second."""
    time.sleep(1.1)
    machine.changes["2026-12-01 14:02:59+00"] = time.strftime("%Y-%m-%d %H:%M:%S+00", time.gmtime())
    time.sleep(1.1)


def rows_deleted(commands):
    machine = Machine("deleted")
    machine.fill("/backups/shop")
    after_the_last_commit(machine)
    machine.sql("DELETE FROM orders WHERE id % 2 = 0")
    machine.run(commands)
    assert machine.count() == f"{ROWS},1", machine.count()
    # What the text around says: a look at the whole, a dropped table under its own name, one backup.
    machine.sql("DROP TABLE orders")
    machine.run("kade restore /backups/shop then.kade --to '2026-12-01 14:02:59+00'")
    machine.run("kade restore /backups/shop --table orders --into shop.kade --to '2026-12-01 14:02:59+00'")
    assert machine.count() == f"{ROWS},1", machine.count()
    machine.changes["20261201T015930.123456Z"] = \
        re.search(r"\d{8}T\d{6}\.\d{6}Z", machine.run("kade backup list /backups/shop"))[0]
    machine.run("kade restore /backups/shop old.kade --backup 20261201T015930.123456Z")


def file_damaged(commands):
    machine = Machine("damaged")
    machine.fill("/backups/shop")
    segment = max((machine.home / "shop.kade" / "units").glob("*.seg"), key=lambda file: file.stat().st_size)
    content = bytearray(segment.read_bytes())
    content[len(content) // 3] ^= 1
    segment.write_bytes(content)
    machine.run("kade check shop.kade", expected=1)
    machine.run(commands)
    assert machine.count() == f"{ROWS},1", machine.count()
    machine.run("kade check shop.kade")
    machine.run("kade backup verify /backups/shop2")


def machine_gone(commands):
    server = run_s3.FaultyS3()
    try:
        address = f"http://127.0.0.1:{server.server_address[1]}"
        machine = Machine("gone", address)
        machine.fill(f"s3://bucket/shop?endpoint={address}")
        shutil.rmtree(machine.home / "shop.kade")
        machine.run(commands)
        assert machine.count() == f"{ROWS},1", machine.count()
        machine.run(f"kade backup verify 's3://bucket/shop-2?endpoint={address}'")
    finally:
        server.stop()


DISASTERS = {"Rows were deleted": rows_deleted, "A file is damaged": file_damaged,
             "The machine is gone": machine_gone}


def run_disasters():
    count = 0
    for before, commands in blocks(section("When something has happened")):
        names = re.findall(r"^\*\*([^*]*)\*\*", before, re.MULTILINE)
        found = [test for title, test in DISASTERS.items() if names and names[-1].startswith(title)]
        assert found, f"no disaster here for the commands of {names[-1:]}: {commands}"
        found[0](commands)
        print(f"ok {names[-1]}")
        count += 1
    assert count == len(DISASTERS), count
    return count


def run_schedule():
    """Lines of a crontab, once each, in their order."""
    machine = Machine("scheduled")
    machine.sql("CREATE TABLE orders (id int)")
    lines = [line for _, block in blocks(section("A schedule")) for line in block.split("\n")]
    commands = [re.fullmatch(r"(?:[\d*/,-]+ +){5}(.*)", line)[1] for line in lines]
    assert len(commands) > 1, lines
    for command in commands:
        machine.run(command)
    print("ok a schedule")


def run_first_commands():
    """The two blocks that the manual begins with, line by line."""
    machine = Machine("first")
    machine.sql("CREATE TABLE orders (id int PRIMARY KEY); INSERT INTO orders VALUES (1)")
    head = MANUAL.read_text()
    lines = [line for _, block in blocks(head[:head.index("\n## ")]) for line in block.split("\n") if line]
    assert len(lines) > 8, lines
    for line in lines:
        if "kade restore" in line:
            shutil.rmtree(machine.home / "new.kade", ignore_errors=True)
        machine.run(line)
        if line.startswith("kade archive") and "2026-12-01 14:02:59+00" not in machine.changes:
            after_the_last_commit(machine)
            machine.sql("INSERT INTO orders VALUES (2)")
    assert machine.sql("SELECT count(*) FROM orders_then") == "1"
    print("ok the first commands")


def main():
    try:
        run_first_commands()
        count = run_disasters() + 2
        run_schedule()
    finally:
        shutil.rmtree(ROOT, ignore_errors=True)
        shutil.rmtree(run_s3.ROOT, ignore_errors=True)
    print(f"{count} passed, 0 failed")
    return 0


if __name__ == "__main__":
    sys.exit(main())

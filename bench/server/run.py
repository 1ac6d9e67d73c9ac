#!/usr/bin/env python3
"""pgbench against kade serve and PostgreSQL, the same client in the same run.

Reads by key (select-only) with one and eight clients, by simple queries and prepared ones; TPC-B with eight
clients, commits durable on both; COPY in and out of a million rows. Rounds alternate; figures are medians, and
ratios are KadeDB over PostgreSQL. Needs PostgreSQL's server and pgbench (skipped without: exit code 77).
"""
import argparse
import os
import pathlib
import pwd
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

POSTGRES = next((path for path in sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
                 if (path / "initdb").exists()), None)
ROWS = 1000000
COPY_TABLE = "CREATE TABLE copied (id int, name text, amount numeric(12,2), at timestamp)"
COPY_ROWS = (f"SELECT g, 'name ' || g, g / 100.0, timestamp '2026-01-01' + g * interval '1 second' "
             f"FROM generate_series(1, {ROWS}) g")


class Peer:
    def __init__(self, name, port, user):
        self.name, self.port, self.user, self.figures = name, port, user, {}

    def client(self, program, *words, **more):
        command = [program, "-h", str(self.place), "-p", str(self.port), "-U", self.user, *words]
        return subprocess.run(command, capture_output=True, text=True, check=True, **more).stdout

    def sql(self, text, **more):
        return self.client("psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", "postgres", "-c", text,
                           **more)

    def note(self, name, value):
        self.figures.setdefault(name, []).append(value)

    def pgbench(self, name, *words):
        out = self.client("pgbench", "-n", "-j", "2", *words, "postgres")
        if "number of failed transactions: 0 " not in out:
            raise SystemExit(f"{self.name} {name}: {out}")
        self.note(name, float(re.search(r"^tps = ([\d.]+)", out, re.M)[1]))

    def copy(self, file):
        self.sql("TRUNCATE copied")
        began = time.monotonic()
        with file.open("rb") as rows:
            self.sql("COPY copied FROM STDIN", stdin=rows)
        self.note("COPY in, rows/s", ROWS / (time.monotonic() - began))
        began = time.monotonic()
        out = self.sql("COPY copied TO STDOUT")
        self.note("COPY out, rows/s", ROWS / (time.monotonic() - began))
        assert out.count("\n") == ROWS


class Postgres(Peer):
    def __init__(self, place):
        super().__init__("PostgreSQL", 15701, "postgres")
        self.place = place
        # Its server refuses to run as root.
        self.account = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        if os.geteuid() == 0:
            shutil.chown(place, "postgres")
        self.run("initdb", "-D", place / "pg", "-A", "trust", "-U", "postgres")
        self.run("pg_ctl", "-D", place / "pg", "-w", "-l", place / "pg.log", "-o",
                 f"-p {self.port} -k {place} -c listen_addresses= -c shared_buffers=512MB", "start")

    def run(self, program, *words):
        subprocess.run([str(POSTGRES / program), *map(str, words)], check=True, stdout=subprocess.DEVNULL,
                       user=self.account, cwd=self.place)

    def stop(self):
        self.run("pg_ctl", "-D", self.place / "pg", "-m", "fast", "-w", "stop")


class Kade(Peer):
    def __init__(self, place, build):
        super().__init__("KadeDB", 15702, "kade")
        self.place = place
        self.process = subprocess.Popen([str(build / "kade"), "serve", "-q", "-p", str(self.port), "-k", str(place),
                                         "--listen-addresses=", str(place / "kade")])
        while not (place / f".s.PGSQL.{self.port}").exists():
            if self.process.poll() is not None:
                raise SystemExit("kade serve did not start")
            time.sleep(0.02)

    def stop(self):
        self.process.terminate()
        self.process.wait()


def measure(peers, place, rounds, seconds):
    for peer in peers:
        peer.client("pgbench", "-i", "-q", "-s", "10", "postgres")
        peer.sql(COPY_TABLE)
    rows = place / "rows"
    with rows.open("wb") as file:
        subprocess.run(["psql", "-X", "-q", "-h", str(place), "-p", str(peers[0].port), "-U", peers[0].user, "-d",
                        "postgres", "-c", f"COPY ({COPY_ROWS}) TO STDOUT"], stdout=file, check=True)
    for _ in range(rounds):
        for peer in peers:
            for mode in ("simple", "prepared"):
                for clients in ("1", "8"):
                    peer.pgbench(f"select-only, {mode}, {clients} client{'s' * (clients != '1')}, tps", "-S", "-M", mode,
                                 "-c", clients, "-T", str(seconds))
            peer.pgbench("TPC-B, prepared, 8 clients, tps", "-M", "prepared", "-c", "8", "-T", str(seconds))
            peer.copy(rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build/release"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5)
    arguments = parser.parse_args()
    if POSTGRES is None or shutil.which("pgbench") is None:
        print("skipped: PostgreSQL's server and pgbench are not installed")
        return 77
    place = pathlib.Path(tempfile.mkdtemp(prefix="kade-bench-server-"))
    peers = []
    try:
        peers.append(Postgres(place))
        peers.append(Kade(place, arguments.build.resolve()))
        measure(peers, place, arguments.rounds, arguments.seconds)
    finally:
        for peer in peers:
            peer.stop()
        shutil.rmtree(place, ignore_errors=True)
    for name, theirs in peers[0].figures.items():
        ours = statistics.median(peers[1].figures[name])
        print(f"{name}: {ours:,.0f}, PostgreSQL {statistics.median(theirs):,.0f}, "
              f"{ours / statistics.median(theirs):.2f}x")
    return 0


if __name__ == "__main__":
    sys.exit(main())

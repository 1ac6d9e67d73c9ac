#!/usr/bin/env python3
"""Records what PostgreSQL 15 answers to the SQL tests, and checks that the records still say so.

    tools/record_sql.py [FILE.test ...]             rewrite the expectations (all files: none named)
    tools/record_sql.py --check [FILE.test ...]     only compare; exit 1 where one differs
    tools/record_sql.py --add FILE.test < CASES     append bare statements (each ends with a line
                                                    that ends in ";") as records, then record them

The form of the files is told in test/sql/run_sql.c and test/sql/README.md. Records under
"onlyif kade" are left as they are and not run; those under "skipif kade" are run and recorded.
A server of its own is made with initdb in a temporary directory and is gone afterwards; it is
spoken to in PostgreSQL's protocol, so that NULLs, empty texts and SQLSTATEs come as they are.
"""
import glob
import os
import pwd
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile

BIN = "/usr/lib/postgresql/15/bin"
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "test", "sql")
SETTINGS = ("-c listen_addresses='' -c fsync=off -c timezone=UTC -c max_connections=20 "
            "-c log_min_messages=fatal -c shared_buffers=32MB")


class Server:
    """A PostgreSQL 15 in a temporary directory, as user postgres where we are root."""

    def __enter__(self):
        self.directory = tempfile.mkdtemp(prefix="record_sql.")
        self.user = None
        if os.getuid() == 0:
            self.user = "postgres"
            shutil.chown(self.directory, "postgres")
        data = self.directory + "/data"
        self.command([BIN + "/initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8",
                      "--locale=C.UTF-8", "--no-sync"])
        self.command([BIN + "/pg_ctl", "-D", data, "-w", "-l", self.directory + "/log", "-o",
                      SETTINGS + " -k " + self.directory, "start"])
        return self

    def __exit__(self, *_):
        self.command([BIN + "/pg_ctl", "-D", self.directory + "/data", "-m", "immediate", "stop"])
        shutil.rmtree(self.directory, ignore_errors=True)

    def command(self, words):
        drop = None
        if self.user:
            who = pwd.getpwnam(self.user)

            def drop():
                os.setgid(who.pw_gid)
                os.setuid(who.pw_uid)
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL, cwd="/", preexec_fn=drop)


class Connection:
    """The simple-query part of PostgreSQL's protocol."""

    def __init__(self, server, database):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(server.directory + "/.s.PGSQL.5432")
        self.input = self.socket.makefile("rb")
        words = b"user\0postgres\0database\0" + database.encode() + b"\0\0"
        self.socket.sendall(struct.pack("!ii", len(words) + 8, 196608) + words)
        self.answer()

    def message(self):
        kind = self.input.read(1)
        size = struct.unpack("!i", self.input.read(4))[0]
        return kind, self.input.read(size - 4)

    def answer(self):
        """(rows or None, SQLSTATE or None, command tag, message) of what is under way."""
        rows, state, tag, told = None, None, "", ""
        while True:
            kind, body = self.message()
            if kind == b"T":
                rows = []
            elif kind == b"D":
                rows.append(self.row(body))
            elif kind == b"C":
                tag = body[:-1].decode()
            elif kind == b"E":
                fields = {part[:1]: part[1:].decode() for part in body.split(b"\0") if part}
                state, told = fields[b"C"], fields[b"M"]
            elif kind in b"GH":
                raise SystemExit("COPY from or to the client cannot be recorded")
            elif kind == b"Z":
                return rows, state, tag, told

    @staticmethod
    def row(body):
        values, at = [], 2
        for _ in range(struct.unpack("!h", body[:2])[0]):
            size = struct.unpack("!i", body[at:at + 4])[0]
            at += 4
            if size < 0:
                values.append("NULL")
                continue
            value = body[at:at + size].decode()
            values.append(value.replace("\n", "\\n").replace("\t", "\\t") or "(empty)")
            at += size
        return values

    def run(self, sql):
        words = sql.encode() + b"\0"
        self.socket.sendall(b"Q" + struct.pack("!i", len(words) + 4) + words)
        return self.answer()

    def close(self):
        self.input.close()
        self.socket.close()


class Recorder:
    """One file of records on a database of its own."""

    def __init__(self, server, number):
        self.server = server
        self.name = f"record_{number}"
        self.connections = {}
        keeper = Connection(server, "postgres")
        keeper.run(f"CREATE DATABASE {self.name} TEMPLATE template0")
        keeper.close()
        self.use("default")
        self.cases = 0
        self.told = []

    def use(self, name):
        if name not in self.connections:
            self.connections[name] = Connection(self.server, self.name)
        self.current = self.connections[name]

    def close(self):
        for connection in self.connections.values():
            connection.close()

    def record(self, lines):
        """The record's lines as PostgreSQL would have them."""
        head = next((i for i, line in enumerate(lines)
                     if line and not line.startswith(("#", "skipif", "onlyif"))), None)
        if head is None:
            return lines
        conditions = [line.split()[:2] for line in lines[:head]]
        words = lines[head].split()
        if words[0] == "connection":
            self.use(words[1])
            return lines
        if words[0] not in ("statement", "query"):
            return lines
        self.cases += 1
        if ["onlyif", "kade"] in conditions:
            return lines
        body = lines[head + 1:]
        end = "----" if "----" in body else ""
        body = body[:body.index(end)] if end in body else body
        return lines[:head] + self.expectation(words, "\n".join(body)) + [""]

    def expectation(self, words, sql):
        rows, state, tag, told = self.current.run(sql)
        if state is not None:
            self.told.append(f"{state} {told}: {sql[:150]}")
            return [f"statement error {state}", sql]
        if rows is None:
            count = re.fullmatch(r"(?:INSERT 0|UPDATE|DELETE|MERGE) (\d+)", tag)
            return ["statement count " + count[1] if count else "statement ok", sql]
        if words[0] == "statement":
            words = ["query", "T", "tabs"]
            if len(rows) > 1 and not ordered(sql):
                words.append("rowsort")
        if "rowsort" in words:
            rows.sort(key=lambda row: [value.encode() for value in row])
        between = "\t" if "tabs" in words else "\n"
        return [" ".join(words), sql, "----"] + [between.join(row) for row in rows if row]


def ordered(sql):
    """Whether an ORDER BY stands outside all parentheses."""
    depth = 0
    for part in re.findall(r"'(?:[^']|'')*'|[()]|order\s+by\b|.", sql, re.I | re.S):
        depth += (part == "(") - (part == ")")
        if depth == 0 and part[:5].lower() == "order" and len(part) > 5:
            return True
    return False


def records(text):
    """The file's records: each with the comments and conditions before it, ends with its empty line."""
    record = []
    for line in text.split("\n"):
        record.append(line)
        if not line:
            yield record
            record = []
    if record:
        yield record + [""]


def bare(text):
    """Bare statements as records that wait for their expectations; comments stay."""
    lines, statement = [], []
    for line in text.split("\n"):
        line = line.rstrip()
        if not line:
            continue
        if not statement and line.startswith("--"):
            lines.append("#" + line[2:])
        elif not statement and line.startswith(("connection ", "skipif ", "onlyif ")):
            lines += [line] + ([""] if line.startswith("connection ") else [])
        else:
            statement.append(line)
            if line.endswith(";"):
                statement[-1] = line[:-1]
                lines += ["statement ok"] + statement + [""]
                statement = []
    return "\n".join(lines + statement)


def main():
    words = sys.argv[1:]
    mode = words.pop(0) if words and words[0] in ("--check", "--add") else "--record"
    files = words or sorted(glob.glob(ROOT + "/*/*.test"))
    if mode == "--add":
        os.makedirs(os.path.dirname(files[0]) or ".", exist_ok=True)
        with open(files[0], "a", encoding="utf-8") as file:
            file.write(("\n" if file.tell() > 0 else "") + bare(sys.stdin.read()) + "\n")
    differing, cases = 0, 0
    with Server() as server:
        for number, path in enumerate(files):
            with open(path, encoding="utf-8") as file:
                text = file.read().rstrip("\n") + "\n"
            recorder = Recorder(server, number)
            recorded = "\n".join(line for one in records(text) for line in recorder.record(one))
            recorded = recorded.rstrip("\n") + "\n"
            recorder.close()
            cases += recorder.cases
            if recorded == text:
                continue
            differing += 1
            print(f"{path}: {'differs from' if mode == '--check' else 'as on'} PostgreSQL")
            if mode == "--add":
                print("\n".join("  error " + line for line in recorder.told))
            if mode != "--check":
                with open(path, "w", encoding="utf-8") as file:
                    file.write(recorded)
    print(f"{len(files)} files, {cases} cases, {differing} files {'differ' if mode == '--check' else 'rewritten'}")
    return 1 if mode == "--check" and differing else 0


if __name__ == "__main__":
    sys.exit(main())

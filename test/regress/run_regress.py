#!/usr/bin/env python3
"""PostgreSQL 15's regression statements, answered by KadeDB and by PostgreSQL 15.

    run_regress.py [--library libkade.so] [--source DIR] [--show] [FILE ...]

The statements are those of PostgreSQL's source package, of the version whose server is installed; the package
is fetched through apt (or given as a folder with --source) and is not kept in the tree. Both systems run
the same file on a database that test_setup has filled; each statement must give the same rows
(in any order unless it has an ORDER BY of its own), or an error of the same SQLSTATE, on both.

Not compared: EXPLAIN, psql's backslash commands, and statements that only prepare (SET, VACUUM ...)
and succeed on both sides. What differs is printed with --show, and is explained in known.txt: each of its lines is
a file, a pattern over the statement, and why. The exit code is 1 when something differs that it does not name.
"""
import argparse
import glob
import os
import re
import resource
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TREE = os.path.join(HERE, "..", "..")
sys.path[:0] = [os.path.join(TREE, "tools"), os.path.join(TREE, "python"), os.path.join(TREE, "test", "model")]
import random_queries  # noqa: E402
import record_sql  # noqa: E402

FILES = """aggregates arrays boolean case char date delete float4 float8 groupingsets horology insert insert_conflict
int2 int4 int8 interval join json jsonb jsonb_jsonpath limit merge numeric returning select select_distinct
select_having select_into strings subselect text time timestamp timestamptz timetz union update uuid varchar window
with""".split()
# The settings under which pg_regress runs its files.
SETTINGS = ["SET datestyle = 'Postgres, MDY'", "SET timezone = 'PST8PDT'", "SET intervalstyle = 'postgres_verbose'"]
TOKEN = re.compile(r"""--[^\n]*|/\*|'(?:[^'\\]|\\.|'')*'|"(?:[^"]|"")*"|\$[A-Za-z_]*\$|[A-Za-z_][\w$]*|.""", re.S)
STRING = re.compile(r"'(?:[^']|'')*'")
ESCAPED = re.compile(r"'(?:[^'\\]|\\.|'')*'", re.S)
UNCOMPARED = re.compile(r"(set|reset|show|vacuum|analyze|begin|commit|rollback)\b", re.I)


def source_directory(given):
    """The folder with sql/ and data/ of PostgreSQL's regression tests."""
    if given:
        return given
    kept = os.path.join(tempfile.gettempdir(), "kade-pg-regress")
    found = glob.glob(kept + "/postgresql-15.*/src/test/regress")
    return found[0] if found else fetch(kept)


def fetch(kept):
    """apt's own sources, asked for source packages."""
    os.makedirs(kept + "/lists/partial", exist_ok=True)
    os.makedirs(kept + "/parts", exist_ok=True)
    for path in glob.glob("/etc/apt/sources.list.d/*.sources"):
        with open(path) as file, open(kept + "/parts/" + os.path.basename(path), "w") as copy:
            copy.write(re.sub(r"^Types:.*$", "Types: deb-src", file.read(), flags=re.M))
    with open(kept + "/parts/list.list", "w") as copy:
        if os.path.exists("/etc/apt/sources.list"):
            with open("/etc/apt/sources.list") as file:
                copy.write(re.sub(r"^deb ", "deb-src ", file.read(), flags=re.M))
    options = ["-o", "Dir::Etc::sourcelist=/dev/null", "-o", f"Dir::Etc::sourceparts={kept}/parts",
               "-o", f"Dir::State::lists={kept}/lists"]
    version = subprocess.run([record_sql.BIN + "/postgres", "--version"], capture_output=True, text=True, check=True)
    version = re.search(r"Debian ([^)]*)\)", version.stdout)[1]
    for words in (["update"], ["source", "--download-only", f"postgresql-15={version}"]):
        subprocess.run(["apt-get", *options, *words], cwd=kept, check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
    archive = glob.glob(kept + "/postgresql-15_*.orig.tar.*")[0]
    name = "postgresql-" + re.search(r"_([\d.]+)\.orig", archive)[1] + "/src/test/regress"
    subprocess.run(["tar", "xf", archive, name], cwd=kept, check=True)
    return f"{kept}/{name}"


def bare(sql):
    """Without the blanks and comments before it."""
    at = 0
    while at < len(sql):
        if sql[at].isspace():
            at += 1
        elif sql.startswith("--", at):
            at = sql.find("\n", at) + 1 or len(sql)
        else:
            break
    return sql[at:].rstrip()


def string_end(text, at):
    """Past the text constant that starts at `at`; backslashes count only after E."""
    escaped = at > 0 and text[at - 1] in "eE" and (at == 1 or not (text[at - 2].isalnum() or text[at - 2] == "_"))
    found = (ESCAPED if escaped else STRING).match(text, at)
    return found.end() if found else len(text)


def comment_end(text, at):
    depth = 0
    while at < len(text):
        if text.startswith("/*", at):
            depth, at = depth + 1, at + 2
        elif text.startswith("*/", at):
            depth, at = depth - 1, at + 2
            if depth == 0:
                break
        else:
            at += 1
    return at


class Script:
    """A file as psql reads it: statements, without its backslash commands, with its variables put in."""

    def __init__(self, path, directory):
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            self.text = file.read()
        self.variables = {"abs_srcdir": directory}

    def command(self, line):
        words = line.split(None, 2)
        if words[0] == "\\set" and len(words) > 1:
            parts = re.findall(r"'([^']*)'|:(\w+)|(\S+)", words[2]) if len(words) > 2 else []
            self.variables[words[1]] = "".join(a or self.variables.get(b, "") or c for a, b, c in parts)

    def put_in(self, sql):
        def quoted(found):
            value = self.variables.get(found[1])
            return found[0] if value is None else "'" + value.replace("'", "''") + "'"
        return re.sub(r"(?<!:):'(\w+)'", quoted, sql)

    def statements(self):
        text, at, start, depth, words = self.text, 0, 0, 0, []
        while at < len(text):
            found = TOKEN.match(text, at)
            token, end = found[0], found.end()
            if token.startswith("'"):
                end = string_end(text, at)
            elif token == "/*":
                end = comment_end(text, at)
            elif token.startswith("$") and len(token) > 1:
                close = text.find(token, end)
                end = len(text) if close < 0 else close + len(token)
            elif token in "([":
                depth += 1
            elif token in ")]":
                depth -= 1
            elif token == "\\":
                end = text.find("\n", at) + 1 or len(text)
                if bare(text[start:at]) == "":
                    self.command(text[at:end].strip())
                else:  # \gset and its kin end a statement.
                    yield None, text[start:at]
                start, depth, words = end, 0, []
            elif token == ";" and depth <= 0 and not inside_body(words):
                sql = self.put_in(text[start:at])
                start, depth, words = end, 0, []
                data = None
                if re.match(r"(?is)copy\s.*\sfrom\s+stdin\b", bare(sql)):
                    line = text.find("\n", end) + 1
                    close = text.find("\n\\.", line - 1)
                    data, start = text[line:close + 1], text.find("\n", close + 1) + 1
                    end = start
                yield data, sql
            elif token[0].isalpha():
                words.append(token.lower())
            at = end


def inside_body(words):
    """Of a function's BEGIN ATOMIC ... END."""
    if "atomic" not in words:
        return False
    body = words[words.index("atomic") + 1:]
    return body.count("end") <= body.count("case")


def copied(sql, data, folder, number):
    """COPY FROM STDIN reads its rows from a file: neither connection here sends them."""
    path = f"{folder}/{number}.data"
    with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(data)
    os.chmod(path, 0o644)
    return re.sub(r"(?is)\bfrom\s+stdin\b", f"FROM '{path}'", sql, count=1)


class Totals:
    def __init__(self):
        self.same = self.known = self.differ = self.uncompared = 0


def differs(theirs, ours, sql):
    """None, or what is not the same."""
    (their_rows, their_state, _, told), (our_rows, our_state, our_told) = theirs, ours
    if their_state != our_state:
        return f"PostgreSQL: {their_state or 'no error'} {told}\n    KadeDB:     {our_state or 'no error'} {our_told}"
    if their_state is not None or their_rows is None:
        return None
    our_rows = our_rows or []
    if not record_sql.ordered(sql):
        their_rows, our_rows = sorted(their_rows), sorted(our_rows)
    if their_rows == our_rows:
        return None
    for place, (one, other) in enumerate(zip(their_rows, our_rows)):
        if one != other:
            return f"row {place + 1}:\n    PostgreSQL: {one}\n    KadeDB:     {other}"
    return f"PostgreSQL: {len(their_rows)} rows, KadeDB: {len(our_rows)}"


def known_differences():
    rules = []
    path = os.path.join(HERE, "known.txt")
    if os.path.exists(path):
        with open(path) as file:
            for line in file:
                if line.strip() and not line.startswith("#"):
                    name, pattern, why = (line.rstrip("\n").split("\t") + ["", ""])[:3]
                    rules.append((name, re.compile(pattern, re.I | re.S), why))
    return rules


def safely(run, sql):
    try:
        return run(sql)
    except SystemExit as refused:
        return None, "refused", "", str(refused)


def run_file(name, directory, server, number, show, rules):
    totals, folder = Totals(), tempfile.mkdtemp(prefix="kade-regress.")
    os.chmod(folder, 0o755)
    keeper = record_sql.Connection(server, "postgres")
    keeper.run(f"CREATE DATABASE regress_{number} TEMPLATE regress")
    keeper.close()
    theirs = record_sql.Connection(server, f"regress_{number}")
    ours = random_queries.Kade()
    prepare(ours, directory, folder)
    for sql in SETTINGS:
        theirs.run(sql)
        ours.run(sql)
    for place, (data, sql) in enumerate(Script(f"{directory}/sql/{name}.sql", directory).statements()):
        if data is not None:
            sql = copied(sql, data, folder, place)
        one = safely(theirs.run, sql)
        if one[1] == "refused":  # COPY TO STDOUT: begin again on a new connection.
            theirs.close()
            theirs = record_sql.Connection(server, f"regress_{number}")
            for setting in SETTINGS:
                theirs.run(setting)
            totals.uncompared += 1
            continue
        other = ours.run(sql)
        short = bare(sql)
        if re.match("explain\\b", short, re.I) or (UNCOMPARED.match(short) and one[1] == other[1]):
            totals.uncompared += 1
            continue
        what = differs(one, other, sql)
        if what is None:
            totals.same += 1
            continue
        if any(rule[0] in (name, "*") and rule[1].search(short) for rule in rules):
            totals.known += 1
            continue
        totals.differ += 1
        if show:
            print(f"--- {name} [{place}]\n{short}\n    {what}")
    ours.close()
    theirs.close()
    return totals


def prepare(ours, directory, folder, theirs=None):
    """What pg_regress's first files make: tables and their indexes."""
    for name in ("test_setup", "create_index"):
        for place, (data, sql) in enumerate(Script(f"{directory}/sql/{name}.sql", directory).statements()):
            if name == "create_index" and not INDEXES.search(sql):
                continue
            if data is not None:
                sql = copied(sql, data, folder, f"{name}{place}")
            if theirs is not None:
                safely(theirs.run, sql)
            if ours is not None:
                ours.run(sql)


INDEXES = re.compile(r"create (unique )?index \w+ on (onek|tenk1|tenk2)\b", re.I)
MEMORY_BYTES = 8 << 30  # A statement that runs away must not take the machine with it.


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", help="src/test/regress of PostgreSQL 15")
    parser.add_argument("--library", help="libkade.so")
    parser.add_argument("--show", action="store_true", help="print what differs")
    parser.add_argument("files", nargs="*", default=FILES)
    arguments = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    if arguments.library:
        os.environ["KADE_LIBRARY"] = arguments.library
    if not os.path.exists(record_sql.BIN + "/initdb"):
        print("PostgreSQL 15 is not installed")
        return 77
    directory = source_directory(arguments.source)
    rules, failed = known_differences(), 0
    with record_sql.Server() as server:
        keeper = record_sql.Connection(server, "postgres")
        keeper.run("CREATE DATABASE regress TEMPLATE template0")
        filled = record_sql.Connection(server, "regress")
        folder = tempfile.mkdtemp(prefix="kade-regress.")
        os.chmod(folder, 0o755)
        prepare(None, directory, folder, filled)
        filled.close()
        keeper.close()
        all_same = all_known = 0
        for number, name in enumerate(arguments.files):
            totals = run_file(name, directory, server, number, arguments.show, rules)
            print(f"{name:16} {totals.same:5} same {totals.known:4} known {totals.differ:4} differ"
                  f" {totals.uncompared:4} not compared", flush=True)
            failed += totals.differ
            all_same += totals.same
            all_known += totals.known
    print(f"{all_same} passed, {failed} failed, {all_known} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

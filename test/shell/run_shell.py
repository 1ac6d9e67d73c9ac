#!/usr/bin/env python3
"""The program kade from outside: scripts, exit codes, modes, errors, the terminal.

    run_shell.py KADE [TEST...]; the last line is the totals. Standard library only.
"""
import json
import os
import pathlib
import pty
import select
import signal
import subprocess
import sys
import tempfile
import time
import traceback

KADE = sys.argv[1]
SCRATCH = pathlib.Path(os.environ.get("KADE_TEST_SCRATCH") or tempfile.mkdtemp(prefix="kade-shell-"))
ENVIRONMENT = dict(os.environ, LC_ALL="C.UTF-8", TERM="xterm", KADE_HISTORY=str(SCRATCH / "history"))


def kade(*arguments, script=None):
    """Runs the program: (exit code, standard output, standard error)."""
    done = subprocess.run([KADE, *arguments], input=script, capture_output=True, text=True,
                          timeout=60, env=ENVIRONMENT)
    return done.returncode, done.stdout, done.stderr


def database(name):
    return str(SCRATCH / name)


def test_version_and_help():
    code, out, _ = kade("--version")
    assert code == 0 and out.startswith("kade 0."), out
    code, out, _ = kade("--help")
    assert code == 0 and "demo" in out and "--csv" in out


def test_modes():
    sql = "SELECT 1 AS n, 'a,\"b' AS t, NULL::text AS x"
    assert kade("--csv", "-c", sql)[1] == 'n,t,x\n1,"a,""b",\n'
    assert kade("--tabs", "-c", sql)[1] == 'n\tt\tx\n1\t"a,""b"\t\n'
    assert kade("--plain", "--no-header", "--null", "~", "-c", sql)[1] == '1|a,"b|~\n'
    assert json.loads(kade("--json", "-c", sql)[1]) == [{"n": 1, "t": 'a,"b', "x": None}]
    assert json.loads(kade("--ndjson", "-c", sql)[1]) == {"n": 1, "t": 'a,"b', "x": None}
    assert kade("--markdown", "-c", "SELECT 1 AS n, 'x|y' AS t")[1] == (
        "| n | t   |\n|--:|-----|\n| 1 | x\\|y |\n")
    assert kade("-c", "SELECT 12 AS n, 'é' AS t")[1] == (
        "┌────┬───┐\n│ n  │ t │\n├────┼───┤\n│ 12 │ é │\n└────┴───┘\n")
    assert json.loads(kade("--json", "-c", "SELECT 1 AS n WHERE false")[1]) == []
    assert kade("--csv", "-c", "SELECT 1 AS n WHERE false")[1] == "n\n"


def test_a_script_stops_at_its_first_error():
    code, out, err = kade("--csv", script="SELECT 1 AS a;\nSELECT nope\n  FROM t;\nSELECT 2;\n")
    assert code == 1 and out == "a\n1\n", out
    assert "ERROR:" in err


def test_errors_show_line_and_caret():
    code, out, err = kade("-c", "SELECT 1,\n  nope + 2")
    assert code == 1 and out == ""
    lines = err.splitlines()
    assert lines[0] == 'ERROR:  column "nope" does not exist', err
    assert lines[1] == "LINE 2:   nope + 2" and lines[2] == "          ^", err


def test_files_and_commands():
    path = SCRATCH / "script.sql"
    path.write_text("\\echo begin\nCREATE TABLE t (a integer);\nINSERT INTO t VALUES (1), (2);\n"
                    ".mode csv\nSELECT sum(a) FROM t;\n\\q\nSELECT 'not reached';\n")
    code, out, err = kade("-f", str(path))
    assert (code, out, err) == (0, "begin\nsum\n3\n", ""), (code, out, err)
    code, _, err = kade("-c", "\\nonsense")
    assert code == 1 and "invalid command" in err
    code, _, err = kade("-f", str(SCRATCH / "absent.sql"))
    assert code == 1 and "cannot read" in err
    code, _, _ = kade("--nonsense")
    assert code == 2


def test_several_commands_run_in_their_order():
    path = SCRATCH / "between.sql"
    path.write_text("INSERT INTO t VALUES (5);\n")
    code, out, err = kade("--csv", "--no-header", "-c", "CREATE TABLE t (a integer)", "-c", "SELECT 1",
                          "-f", str(path), "-c", "SELECT a FROM t")
    assert (code, out, err) == (0, "1\n5\n", ""), (code, out, err)
    code, out, _ = kade("--csv", "--no-header", "-c", "SELECT 1", "-c", "SELECT 1 / 0", "-c", "SELECT 2")
    assert (code, out) == (1, "1\n"), (code, out)


def test_a_database_stays():
    path = database("stays")
    assert kade(path, "-c", "CREATE TABLE t (a integer PRIMARY KEY); INSERT INTO t VALUES (7)")[0] == 0
    assert kade(path, "--csv", "--no-header", "-c", "SELECT a FROM t")[1] == "7\n"
    code, _, err = kade(path, "--read-only", "-c", "INSERT INTO t VALUES (8)")
    assert code == 1 and "read-only" in err, err


def test_describe():
    script = ("CREATE TABLE people (id bigint PRIMARY KEY, name text NOT NULL DEFAULT 'x');\n"
              "CREATE INDEX people_name ON people (name);\n"
              "CREATE VIEW names AS SELECT name FROM people;\n"
              "\\d\n\\dt\n\\d people\n\\di\n\\dv\n\\dn\n.tables p*\n")
    code, out, err = kade(script=script)
    assert code == 0, err
    for word in ("people", "names", "bigint", "not null", "people_name", "public"):
        assert word in out, (word, out)


def test_describe_tells_more():
    script = ("CREATE TYPE mood AS ENUM ('sad', 'ok');\n"
              "CREATE TABLE t (id int PRIMARY KEY, m mood);\nCOMMENT ON TABLE t IS 'things';\n"
              "COMMENT ON COLUMN t.m IS 'how it is';\nCREATE SCHEMA other;\n"
              "CREATE TABLE other.u (a int);\n"
              "CREATE TABLE p (d date, name text) PARTITION BY RANGE (d, name);\n"
              "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM ('2020-01-01', MINVALUE) "
              "TO ('2021-01-01', 'it''s');\n"
              "CREATE MATERIALIZED VIEW mv AS SELECT count(*) FROM t;\n"
              "\\dt+\n\\d+ t\n\\di+\n\\dT+ mood\n\\df substr*\n\\dt other.*\n\\d p\n\\d p1\n\\dm\n"
              "\\du\n\\dn+\n\\conninfo\n\\dvS pg_catalog.pg_cl*\n")
    code, out, err = kade(script=script)
    assert code == 0, err
    for word in ("things", "how it is", "CREATE UNIQUE INDEX", "sad, ok", "text, integer",
                 "RANGE (d, name)", "FOR VALUES FROM ('2020-01-01', MINVALUE) TO ('2021-01-01', 'it''s')",
                 "materialized view", "Superuser", "connected to", "pg_class"):
        assert word in out, (word, out)
    code, _, err = kade(script="\\dq\n")
    assert code == 1 and "invalid command" in err, err


def test_the_query_buffer():
    target = SCRATCH / "gone.csv"
    script = (".mode csv\nSELECT 1 AS a, 'x\\y' AS b \\gx\nSELECT 2 AS c\n\\p\n\\g " + str(target) +
              "\nSELECT 3 AS d;\n\\g\nSELECT nothing\n\\r\nSELECT 4 AS e \\watch i=0 c=3\n")
    code, out, err = kade("--csv", script=script)
    assert code == 0, err
    assert out.splitlines()[-10:] == ["d", "3", "d", "3", "e", "4", "e", "4", "e", "4"], out
    assert "SELECT 2 AS c" in out and target.read_text() == "c\n2\n"
    assert kade(script="\\g\n")[0] == 1
    assert kade(script="SELECT 1 \\watch soon\n")[0] == 1
    editor = SCRATCH / "editor.sh"
    editor.write_text("#!/bin/sh\necho \"SELECT 'edited' AS f;\" > \"$1\"\n")
    editor.chmod(0o755)
    ENVIRONMENT["VISUAL"] = str(editor)
    code, out, err = kade("--csv", script="SELECT 1\n\\e\n")
    assert (code, out) == (0, "f\nedited\n"), (code, out, err)


def test_variables():
    script = ("\\set n 42\n\\set who 'it''s me'\n\\set col odd\n"
              "SELECT :n + 1 AS a, :'who' AS b, 7 AS :\"col\", '12:00'::time AS t, ':n' AS s, "
              "(ARRAY[1,2,3])[1:2] AS slice, $$:n$$ AS dollar; -- :n\n\\unset n\nSELECT ':n' AS left;\n")
    code, out, err = kade("--csv", "-v", "x=1", script=script)
    assert code == 0, err
    assert out == ("a,b,odd,t,s,slice,dollar\n43,it's me,7,12:00:00,:n,\"{1,2}\",:n\nleft\n:n\n"), out
    assert kade("--csv", "-v", "x=5", "-c", "SELECT :x AS x")[1] == "x\n5\n"
    assert kade("-v", "x")[0] == 2


def test_the_demo_walks_to_its_end():
    data = pathlib.Path(__file__).resolve().parents[2] / "data" / "flights"
    code, out, err = kade("demo", database("demo"), "--data", str(data), script="")
    assert code == 0, err
    assert "-- 13." in out and "ERROR" not in err, (out[-500:], err)
    assert kade(database("demo"), "--csv", "--no-header", "-c", "SELECT count(*) FROM flights")[1] == "3000000\n"


def test_import_and_export():
    path = database("import")
    source = SCRATCH / "cities.csv"
    source.write_text('city,people,since\n"Rome, IT",2800000,1871-02-03\nOslo,700000,\n')
    code, _, err = kade("import", path, str(source), "cities")
    assert code == 0, err
    out = kade(path, "--csv", "-c", "SELECT * FROM cities ORDER BY people")[1]
    assert out == 'city,people,since\nOslo,700000,\n"Rome, IT",2800000,1871-02-03\n', out
    target = SCRATCH / "out.csv"
    code, _, err = kade("export", path, "SELECT city FROM cities ORDER BY city", str(target))
    assert code == 0, err
    assert target.read_text() == 'city\nOslo\n"Rome, IT"\n'
    code, _, err = kade("import", path, str(SCRATCH / "absent.csv"), "other")
    assert code == 1 and "ERROR" in err
    source.write_text("city,people,since\nBern,x,2020-01-01\n")
    code, _, err = kade("import", path, str(source), "cities")
    assert code == 1 and "line 2" in err, err


def test_a_check_tells_what_is_damaged():
    path = database("damaged")
    code, _, err = kade(path, script="CREATE TABLE t AS SELECT i, 'text ' || i AS s"
                                     " FROM generate_series(1, 50000) g (i);\nVACUUM;\n")
    assert code == 0, err
    code, out, err = kade("check", path)
    assert code == 0 and out == "no damage found\n", (out, err)
    units = sorted(pathlib.Path(path, "units").glob("*.seg"), key=lambda file: file.stat().st_size)
    content = bytearray(units[-1].read_bytes())
    content[500] ^= 1
    units[-1].write_bytes(content)
    before = {file: file.read_bytes() for file in pathlib.Path(path).rglob("*") if file.is_file()}
    code, out, _ = kade("check", path)
    assert code == 1 and "table public.t" in out and units[-1].name in out, out
    assert out.endswith("1 damaged places found\n"), out
    code, out, _ = kade("check", path, "--json")
    found = json.loads(out)
    assert code == 1 and found[0]["table_name"] == "t" and found[0]["row_count"] == 16384, out
    root = pathlib.Path(path, "ROOT")
    root.write_bytes(root.read_bytes()[:60])
    code, out, err = kade("check", path)
    assert code == 1 and "file ROOT" in out and units[-1].name in out, out
    root.write_bytes(before[root])
    after = {file: file.read_bytes() for file in pathlib.Path(path).rglob("*") if file.is_file()}
    assert after == before
    assert kade("check", database("nowhere"))[0] == 2
    assert kade("check")[0] == 2


def test_a_check_tells_rows_that_break_constraints():
    path = database("broken")
    code, _, err = kade(path, script="""
        CREATE FUNCTION small(a int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT a < 100';
        CREATE TABLE t (id int PRIMARY KEY, a int CONSTRAINT low CHECK (small(a)));
        INSERT INTO t VALUES (1, 5), (2, 50), (3, 70);
        CREATE OR REPLACE FUNCTION small(a int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT a < 10';
        """)
    assert code == 0, err
    expected = ('damage: 2 rows violate check constraint "low": (id)=(2), (id)=(3)\n'
                "    table public.t\n1 damaged places found\n")
    assert kade("check", path)[:2] == (1, expected)
    # The same from a process beside the one that has it open.
    owner = subprocess.Popen([KADE, path, "--csv", "--no-header"], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, text=True)
    try:
        owner.stdin.write("SELECT 'here';\n")
        owner.stdin.flush()
        assert owner.stdout.readline() == "here\n"
        assert kade("check", path)[:2] == (1, expected)
        found = json.loads(kade("check", path, "--json")[1])
        assert (found[0]["constraint_name"], found[0]["row_count"]) == ("low", 2), found
    finally:
        owner.stdin.close()
        owner.wait(60)


def test_copy_from_the_pipe():
    script = "CREATE TABLE t (a integer, b text);\n"
    path = database("pipe")
    assert kade(path, script=script)[0] == 0
    code, _, err = kade(path, "-c", "COPY t FROM STDIN (FORMAT csv)", script="1,x\n2,y\n")
    assert code == 0, err
    out = kade(path, "-c", "COPY t TO STDOUT (FORMAT csv)")[1]
    assert out == "1,x\n2,y\n", out


class Terminal:
    """The program on a pseudo-terminal."""

    def __init__(self, *arguments):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(KADE, [KADE, *arguments], ENVIRONMENT)
        self.text = ""

    def expect(self, wanted, seconds=20):
        end = time.monotonic() + seconds
        while wanted not in self.text:
            ready, _, _ = select.select([self.fd], [], [], 0.2)
            if ready:
                try:
                    self.text += os.read(self.fd, 65536).decode("utf-8", "replace")
                except OSError:
                    break
            if time.monotonic() > end:
                break
        assert wanted in self.text, f"{wanted!r} not in {self.text!r}"
        self.text = self.text.split(wanted, 1)[1]

    def expect_again(self, text, wanted):
        """Sends the text every second until it has come about."""
        for _ in range(20):
            self.send(text)
            try:
                return self.expect(wanted, 1)
            except AssertionError:
                pass
        return self.expect(wanted, 0)

    def send(self, text):
        os.write(self.fd, text.encode())

    def end(self, seconds=20):
        """Reads until the program has closed its side: closing ours first would hang it up."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            ready, _, _ = select.select([self.fd], [], [], 0.2)
            try:
                if ready and not os.read(self.fd, 65536):
                    break
            except OSError:
                break
        os.close(self.fd)
        _, status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(status)


def test_the_terminal_edits_completes_and_cancels():
    terminal = Terminal()
    terminal.expect("=> ")
    terminal.send("SELECT 40 +\n")
    terminal.expect("-> ")
    terminal.send("2 AS answer;\n")
    terminal.expect("42")
    terminal.expect("(1 row)")
    terminal.send("half a line\x03")
    terminal.expect("^C")
    terminal.expect_again("SELECT 6 * 7 + 0.5;\n", "42.5")  # Ctrl-C takes along what is typed too soon.
    terminal.expect("=> ")
    terminal.send("SELECT count(*) FROM generate_series(1, 100000000000) i, generate_series(1, 9) j;\n")
    terminal.expect(" query ")  # Its progress: it runs.
    terminal.send("\x03")
    terminal.expect("cancel")
    terminal.expect("=> ")
    terminal.send("\\q\n")
    assert terminal.end() == 0


def test_two_shells_on_one_database():
    path = database("shared")
    first = subprocess.Popen([KADE, path, "--csv", "--no-header"], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)
    first.stdin.write("CREATE TABLE t (a integer); INSERT INTO t VALUES (1); SELECT 'ready';\n")
    first.stdin.flush()
    assert first.stdout.readline() == "ready\n"
    code, out, err = kade(path, "--csv", "--no-header", "-c",
                          "INSERT INTO t VALUES (2); SELECT sum(a) FROM t")
    assert (code, out, err) == (0, "3\n", ""), (code, out, err)
    code, out, err = kade(path, "--csv", "--no-header", "-c", "SELECT nope FROM t")
    assert code == 1 and 'column "nope" does not exist' in err, err
    code, _, err = kade(path, "--read-only", "-c", "INSERT INTO t VALUES (8)")
    assert code == 1 and "read-only" in err, err
    first.stdin.write("SELECT count(*) FROM t;\n")
    first.stdin.flush()
    assert first.stdout.readline() == "2\n"
    first.stdin.close()
    assert first.wait(timeout=30) == 0
    assert kade(path, "--csv", "--no-header", "-c", "SELECT sum(a) FROM t")[1] == "3\n"


def test_a_shell_outlives_the_one_that_owned_the_database():
    path = database("orphan")
    owner = subprocess.Popen([KADE, path, "--csv", "--no-header"], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)
    owner.stdin.write("CREATE TABLE t (a integer); SELECT 'ready';\n")
    owner.stdin.flush()
    assert owner.stdout.readline() == "ready\n"
    client = subprocess.Popen([KADE, path, "--csv", "--no-header"], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              env=ENVIRONMENT)
    client.stdin.write("INSERT INTO t VALUES (1); SELECT count(*) FROM t;\n")
    client.stdin.flush()
    assert client.stdout.readline() == "1\n"
    owner.kill()
    owner.wait()
    _, err = client.communicate("SELECT 1;\n", timeout=30)
    assert "the process that owns the database has gone" in err, err
    assert kade(path, "--csv", "--no-header", "-c", "SELECT sum(a) FROM t")[1] == "1\n"


def test_backup_and_restore():
    path, target, other = database("kept"), database("backups"), database("restored")
    make = "CREATE TABLE t (a integer PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 1000);"
    assert kade(path, "-c", make)[0] == 0
    code, out, err = kade("backup", path, target)
    assert code == 0 and "copied_files" in out, err
    # Beside a process that has the database open.
    owner = subprocess.Popen([KADE, path, "--csv", "--no-header"], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)
    owner.stdin.write("INSERT INTO t VALUES (1001); SELECT 'ready';\n")
    owner.stdin.flush()
    assert owner.stdout.readline() == "ready\n"
    code, _, err = kade("backup", path, target)
    assert code == 0, err
    owner.communicate("DELETE FROM t;\n", timeout=30)
    code, out, _ = kade("backup", "list", target)
    names = [line.split()[1] for line in out.splitlines() if "Z │" in line]
    assert code == 0 and len(names) == 2, out
    assert kade("backup", "verify", target)[0] == 0
    assert kade("backup", "verify", target, names[0])[0] == 0
    assert kade("restore", target, other)[0] == 0
    assert kade(other, "--csv", "--no-header", "-c", "SELECT count(*) FROM t")[1] == "1001\n"
    assert kade("restore", target, other + "2", "--backup", names[0])[0] == 0
    assert kade(other + "2", "--csv", "--no-header", "-c", "SELECT count(*) FROM t")[1] == "1000\n"
    code, _, err = kade("restore", target, path)
    assert code == 1 and "there is a database" in err, err
    code, _, err = kade("backup", other + "3", target)
    assert code == 1 and "does not exist" in err, err
    code, _, err = kade("backup", path, other)
    assert code == 1 and "not a directory of KadeDB backups" in err, err
    code, out, _ = kade("backup", "prune", target, "--keep", "1")
    assert code == 0 and "removed_backups" in out
    assert kade("backup", "verify", target, names[0])[0] == 1
    assert kade("backup", "verify", target, names[1])[0] == 0
    for wrong in (["backup"], ["backup", path], ["backup", "prune", target], ["restore", target],
                  ["backup", path, target, "--rate", "x"], ["backup", path, target, "more"]):
        assert kade(*wrong)[0] == 2, wrong


def test_backups_are_repeated_and_pruned():
    path, target = database("repeated"), database("repeated backups")
    assert kade(path, "-c", "CREATE TABLE t (a int); INSERT INTO t VALUES (1)")[0] == 0
    running = subprocess.Popen([KADE, "backup", path, target, "--every", "1s", "--keep", "1"],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               env=ENVIRONMENT)
    seen = set()

    def three_were_there():
        seen.update(path.name for path in pathlib.Path(target).glob("*.backup"))
        return len(seen) > 2
    try:
        wait_for(three_were_there)
        assert len(seen) > 2, seen
    finally:
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=30)
    assert kade("backup", "verify", target)[0] == 0
    for wrong in (["--every", "0"], ["--every", "5x"], ["--keep", "1"]):
        assert kade("backup", path, target, *wrong)[0] == 2, wrong


def wait_for(holds):
    """Looks again and again; what the test does next fails where it never holds."""
    end = time.monotonic() + 30
    while not holds() and time.monotonic() < end:
        time.sleep(0.01)


def test_a_killed_backup_and_restore_leave_nothing_that_counts():
    path, target, other = database("killed"), database("killed backups"), database("killed new")
    make = ("CREATE TABLE t (a integer PRIMARY KEY, b text);"
            "INSERT INTO t SELECT i, md5(i::text) FROM generate_series(1, 50000) i; CHECKPOINT;")
    assert kade(path, "-c", make)[0] == 0
    running = subprocess.Popen([KADE, "backup", path, target, "--rate", "500k"],
                               stdout=subprocess.DEVNULL, env=ENVIRONMENT)
    objects = target + "/objects"
    wait_for(lambda: os.path.isdir(objects) and os.listdir(objects))  # It has begun to copy.
    running.kill()
    running.wait()
    assert kade("restore", target, other)[0] == 1
    assert kade("backup", path, target)[0] == 0
    for wait in (0.0, 0.01, 0.03):  # Wherever it is by then, the next one begins anew.
        running = subprocess.Popen([KADE, "restore", target, other], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, env=ENVIRONMENT)
        time.sleep(wait)
        running.kill()
        running.wait()
    if not os.path.exists(other + "/ROOT"):
        assert kade("restore", target, other)[0] == 0
    assert kade(other, "--csv", "--no-header", "-c", "SELECT count(*) FROM t")[1] == "50000\n"


def one(path, sql):
    code, out, err = kade(path, "--csv", "--no-header", "-c", sql)
    assert code == 0, err
    return out.strip()


def test_an_archive_goes_on_with_whoever_opens_the_database():
    path, target, other = database("archived"), database("archive of it"), database("from it")
    assert kade(path, "-c", "CREATE TABLE t (a integer PRIMARY KEY, b text DEFAULT 'x');"
                            "CREATE INDEX ON t (b); INSERT INTO t VALUES (1), (2);")[0] == 0
    code, _, err = kade("archive", path, "backups")
    assert code == 1 and "'/' first" in err, err
    code, out, err = kade("archive", path, target)
    assert code == 0 and "following" in out, err
    assert kade(path, "-c", "INSERT INTO t VALUES (3)")[0] == 0
    moment = one(path, "SELECT now()")
    assert kade(path, "-c", "DROP TABLE t; CREATE TABLE u (c integer)")[0] == 0
    code, out, err = kade("archive", path)
    assert code == 0 and "following" in out, err
    assert kade("archive", "list", target)[0] == 0
    assert kade("backup", "verify", target)[0] == 0
    assert kade("restore", target, other)[0] == 0
    assert one(other, "SELECT count(*) FROM u") == "0"
    code, _, err = kade("restore", target, other + "2", "--to", moment)
    assert code == 0, err
    assert one(other + "2", "SELECT count(*) FROM t") == "3"
    for late in (["--to", "2999-01-01"], ["--to-position", "1000000000"]):
        code, _, err = kade("restore", target, other + "3", *late)
        assert code == 1 and "ends at position" in err, err
    code, _, err = kade("restore", target, other + "3", "--to", "1999-01-01")
    assert code == 1 and "no backup" in err, err
    # What was restored has no archive, and none may go where that of the original is.
    assert "off" in kade("archive", other)[1]
    code, _, err = kade("archive", other + "2", target)
    assert code == 1 and "another history" in err, err
    # One table, into the database that goes on.
    fetch = ["restore", target, "--table", "t", "--into", path, "--to", moment]
    assert kade(*fetch)[0] == 0
    assert one(path, "INSERT INTO t (a) VALUES (4); SELECT b FROM t WHERE a = 4") == "x"
    code, _, err = kade(*fetch)
    assert code == 1 and "already exists" in err, err
    assert kade(*fetch, "--as", "t_then")[0] == 0
    assert one(path, "SELECT count(*) FROM t_then") == "3"
    code, _, err = kade("restore", target, "--table", "nothing", "--into", path)
    assert code == 1 and "no table nothing" in err, err
    assert not [name for name in os.listdir(os.path.dirname(path)) if "restoring" in name]
    assert "off" in kade("archive", path, "--stop")[1]
    for wrong in (["archive"], ["archive", path, target, "--stop"], ["archive", "list"],
                  ["restore", target, other, "--to"], ["restore", target, other, "--table", "t"],
                  ["restore", target, "--table", "t"],
                  ["restore", target, other, "--to", moment, "--backup", "x"]):
        assert kade(*wrong)[0] == 2, wrong


def test_what_was_acknowledged_a_second_before_a_kill_is_in_the_archive():
    """Only the archive is left; each transaction has two rows."""
    path, target = database("lost"), database("archive of the lost")
    assert kade(path, "-c", "CREATE TABLE t (a integer, b integer)")[0] == 0
    assert kade("archive", path, target)[0] == 0
    for round_no in range(3):
        owner = subprocess.Popen([KADE, path, "--csv", "--no-header"], stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)
        acknowledged, base, end = [], round_no * 1000000, time.monotonic() + 2.5
        number = base
        while time.monotonic() < end:
            number += 1
            owner.stdin.write(f"INSERT INTO t VALUES ({number}, 1), ({number}, 2); SELECT 'y';\n")
            owner.stdin.flush()
            assert owner.stdout.readline() == "y\n"
            acknowledged.append((time.monotonic(), number))
        killed = time.monotonic()
        owner.kill()
        owner.wait()
        other = database(f"found {round_no}")
        code, _, err = kade("restore", target, other)
        if code != 0:  # A piece was just being written: the detail says where to end.
            assert "the last piece is incomplete" in err, err
            position = err.split("ends at position ")[1].split(".")[0]
            code, _, err = kade("restore", target, other, "--to-position", position)
        assert code == 0, err
        assert one(other, "SELECT count(*) FROM (SELECT FROM t GROUP BY a HAVING count(*) <> 2) h"
                   ) == "0"
        last = int(one(other, "SELECT coalesce(max(a), 0) FROM t"))
        assert all(n <= last for when, n in acknowledged if when < killed - 1), (last, number)
        assert int(one(other, f"SELECT count(*) FROM t WHERE a > {base}")) == 2 * (last - base)


def test_a_terminal_opens_the_database_again():
    path = database("again")
    owner = subprocess.Popen([KADE, path, "--csv", "--no-header"], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)
    owner.stdin.write("CREATE TABLE t (a integer); SELECT 'ready';\n")
    owner.stdin.flush()
    assert owner.stdout.readline() == "ready\n"
    terminal = Terminal(path)
    terminal.expect("=> ")
    terminal.send("INSERT INTO t VALUES (41);\n")
    terminal.expect("INSERT 0 1")
    owner.kill()
    owner.wait()
    terminal.send("SELECT 1;\n")
    terminal.expect("the process that owns the database has gone")
    terminal.expect("The database was opened again")
    terminal.expect("=> ")
    terminal.send("SELECT a + 1 AS answer FROM t;\n")
    terminal.expect("42")
    terminal.send("\\q\n")
    terminal.end()


def main():
    passed = failed = 0
    for name, test in list(globals().items()):
        if not name.startswith("test_") or (sys.argv[2:] and name not in sys.argv[2:]):
            continue
        try:
            test()
            passed += 1
        except Exception:
            failed += 1
            print(f"FAIL {name}")
            traceback.print_exc(file=sys.stdout)
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

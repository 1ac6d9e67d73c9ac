#!/usr/bin/env python3
"""kade serve, message by message: what each part of PostgreSQL's protocol does, and what bad clients get.

usage: run_protocol.py KADE [NAME...]
"""
import pathlib
import random
import select
import signal
import socket
import ssl
import struct
import subprocess
import sys
import time

from served import ENVIRONMENT, KADE, Server, main
from wire import (CANCEL_REQUEST, FLUSH, GSS_REQUEST, SSL_REQUEST, SYNC, BoundScram, Scram, Wire, bind, close,
                  describe, execute, fields, message, parse, query, row, startup, text)

INT4, INT8, TEXT = 23, 20, 25


def served(**settings):
    """A server for one test, with a session of its owner."""
    def wrap(test):
        def run():
            with Server(test.__name__, **settings) as server:
                test(server)
        run.__name__ = test.__name__
        return run
    return wrap


def eventually(condition, seconds=20):
    """Waits until it holds; it has to come soon."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)


# --- Beginning ----------------------------------------------------------------------------------


@served()
def test_a_session_begins_with_what_clients_look_for(server):
    wire = Wire(server).login(application_name="a program", TimeZone="Europe/Berlin")
    for name, value in {"server_encoding": "UTF8", "client_encoding": "UTF8", "DateStyle": "ISO, MDY",
                        "integer_datetimes": "on", "standard_conforming_strings": "on",
                        "TimeZone": "Europe/Berlin", "application_name": "a program"}.items():
        assert wire.parameters[name] == value, (name, wire.parameters)
    assert wire.parameters["server_version"].startswith("15.")
    assert wire.key[0] == int(wire.answer(query("SELECT pg_backend_pid()"))[0][0][0])
    assert wire.answer(query("SHOW default_transaction_isolation"))[0][0] == ("read committed",)


@served()
def test_settings_are_reported_as_they_change(server):
    wire = Wire(server).login()
    wire.answer(query("SET application_name = 'x'; SET timezone = 'Asia/Tokyo'"))
    assert wire.parameters["application_name"] == "x"
    assert wire.parameters["TimeZone"] == "Asia/Tokyo"
    wire.answer(query("BEGIN; SET application_name = 'y'"))
    assert wire.parameters["application_name"] == "y"
    wire.answer(query("ROLLBACK"))
    assert wire.parameters["application_name"] == "x"


@served()
def test_options_of_the_startup_packet_are_set(server):
    wire = Wire(server).login(options=r"-c statement_timeout=5s --application-name=a\ b")
    assert wire.answer(query("SHOW statement_timeout"))[0][0] == ("5s",)
    assert wire.parameters["application_name"] == "a b"
    for options in ("-c nonsense=1", "-c", "-x", "statement_timeout=1"):
        bad = Wire(server)
        bad.send(startup(user="kade", options=options))
        kind, body = next((kind, body) for kind, body in iter(bad.next, None) if kind == "E")
        assert fields(body)["S"] == "FATAL", options
        assert bad.is_closed()


@served()
def test_what_is_no_login_is_refused(server):
    for packet, code in ((startup(user="nobody"), "28000"),
                         (startup(user="kade", database="other"), "3D000"),
                         (startup(user="kade", replication="true"), "0A000"),
                         (startup(application_name="x"), "28000"),
                         (startup(version=2 << 16, user="kade"), "0A000"),
                         (startup(version=4 << 16, user="kade"), "0A000"),
                         (startup(), "08P01"),
                         (startup(user="kade")[:-1] + b"x", "08P01"),
                         (struct.pack("!ii", 8, 7), "0A000"),
                         (struct.pack("!i", 3), "08P01"), (struct.pack("!i", -1), "08P01"),
                         (struct.pack("!i", 10001), "08P01"), (b"GET / HTTP/1.1\r\n\r\n", "08P01")):
        wire = Wire(server)
        wire.send(packet)
        kind, body = wire.next()
        assert kind == "E" and fields(body)["C"] == code, (packet, kind, body)
        assert fields(body)["S"] == "FATAL"
        assert wire.is_closed(), packet


@served()
def test_an_unknown_minor_version_and_options_of_the_protocol_are_negotiated(server):
    wire = Wire(server)
    wire.send(startup(version=(3 << 16) + 2, user="kade", **{"_pq_.shiny": "1"}))
    kind, body = wire.next()
    assert kind == "v" and body == struct.pack("!ii", 0, 1) + text("_pq_.shiny"), (kind, body)
    assert wire.until_ready()[1] == "I"


@served()
def test_encryption_that_is_not_offered_is_declined_once(server):
    wire = Wire(server)
    for code in (SSL_REQUEST, GSS_REQUEST):
        wire.send(struct.pack("!ii", 8, code))
        assert wire.bytes(1) == b"N"
    wire.login()
    wire = Wire(server)
    wire.send(struct.pack("!ii", 8, SSL_REQUEST) * 2)
    assert wire.bytes(1) == b"N" and fields(wire.next()[1])["C"] == "08P01"
    assert wire.is_closed()


@served()
def test_a_role_logs_in_with_its_password_alone(server):
    server.sql("ALTER ROLE kade PASSWORD 'pencil'; CREATE ROLE anna SUPERUSER LOGIN PASSWORD 'secret'; "
               "CREATE ROLE ben SUPERUSER NOLOGIN PASSWORD 'secret'; CREATE ROLE carl SUPERUSER LOGIN; "
               "CREATE ROLE old SUPERUSER LOGIN PASSWORD 'secret' VALID UNTIL '2020-01-01'; "
               "CREATE ROLE dora LOGIN PASSWORD 'secret'")

    def tries(user, password, scram=Scram):
        wire = Wire(server, tcp=True)
        return wire, wire.authenticate(user, password, scram)

    wire, failure = tries("anna", "secret")
    assert failure is None and wire.answer(query("SELECT current_user, session_user"))[0][0] == ("anna", "anna")
    assert wire.parameters["session_authorization"] == "anna" and wire.parameters["is_superuser"] == "on"
    wire.answer(query("SET SESSION AUTHORIZATION dora"))
    assert wire.parameters["session_authorization"] == "dora" and wire.parameters["is_superuser"] == "off"
    wire, failure = tries("kade", "pencil")
    assert failure is None and wire.parameters["is_superuser"] == "on"
    for user, password in (("anna", "Secret"), ("kade", "secret"), ("carl", ""), ("old", "secret"), ("nobody", "secret")):
        wire, failure = tries(user, password)
        assert failure["C"] == "28P01" and failure["S"] == "FATAL", (user, password, failure)
        assert wire.is_closed()
    assert tries("ben", "secret")[1]["C"] == "28000"
    # What it may do nobody checks: it does not get in at all.
    assert tries("dora", "secret")[1]["C"] == "28000"
    # Whether a role exists is not to be seen: the same salt each time, as a real one has.
    salts = [[tries(user, "x")[0].scram.salt for _ in range(2)] for user in ("anna", "nobody", "nobody else")]
    assert all(first == second and len(first) == 16 for first, second in salts)
    assert len({first for first, _ in salts}) == 3


@served()
def test_who_guesses_passwords_is_slowed_down(server):
    server.sql("CREATE ROLE anna SUPERUSER LOGIN PASSWORD 'secret'")

    def tries(user, password):
        failure = Wire(server, tcp=True).authenticate(user, password, Scram)
        return failure and (failure["C"], failure.get("H"))

    for _ in range(4):
        assert tries("anna", "wrong") == ("28P01", None)
    assert tries("anna", "secret") is None  # The count begins anew.
    for _ in range(5):
        assert tries("anna", "wrong") == ("28P01", None)
    code, hint = tries("anna", "secret")
    assert code == "28000" and hint == "Try again in 1 s.", (code, hint)
    eventually(lambda: tries("anna", "secret") is None)
    # Going through names is no faster.
    for i in range(20):
        assert tries(f"nobody {i}", "wrong") == ("28P01", None)
    assert tries("somebody else", "wrong")[0] == "28000"
    assert server.sql("SELECT 1") == "1"  # The local socket is another place.


@served()
def test_an_exchange_that_is_not_as_it_should_be_is_refused(server):
    server.sql("CREATE ROLE anna SUPERUSER LOGIN PASSWORD 'secret'")

    class Replayed(Scram):
        """Says what it said in an exchange before."""
        last = None

        def final(self, server_first):
            message = super().final(server_first)
            Replayed.last = Replayed.last or message
            return Replayed.last

    def fails(scram):
        wire = Wire(server, tcp=True)
        failure = wire.authenticate("anna", "secret", scram)
        return failure and failure["C"]

    assert fails(Replayed) is None and fails(Replayed) == "08P01"
    for name, changed in {
            "mechanism": {"mechanism": "SCRAM-SHA-1"}, "binding without TLS": {"mechanism": "SCRAM-SHA-256-PLUS"},
            "for somebody else": {"header": "n,a=kade,"}, "no header": {"header": ""},
            "binding claimed": {"header": "p=tls-server-end-point,,"}, "no nonce": {"first": "n=,r="},
            "an extension": {"first": "m=x,n=,r=abc"}, "nothing": {"first": ""},
            "another nonce": {"nonce": "r=abc"}, "another header": {"binding": "eSws"},
            "no proof": {"proof": ""}, "a short proof": {"proof": "AAAA"}, "not base64": {"proof": "!" * 44},
            "zeros": {"proof": "A" * 43 + "="}}.items():
        code = fails(type("Bad", (Scram,), changed))
        assert code in ("08P01", "28000", "28P01"), (name, code)
    assert fails(Scram) is None


@served(ssl="on")
def test_encrypted_connections(server):
    server.sql("CREATE ROLE anna SUPERUSER LOGIN PASSWORD 'secret'")
    for version, downgrade in ((ssl.TLSVersion.TLSv1_3, False), (ssl.TLSVersion.TLSv1_2, False)):
        wire = Wire(server, tcp=True)
        wire.encrypt(version)
        assert wire.authenticate("anna", "secret", Scram) is None
        assert wire.answer(query("SELECT repeat('x', 3000000)"))[0][0] == ("x" * 3000000,)
        wire.close()
        # Bound to the certificate; a client that thinks that the server cannot do it is refused.
        for scram, code in ((BoundScram, None), (type("Wrong", (BoundScram,), {"end_point": b"x" * 32}), "28000"),
                            (type("Downgraded", (Scram,), {"header": "y,,"}), "28000")):
            wire = Wire(server, tcp=True)
            wire.encrypt(version)
            failure = wire.authenticate("anna", "secret", scram)
            assert (failure and failure["C"]) == code, (scram, failure, downgrade)
    wire = Wire(server, tcp=True)
    try:
        wire.encrypt(ssl.TLSVersion.TLSv1_1)
        raise AssertionError("TLS 1.1 was accepted")
    except (ssl.SSLError, ConnectionResetError, ValueError):
        pass
    # What comes before the handshake in clear text is not taken for encrypted (CVE-2021-23214).
    wire = Wire(server, tcp=True)
    wire.send(struct.pack("!ii", 8, SSL_REQUEST) + startup(user="anna"))
    kind = wire.bytes(1)
    assert kind == b"E" and wire.is_closed()
    wire = Wire(server, tcp=True)
    wire.send(struct.pack("!ii", 8, SSL_REQUEST))
    assert wire.bytes(1) == b"S"
    wire.send(startup(user="anna"))  # Not encrypted after all.
    assert wire.is_closed()
    assert server.sql("SELECT 1") == "1"


@served()
def test_every_message_before_the_login_ends_the_connection(server):
    for kind in map(chr, range(256)):
        wire = Wire(server, tcp=True)
        wire.send(startup(user="kade"))
        kind_of_answer, body = wire.next()
        assert kind_of_answer == "R" and struct.unpack("!i", body[:4])[0] == 10, body
        wire.send(kind.encode("latin-1") + struct.pack("!i", 9) + b"hello")
        kind_of_answer, body = wire.next()
        assert kind_of_answer == "E" and fields(body)["C"] in ("08P01", "28000"), (kind, body)
        assert wire.is_closed(), kind


@served(authentication_timeout="1s")
def test_who_does_not_log_in_is_thrown_out_in_time(server):
    silent, half, slow = Wire(server, tcp=True), Wire(server, tcp=True), Wire(server, tcp=True)
    half.send(startup(user="kade")[:7])
    slow.send(startup(user="kade"))
    slow.next()
    for wire in (silent, half, slow):
        assert wire.is_closed()


@served()
def test_a_login_may_come_byte_by_byte(server):
    wire = Wire(server)
    for byte in startup(user="kade", application_name="slow"):
        wire.send(bytes([byte]))
    wire.until_ready()
    for byte in query("SELECT 1"):
        wire.send(bytes([byte]))
    assert wire.until_ready()[1] == "I"


# --- Query --------------------------------------------------------------------------------------


@served()
def test_a_script_is_one_transaction(server):
    wire = Wire(server).login()
    assert wire.answer(query("CREATE TABLE t (a int)")) == (["CREATE TABLE"], "I")
    assert wire.answer(query("INSERT INTO t VALUES (1); SELECT 1/0; INSERT INTO t VALUES (2)")) == (
        ["INSERT 0 1", "22012"], "I")
    assert wire.answer(query("SELECT count(*) FROM t"))[0] == [("0",), "SELECT 1"]
    # What BEGIN and COMMIT in it say counts.
    assert wire.answer(query("INSERT INTO t VALUES (3); COMMIT; INSERT INTO t VALUES (4); SELECT 1/0"))[0] \
        == ["INSERT 0 1", "COMMIT", "INSERT 0 1", "22012"]
    assert wire.notices.pop()["C"] == "25P01"
    assert wire.answer(query("INSERT INTO t VALUES (5); BEGIN; INSERT INTO t VALUES (6)"))[1] == "T"
    assert wire.answer(query("ROLLBACK"))[1] == "I"
    assert wire.answer(query("SELECT a FROM t"))[0][:-1] == [("3",)]
    assert wire.answer(query("SAVEPOINT s; SELECT 1"))[0] == ["25P01"]


@served()
def test_nothing_of_a_script_runs_that_does_not_parse(server):
    wire = Wire(server).login()
    wire.send(query("CREATE TABLE t (a int); SELEKT 1"))
    (kind, body), = wire.until_ready()[0]
    assert kind == "E" and fields(body)["C"] == "42601" and fields(body)["P"] == "25", body
    assert wire.answer(query("SELECT * FROM t"))[0] == ["42P01"]


@served()
def test_positions_of_errors_count_characters_of_the_script(server):
    wire = Wire(server).login()
    wire.send(query("SELECT 'äöü'; SELECT 'é', nonsense"))
    body = next(body for kind, body in wire.until_ready()[0] if kind == "E")
    assert fields(body)["P"] == str("SELECT 'äöü'; SELECT 'é', nonsense".index("nonsense") + 1)


@served()
def test_an_empty_query_and_statements_without_rows_are_answered(server):
    wire = Wire(server).login()
    for nothing in ("", "   ", ";;", "-- a comment"):
        assert wire.answer(query(nothing)) == (["I"], "I"), nothing
    assert wire.answer(query("CREATE TABLE t (a int); DROP TABLE t; BEGIN"))[0] == [
        "CREATE TABLE", "DROP TABLE", "BEGIN"]
    assert wire.answer(query("SELECT 1/0")) == (["22012"], "E")
    assert wire.answer(query("SELECT 1")) == (["25P02"], "E")
    assert wire.answer(query("ROLLBACK")) == (["ROLLBACK"], "I")


@served()
def test_errors_carry_detail_hint_and_constraint(server):
    wire = Wire(server).login()
    wire.answer(query("CREATE TABLE t (a int PRIMARY KEY); INSERT INTO t VALUES (1)"))
    wire.send(query("INSERT INTO t VALUES (1)"))
    found = fields(next(body for kind, body in wire.until_ready()[0] if kind == "E"))
    assert found["S"] == found["V"] == "ERROR" and found["C"] == "23505"
    assert found["D"] == "Key (a)=(1) already exists." and found["n"] == "t_pkey", found


@served()
def test_long_rows_and_many_rows_arrive_whole(server):
    wire = Wire(server).login()
    wire.send(query("SELECT repeat('x', 20000000), g FROM generate_series(1, 3) g"))
    rows = [row(body) for kind, body in wire.until_ready()[0] if kind == "D"]
    assert [len(values[0]) for values in rows] == [20000000] * 3
    wire.send(query("SELECT g, g::text FROM generate_series(1, 200000) g"))
    rows = [row(body) for kind, body in wire.until_ready()[0] if kind == "D"]
    assert len(rows) == 200000 and rows[123456] == [b"123457", b"123457"]


# --- The extended protocol ----------------------------------------------------------------------


@served()
def test_a_statement_is_prepared_bound_described_and_run(server):
    wire = Wire(server).login()
    wire.send(parse("SELECT $1 + 1, $2 || 'x', $3::bigint", "s", (INT4,)), describe("S", "s"), SYNC)
    found, _ = wire.until_ready()
    assert [kind for kind, _ in found] == ["1", "t", "T"]
    assert found[1][1] == struct.pack("!hiii", 3, INT4, TEXT, INT8)
    assert wire.answer(bind(41, "a", None, name="s"), execute(), SYNC) == (
        ["2", ("42", "ax", None), "SELECT 1"], "I")
    # Binary both ways.
    wire.send(bind(struct.pack("!i", 41), b"a", struct.pack("!q", 7), name="s", formats=(1,), results=(1, 0, 1)),
              describe("P"), execute(), SYNC)
    found, _ = wire.until_ready()
    assert row(found[2][1]) == [struct.pack("!i", 42), b"ax", struct.pack("!q", 7)], found
    assert wire.answer(close("S", "s"), close("S", "never"), SYNC)[0] == ["3", "3"]
    assert wire.answer(bind(1, "a", 2, name="s"), SYNC)[0] == ["26000"]


@served()
def test_a_portal_gives_its_rows_in_parts(server):
    wire = Wire(server).login()
    assert wire.answer(parse("SELECT generate_series(1, 5)"), bind(portal="p"), execute("p", 2), execute("p", 2),
                       execute("p", 2), execute("p"), SYNC)[0] == [
        "1", "2", ("1",), ("2",), "s", ("3",), ("4",), "s", ("5",), "SELECT 5", "SELECT 0"]
    assert wire.answer(execute("p"), SYNC)[0] == ["34000"]  # It went with its transaction.
    wire.answer(query("BEGIN"))
    wire.answer(parse("SELECT generate_series(1, 5000)", "s"), bind(portal="p", name="s"), execute("p", 2), SYNC)
    # Other statements come between, also the same one.
    assert wire.answer(bind(portal="q", name="s"), execute("q", 1), SYNC)[0] == ["2", ("1",), "s"]
    assert wire.answer(query("SELECT 'between'"))[0][0] == ("between",)
    assert wire.answer(execute("p", 1), SYNC)[0] == [("3",), "s"]
    assert wire.answer(execute("q", 1), close("P", "p"), SYNC)[0] == [("2",), "s", "3"]
    assert wire.answer(query("COMMIT")) == (["COMMIT"], "I")
    assert wire.answer(execute("q"), SYNC)[0] == ["34000"]


@served()
def test_what_stands_between_two_syncs_is_one_transaction(server):
    wire = Wire(server).login()
    wire.answer(query("CREATE TABLE t (a int PRIMARY KEY)"))
    insert = parse("INSERT INTO t VALUES ($1)")
    assert wire.answer(insert, bind(1), execute(), bind(2), execute(), bind(1), execute(), bind(3), execute(), SYNC
                       ) == (["1", "2", "INSERT 0 1", "2", "INSERT 0 1", "2", "23505"], "I")
    assert wire.answer(query("SELECT count(*) FROM t"))[0][0] == ("0",)
    assert wire.answer(insert, bind(1), execute(), bind(2), execute(), SYNC)[1] == "I"
    assert wire.answer(query("SELECT count(*) FROM t"))[0][0] == ("2",)
    # A flush gives the answers, and ends nothing.
    wire.send(insert, bind(3), execute(), FLUSH)
    assert [wire.next()[0] for _ in range(3)] == ["1", "2", "C"]
    assert Wire(server).login().answer(query("SELECT count(*) FROM t"))[0][0] == ("2",)
    assert wire.answer(SYNC) == ([], "I")
    assert wire.answer(query("SELECT count(*) FROM t"))[0][0] == ("3",)
    # BEGIN among them goes on behind the Sync.
    assert wire.answer(parse("BEGIN"), bind(), execute(), insert, bind(4), execute(), SYNC)[1] == "T"
    assert wire.answer(query("ROLLBACK"))[1] == "I"


@served()
def test_after_a_failure_messages_are_passed_over_up_to_sync(server):
    wire = Wire(server).login()
    assert wire.answer(parse("SELEKT"), parse("SELECT 1"), bind(), execute(), FLUSH, SYNC) == (["42601"], "I")
    assert wire.answer(bind(name="none"), SYNC)[0] == ["26000"]
    assert wire.answer(execute("none"), SYNC)[0] == ["34000"]
    assert wire.answer(describe("S", "none"), SYNC)[0] == ["26000"]
    assert wire.answer(describe("P", "none"), SYNC)[0] == ["34000"]
    assert wire.answer(parse("SELECT 1; SELECT 2"), SYNC)[0] == ["42601"]
    wire.answer(parse("SELECT $1::int", "s"), SYNC)
    assert wire.answer(parse("SELECT 2", "s"), SYNC)[0] == ["42P05"]
    for wrong, code in ((bind(name="s"), "08P01"), (bind(1, 2, name="s"), "08P01"),
                        (bind(1, name="s", formats=(0, 0)), "08P01"),
                        (bind(1, name="s", formats=(2,)), "22023"),
                        (bind(1, name="s", results=(0, 0)), "08P01"),
                        (bind(b"abc", name="s", formats=(1,)), "22P03"),
                        (bind(b"\xff", name="s"), "22021")):
        assert wire.answer(wrong, SYNC)[0] == [code], wrong
    assert wire.answer(bind("x", name="s"), execute(), SYNC)[0] == ["2", "22P02"]


@served()
def test_messages_that_end_too_early_are_told_so(server):
    wire = Wire(server).login()
    wire.answer(query("CREATE TABLE t (a int)"))
    wire.answer(parse("SELECT $1::int, $2::text", "s"), SYNC)
    for whole in (parse("SELECT 1", types=(INT4, TEXT)), bind(1, "abc", name="s", formats=(0, 0), results=(0, 0)),
                  execute("p", 3), describe("S", "s"), close("S", "none")):
        kind, body = whole[:1].decode(), whole[5:]
        for size in range(len(body)):
            answer, state = wire.answer(message(kind, body[:size]), SYNC)
            assert len(answer) == 1 and answer[0] in ("08P01", "26000", "34000", "3"), (whole, size, answer)
            assert state == "I"
        answer, _ = wire.answer(message(kind, body + b"\0"), SYNC)
        assert answer[0] in ("08P01", "34000"), (whole, answer)
    assert wire.answer(message("Q", b"SELECT 1"))[0] == ["08P01"]
    assert wire.answer(message("Q", b"SELECT 1\0more\0"))[0] == ["08P01"]
    assert wire.answer(message("F", b"anything"))[0] == ["0A000"]
    assert wire.answer(query("SELECT 1"))[0] == [("1",), "SELECT 1"]


@served()
def test_a_message_that_cannot_be_ends_the_connection(server):
    for packet in (b"Q" + struct.pack("!i", 3), b"Q" + struct.pack("!i", -5), b"Q" + struct.pack("!I", 1 << 31),
                   message("\x01"), message("z", b"zz"), message("p", b"late")):
        wire = Wire(server).login()
        wire.send(packet)
        kind, body = wire.next()
        assert kind == "E" and fields(body)["S"] == "FATAL" and fields(body)["C"] == "08P01", packet
        assert wire.is_closed()


@served()
def test_random_bytes_harm_nobody_else(server):
    other = Wire(server).login()
    chance = random.Random(5)
    for turn in range(300):
        wire = Wire(server)
        if turn % 3 > 0:
            wire.login()
        kinds = b"QPBDECSHFdcfXp" + bytes([chance.randrange(256)])
        junk = b"".join(bytes([chance.choice(kinds)]) + struct.pack("!i", chance.randrange(4, 40))
                        + chance.randbytes(chance.randrange(36)) for _ in range(20))
        wire.send(junk)
        wire.close()
    assert other.answer(query("SELECT 1"))[0] == [("1",), "SELECT 1"]


@served()
def test_a_large_parameter_comes_whole(server):
    wire = Wire(server).login()
    value = b"x" * (32 << 20)
    assert wire.answer(parse("SELECT length($1::text)"), bind(value), execute(), SYNC)[0][2] == (str(len(value)),)


@served()
def test_a_cursor_of_declare_is_a_portal_too(server):
    wire = Wire(server).login()
    wire.answer(query("BEGIN; DECLARE c CURSOR FOR SELECT 1 AS one, 'x' AS two"))
    wire.send(describe("P", "c"), SYNC)
    (kind, body), = wire.until_ready()[0]
    assert kind == "T" and body[:2] == struct.pack("!h", 2) and b"one\0" in body


# --- COPY ---------------------------------------------------------------------------------------


@served()
def test_copy_sends_a_message_a_row(server):
    wire = Wire(server).login()
    wire.answer(query("CREATE TABLE t (a int, b text); INSERT INTO t VALUES (1, 'x'), (2, E'two\\nlines \"')"))
    wire.send(query("COPY t TO STDOUT"))
    found, _ = wire.until_ready()
    assert found == [("H", struct.pack("!bhhh", 0, 2, 0, 0)), ("d", b"1\tx\n"), ("d", b"2\ttwo\\nlines \"\n"),
                     ("c", b""), ("C", b"COPY 2\0")], found
    wire.send(query("COPY (SELECT b FROM t ORDER BY a) TO STDOUT (FORMAT csv, HEADER)"))
    found, _ = wire.until_ready()
    assert [body for kind, body in found if kind == "d"] == [b"b\n", b"x\n", b'"two\nlines """\n']


@served()
def test_copy_takes_rows_however_they_are_cut(server):
    wire = Wire(server).login()
    wire.answer(query("CREATE TABLE t (a int, b text)"))
    lines = b"".join(b"%d\trow %d\n" % (i, i) for i in range(20000))
    wire.send(query("COPY t FROM STDIN"))
    assert wire.next() == ("G", struct.pack("!bhhh", 0, 2, 0, 0))
    at, chance = 0, random.Random(3)
    while at < len(lines):
        size = chance.randrange(1, 5000)
        wire.send(message("d", lines[at:at + size]))
        at += size
    assert wire.answer(message("c")) == (["COPY 20000"], "I")
    assert wire.answer(query("SELECT count(*), sum(a), max(b) FROM t"))[0][0] == ("20000", "199990000", "row 9999")


@served()
def test_a_copy_that_fails_on_either_side_leaves_nothing(server):
    wire = Wire(server).login()
    wire.answer(query("CREATE TABLE t (a int)"))
    wire.send(query("COPY t FROM STDIN"))
    wire.next()
    wire.send(message("d", b"1\n2\n"), message("f", text("no more")))
    found, state = wire.until_ready()
    assert fields(found[0][1])["C"] == "57014" and "no more" in fields(found[0][1])["M"], found
    wire.send(query("COPY t FROM STDIN"))
    wire.next()
    # The client goes on for a while before it hears of the failure.
    wire.send(message("d", b"1\nx\n"), *[message("d", b"3\n")] * 100, message("c"), query("SELECT 1"))
    answer = [kind for kind, _ in wire.until_ready()[0]]
    assert answer == ["E"], answer
    assert wire.until_ready()[1] == "I"
    wire.send(query("COPY t FROM STDIN"))
    wire.next()
    assert wire.answer(message("d", b"1\n"), query("SELECT 1"))[0][0] == "57014"
    assert wire.answer(query("SELECT count(*) FROM t"))[0][0] == ("0",)
    # In the extended protocol.
    assert wire.answer(parse("COPY t FROM STDIN"), bind(), execute(), message("d", b"7\n"), message("c"), SYNC
                       ) == (["1", "2", "G", "COPY 1"], "I")
    assert wire.answer(query("SELECT a FROM t"))[0][0] == ("7",)


BINARY_HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)


def binary_row(*fields_of_row):
    return struct.pack("!h", len(fields_of_row)) + b"".join(
        struct.pack("!i", -1) if field is None else struct.pack("!i", len(field)) + field for field in fields_of_row)


@served()
def test_binary_copy_is_the_same_both_ways(server):
    wire = Wire(server).login()
    wire.answer(query("CREATE TABLE t (a int, b varchar(3), c numeric(6,2))"))
    rows = [binary_row(struct.pack("!i", 1), b"abc", struct.pack("!hhHhhh", 2, 0, 0, 2, 12, 3000)),
            binary_row(None, None, None)]
    wire.send(query("COPY t FROM STDIN (FORMAT binary)"))
    assert wire.next() == ("G", struct.pack("!bhhhh", 1, 3, 1, 1, 1))
    data = BINARY_HEAD + b"".join(rows) + b"\xff\xff"
    assert wire.answer(*[message("d", data[i:i + 1]) for i in range(len(data))], message("c"))[0] == ["COPY 2"]
    assert wire.answer(query("SELECT * FROM t"))[0][:-1] == [("1", "abc", "12.30"), (None, None, None)]
    wire.send(query("COPY t TO STDOUT (FORMAT binary)"))
    found = [body for kind, body in wire.until_ready()[0] if kind == "d"]
    assert found == [BINARY_HEAD + rows[0], rows[1], b"\xff\xff"], found
    # Every beginning of it is refused, and so is what is wrong in it.
    wrong = [(data[:size], "22P04") for size in range(len(data))]
    wrong += [(data + b"x", "22P04"), (BINARY_HEAD + binary_row(b"1234") + b"\xff\xff", "22P04"),
              (BINARY_HEAD + struct.pack("!hi", 3, -2), "22P04"), (BINARY_HEAD + struct.pack("!hi", 3, 0x7fffffff), "22P04"),
              (b"PGCOPY\n\xff\r\n\0" + struct.pack("!ii", 1 << 16, 0), "22P04"),
              (BINARY_HEAD + binary_row(b"12", None, None) + b"\xff\xff", "22P03"),
              (BINARY_HEAD + binary_row(None, b"\xff", None) + b"\xff\xff", "22021"),
              (BINARY_HEAD + binary_row(None, b"four", None) + b"\xff\xff", "22001")]
    for bad, code in wrong:
        wire.send(query("COPY t FROM STDIN BINARY"))
        wire.next()
        assert wire.answer(message("d", bad), message("c"))[0] == [code], (bad, code)
    assert wire.answer(query("SELECT count(*) FROM t"))[0][0] == ("2",)


# --- Cancelling and ending ----------------------------------------------------------------------

ENDLESS = "SELECT count(*) FROM generate_series(1, 100000000) a, generate_series(1, 100000000) b"


def active(server):
    """Sessions that run a statement, beside the one that asks."""
    return int(server.sql("SELECT count(*) FROM pg_stat_activity "
                          "WHERE state = 'active' AND pid <> pg_backend_pid()"))


def ask_to_cancel(server, number, secret):
    wire = Wire(server)
    wire.send(struct.pack("!iiii", 16, CANCEL_REQUEST, number, secret))
    assert wire.is_closed()


@served()
def test_a_statement_is_cancelled_by_its_key_alone(server):
    wire = Wire(server).login()
    wire.send(query(ENDLESS))
    eventually(lambda: active(server) == 1)
    number, secret = wire.key
    for forged in ((number, secret ^ 1), (number + 1, secret), (0, secret), (number, 0)):
        ask_to_cancel(server, *forged)
    assert active(server) == 1
    ask_to_cancel(server, number, secret)
    assert fields(wire.until_ready()[0][-1][1])["C"] == "57014"
    ask_to_cancel(server, number, secret)  # Nothing runs: nothing happens.
    assert wire.answer(query("SELECT 1"))[0] == [("1",), "SELECT 1"]


@served()
def test_notifications_reach_listeners_when_they_are_committed(server):
    listener, sender = Wire(server).login(), Wire(server).login()
    assert listener.answer(query("LISTEN news; LISTEN other")) == (["LISTEN", "LISTEN"], "I")
    sender.answer(query("BEGIN; NOTIFY news, 'one'; NOTIFY news, 'one'; SAVEPOINT s; NOTIFY news, 'never'; "
                        "ROLLBACK TO s; SELECT pg_notify('other', 'twö')"))
    assert sender.answer(query("COMMIT"))[1] == "I"
    number = struct.pack("!i", sender.key[0])
    # Without being asked: the listener rests.
    assert listener.next() == ("A", number + text("news") + text("one"))
    assert listener.next() == ("A", number + text("other") + text("twö"))
    sender.answer(query("BEGIN; NOTIFY news, 'never'; ROLLBACK; NOTIFY nobody"))
    # Not within the listener's transactions; a session hears itself.
    listener.answer(query("BEGIN"))
    sender.answer(query("NOTIFY news"))
    assert listener.answer(query("SELECT 1"))[0] == [("1",), "SELECT 1"]
    listener.send(query("NOTIFY other; COMMIT"))
    found = listener.until_ready()[0]
    own = struct.pack("!i", listener.key[0])
    assert [body for kind, body in found if kind == "A"] == [number + text("news") + text(""),
                                                           own + text("other") + text("")], found
    assert listener.answer(query("UNLISTEN news"))[0] == ["UNLISTEN"]
    sender.answer(query("NOTIFY news, 'never'; NOTIFY other, 'yes'"))
    assert listener.next() == ("A", number + text("other") + text("yes"))
    assert listener.answer(query("UNLISTEN *; LISTEN x; DISCARD ALL"))[0][-1] == "25001"
    for wrong in (f"NOTIFY news, '{'x' * 8000}'", "SELECT pg_notify('', 'x')", f"SELECT pg_notify('{'c' * 64}', '')"):
        assert sender.answer(query(wrong))[0] == ["22023"], wrong


@served()
def test_a_session_is_cancelled_or_ended_by_another(server):
    idle, busy, held = (Wire(server).login() for _ in range(3))
    other = Wire(server).login()
    busy.send(query(ENDLESS))
    eventually(lambda: active(server) == 1)
    assert other.answer(query(f"SELECT pg_cancel_backend({busy.key[0]})"))[0][0] == ("t",)
    assert fields(busy.until_ready()[0][-1][1])["C"] == "57014"
    assert other.answer(query("SELECT pg_cancel_backend(99999)"))[0][0] == ("f",)
    assert other.notices.pop()["S"] == "WARNING"
    server.sql("CREATE TABLE t (a int PRIMARY KEY)")
    held.answer(query("BEGIN; INSERT INTO t VALUES (1)"))
    busy.send(query(ENDLESS))
    eventually(lambda: active(server) == 1)
    for wire in (idle, held, busy):
        other.answer(query(f"SELECT pg_terminate_backend({wire.key[0]})"))
        kind, body = wire.next()
        while kind != "E":
            kind, body = wire.next()
        assert (fields(body)["C"], fields(body)["S"]) in (("57P01", "FATAL"), ("57014", "ERROR")), body
        assert wire.is_closed()
    eventually(lambda: server.sql("SELECT count(*) FROM pg_stat_activity") == "2")
    assert server.sql("INSERT INTO t VALUES (1); SELECT count(*) FROM t") == "1"


@served()
def test_pg_stat_activity_tells_what_sessions_do(server):
    server.sql("ALTER ROLE kade PASSWORD 'pencil'")
    local = Wire(server).login(application_name="reports")
    other = Wire(server, tcp=True)
    other.authenticate("kade", "pencil", Scram)

    def told(wire, columns):
        return local.answer(query(f"SELECT {columns} FROM pg_stat_activity WHERE pid = {wire.key[0]}"))[0][0]

    assert told(local, "state, application_name, client_addr, client_port, left(query, 12)") == (
        "active", "reports", None, "-1", "SELECT state")
    other.answer(query("SELECT 'first'"))
    assert told(other, "state, wait_event, client_addr, client_port, query, xact_start IS NULL, usename") == (
        "idle", "ClientRead", "127.0.0.1", str(other.socket.getsockname()[1]), "SELECT 'first'", "t", "kade")
    other.answer(query("BEGIN"))
    other.answer(parse("SELECT $1::int"), bind(1), execute(), SYNC)
    assert told(other, "state, query, xact_start <= query_start, query_start <= state_change") == (
        "idle in transaction", "SELECT $1::int", "t", "t")
    other.answer(query("SELECT 1/0"))
    assert told(other, "state") == ("idle in transaction (aborted)",)
    other.answer(query("ROLLBACK; CREATE ROLE anna PASSWORD 'secret'"))
    assert told(other, "state, query") == ("idle", "CREATE ROLE anna PASSWORD '***'")
    other.answer(query("SELECT '" + "é" * 2000 + "'"))
    assert told(other, "length(query), octet_length(query)") == ("515", "1022")
    other.send(query(ENDLESS))
    eventually(lambda: active(server) == 1)
    assert told(other, "state, query, wait_event") == ("active", ENDLESS, None)


@served(idle_session_timeout="200ms")
def test_a_session_that_rests_too_long_is_told_so(server):
    wire = Wire(server).login()
    kind, body = wire.next()
    assert kind == "E" and fields(body)["C"] == "57P05" and fields(body)["S"] == "FATAL"
    assert wire.is_closed()


@served()
def test_advisory_locks(server):
    one, two = Wire(server).login(), Wire(server).login()

    def tries(wire, call):
        return wire.answer(query(f"SELECT pg_try_advisory_{call}"))[0][0][0]

    one.answer(query("SELECT pg_advisory_lock(1), pg_advisory_lock(1), pg_advisory_lock_shared(2)"))
    assert [tries(two, call) for call in ("lock(1)", "lock(2)", "lock_shared(2)", "lock(0, 1)")] == ["f", "f", "t", "t"]
    assert tries(one, "lock(0, 1)") == "f"
    assert one.answer(query("SELECT pg_advisory_unlock(1)"))[0][0] == ("t",)
    assert tries(two, "lock(1)") == "f"  # It was taken twice.
    two.send(query("SELECT pg_advisory_lock(1)"))
    eventually(lambda: active(server) == 1)
    assert one.answer(query("SELECT pg_advisory_unlock(1)"))[0][0] == ("t",)
    assert two.until_ready()[1] == "I"
    assert one.answer(query("SELECT pg_advisory_unlock(1)"))[0][0] == ("f",)
    assert one.notices.pop()["M"] == "you don't own a lock of type ExclusiveLock"
    # Those of a transaction end with it, also with a failed one.
    one.answer(query("BEGIN; SELECT pg_advisory_xact_lock(7)"))
    assert tries(two, "lock(7)") == "f"
    one.answer(query("SELECT 1/0"))
    one.answer(query("ROLLBACK"))
    assert tries(two, "xact_lock(7)") == "t" and tries(one, "lock(7)") == "t"
    # Waits end: by lock_timeout, by a deadlock that is found, with the other session.
    assert one.answer(query("SET lock_timeout = '50ms'; SELECT pg_advisory_lock(1)"))[0][-1] == "55P03"
    one.answer(query("RESET lock_timeout"))
    one.send(query("SELECT pg_advisory_lock(1)"))
    eventually(lambda: active(server) == 1)
    two.send(query("SELECT pg_advisory_lock(7)"))
    readable, _, _ = select.select([one.socket, two.socket], [], [], 30)
    loser, winner = (one, two) if one.socket in readable else (two, one)
    assert fields(loser.until_ready()[0][-1][1])["C"] == "40P01"
    loser.close()
    assert winner.until_ready()[0][-1] == ("C", text("SELECT 1"))
    winner.answer(query("SELECT pg_advisory_unlock_all()"))
    eventually(lambda: tries(Wire(server).login(), "lock(7)") == "t")


@served()
def test_a_client_that_goes_leaves_nothing_behind(server):
    server.sql("CREATE TABLE t (a int PRIMARY KEY)")
    wire = Wire(server).login()
    wire.answer(query("BEGIN; INSERT INTO t VALUES (1); LOCK TABLE t IN ACCESS EXCLUSIVE MODE"))
    wire.send(query(ENDLESS))
    eventually(lambda: active(server) == 1)
    wire.close()
    eventually(lambda: active(server) == 0)
    assert server.sql("INSERT INTO t VALUES (1); SELECT count(*) FROM t") == "1"
    gone = [Wire(server).login() for _ in range(20)]
    for each in gone:
        each.answer(query("BEGIN"))
        each.close()
    eventually(lambda: server.sql("SELECT count(*) FROM pg_stat_activity") == "1")


@served()
def test_a_client_that_does_not_read_holds_up_nobody_else(server):
    wire = Wire(server).login()
    wire.send(query("SELECT repeat('x', 1000) FROM generate_series(1, 1000000)"))
    time.sleep(0.3)
    assert server.sql("SELECT 1") == "1"
    wire.close()
    eventually(lambda: server.sql("SELECT count(*) FROM pg_stat_activity") == "1")


@served(max_connections=3)
def test_one_session_too_many_is_refused(server):
    held = [Wire(server).login() for _ in range(3)]
    wire = Wire(server)
    wire.send(startup(user="kade"))
    found = [wire.next()]
    while found[-1][0] != "E":
        found.append(wire.next())
    assert fields(found[-1][1])["C"] == "53300" and fields(found[-1][1])["S"] == "FATAL"
    held.pop().close()
    eventually(lambda: server.psql("-c", "SELECT 1")[0] == 0)


@served()
def test_the_server_stops_when_transactions_have_ended(server):
    idle, busy = Wire(server).login(), Wire(server).login()
    busy.answer(query("CREATE TABLE t (a int); BEGIN; INSERT INTO t VALUES (1)"))
    server.process.send_signal(signal.SIGTERM)
    kind, body = idle.next()
    assert kind == "E" and fields(body)["C"] == "57P01" and fields(body)["S"] == "FATAL"
    assert idle.is_closed()
    assert busy.answer(query("INSERT INTO t VALUES (2)"))[1] == "T"
    assert busy.answer(query("COMMIT"))[1] == "I"
    assert fields(busy.next()[1])["C"] == "57P01"
    assert server.end() == 0
    with server:
        assert server.sql("SELECT count(*) FROM t") == "2"


@served(shutdown_timeout="1h")
def test_a_second_signal_ends_all_at_once(server):
    busy, holding = Wire(server).login(), Wire(server).login()
    server.sql("CREATE TABLE t (a int)")
    holding.answer(query("BEGIN; INSERT INTO t VALUES (1)"))
    busy.send(query(ENDLESS))
    eventually(lambda: active(server) == 1)
    server.process.send_signal(signal.SIGINT)
    server.process.send_signal(signal.SIGTERM)
    assert server.end() == 0
    assert busy.is_closed() and holding.is_closed()
    with server:
        assert server.sql("SELECT count(*) FROM t") == "0"


@served(shutdown_timeout="1s")
def test_a_transaction_that_lasts_too_long_is_ended_when_the_server_stops(server):
    wire = Wire(server).login()
    wire.answer(query("BEGIN"))
    assert server.stop() == 0
    assert wire.is_closed()


@served()
def test_a_second_server_does_not_take_the_place_of_the_first(server):
    port = str(server.port)
    with_same_port = Server("other", port=port, unix_socket_directories="")
    try:
        with with_same_port:
            raise AssertionError("two servers on one port")
    except AssertionError as error:
        assert "could not listen" in str(error), error
    with_same_socket = Server("third", port=port, listen_addresses="",
                              unix_socket_directories=server.sockets)
    try:
        with with_same_socket:
            raise AssertionError("two servers on one socket")
    except AssertionError as error:
        assert "could not listen" in str(error), error
    assert server.sql("SELECT 1") == "1"


def test_a_service_manager_hands_over_sockets_and_hears_when_they_are_served():
    server = Server("handed_over")
    news = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    news.bind(str(server.sockets / "news"))
    news.settimeout(60)
    local = socket.socket(socket.AF_UNIX)
    local.bind(str(server.sockets / ".s.PGSQL.1"))
    local.listen()
    network = socket.create_server(("127.0.0.1", 0))

    # The shell makes its own number known and becomes the server: the environment is set before.
    command = f'export LISTEN_PID=$$; exec "{KADE}" serve -q "{server.path}" 3<&{local.fileno()} 4<&{network.fileno()}'
    server.process = subprocess.Popen(["sh", "-c", command], pass_fds=(local.fileno(), network.fileno()),
                                      stderr=subprocess.PIPE, text=True,
                                      env={**ENVIRONMENT, "LISTEN_FDS": "2", "NOTIFY_SOCKET": str(server.sockets / "news")})
    assert news.recv(100) == b"READY=1"
    server.port = 1
    assert server.sql("SELECT 1") == "1"
    server.port = network.getsockname()[1]
    wire = Wire(server, tcp=True)
    wire.send(startup(user="kade"))
    assert wire.next()[0] == "R"
    server.process.send_signal(signal.SIGTERM)
    assert news.recv(100) == b"STOPPING=1"
    assert server.end() == 0
    assert (server.sockets / ".s.PGSQL.1").exists()  # The manager's to remove.


def resident_bytes(server):
    status = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
    return 1024 * int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])


@served()
def test_a_client_that_has_not_logged_in_costs_little_memory(server):
    server.sql("SELECT 1")
    count = 500
    before = resident_bytes(server)
    held = [Wire(server, tcp=True) for _ in range(count)]
    for wire in held:
        wire.send(startup(user="kade", application_name="x" * 1000))
        wire.next()
    grown = resident_bytes(server) - before
    assert grown <= count * (64 << 10), grown / count
    assert server.sql("SELECT 1") == "1"


if __name__ == "__main__":
    sys.exit(main(globals(), __doc__))

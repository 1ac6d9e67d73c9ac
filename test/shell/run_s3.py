#!/usr/bin/env python3
"""Backups and archives on servers that speak S3: a real one from a package, and a stand-in for faults.

usage: run_s3.py KADE [NAME...]

The real one is moto's server, a package of PyPI that is installed beside the build once (skipped
with a word why when it cannot be had). The stand-in, `FaultyS3` below, is no S3: it keeps objects in
memory, answers what KadeDB asks for, and fails on demand.
"""
import hashlib
import hmac
import http.server
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

KADE = sys.argv[1] if len(sys.argv) > 1 else ""
ROOT = pathlib.Path(tempfile.mkdtemp(prefix="kade-s3-"))
KEYS = {"AWS_ACCESS_KEY_ID": "anybody", "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "eu-central-1"}


class Skipped(Exception):
    """Why a test cannot run here."""


def kade(*arguments, environment=None, timeout=120):
    variables = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    variables.update(KEYS)
    variables.update(environment or {})
    done = subprocess.run([KADE, *arguments], capture_output=True, text=True, timeout=timeout,
                          env={name: value for name, value in variables.items() if value is not None})
    return done.returncode, done.stdout, done.stderr


def fine(*arguments, **more):
    code, out, err = kade(*arguments, **more)
    assert code == 0, (arguments, out, err)
    return out


def database(name):
    return str(ROOT / name)


def filled(name, rows=2000):
    path = database(name)
    fine(path, "-c", f"CREATE TABLE t (id int PRIMARY KEY, s text); "
                     f"INSERT INTO t SELECT g, md5(g::text) FROM generate_series(1, {rows}) g; "
                     "CHECKPOINT")
    return path


def count(path):
    return fine(path, "--csv", "--no-header", "-c", "SELECT count(*), sum(length(s)) FROM t").strip()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# --- The stand-in ------------------------------------------------------------------------------


class FaultyS3(http.server.ThreadingHTTPServer):
    """Objects in memory; `fault(method, key, query)` may give (status, code) for a request."""
    daemon_threads = True

    def __init__(self, port=0):
        self.objects, self.uploads, self.requests = {}, {}, []
        self.fault = lambda method, key, query: None
        self.slow_s = 0.0
        super().__init__(("127.0.0.1", port), FaultyHandler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def target(self, prefix="shop"):
        return f"s3://bucket/{prefix}?endpoint=http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request, client_address):
        """A client that was killed takes no answer."""

    def stop(self):
        self.shutdown()
        self.server_close()


class FaultyHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if not any(name == "Content-Length" for name, _ in headers):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, status, code):
        self.answer(status, f"<Error><Code>{code}</Code><Message>as told</Message></Error>".encode())

    def is_signed(self, body):
        """Whether the request has the signature that AWS documents for it (Signature Version 4)."""
        given = re.fullmatch(r"AWS4-HMAC-SHA256 Credential=([^,]+), SignedHeaders=([^,]+), Signature=(\w+)",
                             self.headers.get("Authorization", ""))
        if given is None or self.headers["x-amz-content-sha256"] != hashlib.sha256(body).hexdigest():
            return False
        split = urllib.parse.urlsplit(self.path)
        pairs = sorted(urllib.parse.parse_qsl(split.query, keep_blank_values=True))
        query = "&".join("=".join(urllib.parse.quote(part, safe="") for part in pair) for pair in pairs)
        path = urllib.parse.quote(urllib.parse.unquote(split.path), safe="/")
        names = given[2].split(";")
        headers = "".join(f"{name}:{self.headers[name].strip()}\n" for name in names)
        canonical = "\n".join([self.command, path, query, headers, given[2], self.headers["x-amz-content-sha256"]])
        key_id, *scope = given[1].split("/")
        text = "\n".join(["AWS4-HMAC-SHA256", self.headers["x-amz-date"], "/".join(scope),
                          hashlib.sha256(canonical.encode()).hexdigest()])
        key = ("AWS4" + KEYS["AWS_SECRET_ACCESS_KEY"]).encode()
        for part in [*scope, text]:
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        return (key_id, scope[1:]) == (KEYS["AWS_ACCESS_KEY_ID"], [KEYS["AWS_REGION"], "s3", "aws4_request"]) \
            and key.hex() == given[3]

    def handle_one(self):
        split = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(split.query, keep_blank_values=True))
        key = urllib.parse.unquote(split.path).removeprefix("/bucket").removeprefix("/")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.requests.append((self.command, key, query))
        if not self.is_signed(body):
            return self.refuse(403, "SignatureDoesNotMatch")
        time.sleep(self.server.slow_s)
        fault = self.server.fault(self.command, key, query)
        if fault is not None:
            return self.refuse(*fault)
        return getattr(self, "on_" + self.command)(key, query, body)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_one

    def on_PUT(self, key, query, body):
        if "uploadId" in query:
            self.server.uploads[query["uploadId"]][int(query["partNumber"])] = body
        else:
            self.server.objects[key] = body
        self.answer(200, headers=[("ETag", '"x"')])

    def on_POST(self, key, query, body):
        if "uploads" in query:
            name = f"upload/{len(self.server.uploads)}+=&"
            self.server.uploads[name] = {}
            text = name.replace("&", "&amp;")
            return self.answer(200, f"<R><UploadId>{text}</UploadId></R>".encode())
        parts = self.server.uploads.pop(query["uploadId"])
        self.server.objects[key] = b"".join(parts[number] for number in sorted(parts))
        return self.answer(200, b"<CompleteMultipartUploadResult/>")

    def on_DELETE(self, key, query, body):
        if "uploadId" in query:
            self.server.uploads.pop(query["uploadId"], None)
        else:
            self.server.objects.pop(key, None)
        self.answer(204)

    def on_HEAD(self, key, query, body):
        found = self.server.objects.get(key)
        if found is None:
            return self.answer(404)
        return self.answer(200, headers=[("Content-Length", str(len(found)))])

    def on_GET(self, key, query, body):
        if "list-type" in query:
            return self.list(query)
        found = self.server.objects.get(key)
        if found is None:
            return self.refuse(404, "NoSuchKey")
        wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers["Range"])
        first, last = int(wanted[1]), min(int(wanted[2]), len(found) - 1)
        return self.answer(206, found[first:last + 1],
                           [("Content-Range", f"bytes {first}-{last}/{len(found)}")])

    def list(self, query):
        """Three at a time."""
        prefix = query["prefix"]
        names = set()
        for key in list(self.server.objects):
            if key.startswith(prefix):
                folder, slash, _ = key[len(prefix):].partition("/")
                names.add(prefix + folder + slash)
        after = query.get("continuation-token", "")
        left = sorted(name for name in names if name > after)
        text = "".join(f"<CommonPrefixes><Prefix>{name}</Prefix></CommonPrefixes>"
                       if name.endswith("/") else f"<Contents><Key>{name}</Key></Contents>"
                       for name in left[:3])
        more = f"<IsTruncated>{'true' if len(left) > 3 else 'false'}</IsTruncated>"
        if len(left) > 3:
            more += f"<NextContinuationToken>{left[2]}</NextContinuationToken>"
        self.answer(200, f"<ListBucketResult>{more}{text}</ListBucketResult>".encode())


# --- The real one ------------------------------------------------------------------------------


def moto_program():
    """Installed once beside the build."""
    place = pathlib.Path(KADE).resolve().parent / "s3_server"
    program = place / "bin" / "moto_server"
    if program.exists():
        return program
    try:
        subprocess.run([sys.executable, "-m", "venv", str(place)], check=True, capture_output=True)
        subprocess.run([str(place / "bin" / "python"), "-m", "pip", "install", "-q",
                        "moto[server]==5.*"], check=True, capture_output=True, timeout=300)
    except (OSError, subprocess.SubprocessError) as error:
        shutil.rmtree(place, ignore_errors=True)
        raise Skipped(f"moto's server cannot be installed: {error}") from error
    return program


class Moto:
    def __init__(self):
        self.port = free_port()
        self.process = subprocess.Popen([str(moto_program()), "-H", "127.0.0.1", "-p", str(self.port)],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(300):
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                break
            except OSError:
                time.sleep(0.1)
        else:
            raise AssertionError("the server does not come")
        python = moto_program().parent / "python"
        self.python = lambda code: subprocess.run(
            [str(python), "-c", "import boto3, sys\n"
             f"s3 = boto3.client('s3', endpoint_url='http://127.0.0.1:{self.port}', "
             "region_name='eu-central-1', aws_access_key_id='anybody', "
             "aws_secret_access_key='secret')\n" + code],
            check=True, capture_output=True, text=True, timeout=60).stdout
        self.python("s3.create_bucket(Bucket='bucket', CreateBucketConfiguration="
                    "{'LocationConstraint': 'eu-central-1'})")

    def target(self, prefix):
        return f"s3://bucket/{prefix}?endpoint=http://127.0.0.1:{self.port}"

    def stop(self):
        self.process.terminate()
        self.process.wait(20)


def test_a_real_server_keeps_backups_and_archive():
    server = Moto()
    try:
        target = server.target("kept/of the shop")
        path = filled("real")
        fine("backup", path, target)
        fine(path, "-c", "INSERT INTO t VALUES (100001, 'later')")
        fine("backup", path, target)
        names = re.findall(r"\d{8}T\d{6}\.\d{6}Z", fine("backup", "list", target))
        assert len(names) == 2, names
        fine("backup", "verify", target)
        fine("restore", target, database("real first"), "--backup", names[0])
        assert count(database("real first")) == "2000,64000"
        fine("archive", path, target)
        fine(path, "-c", "INSERT INTO t SELECT g, 'xx' FROM generate_series(200001, 230000) g")
        fine("backup", "verify", target)
        fine("restore", target, database("real last"))
        assert count(database("real last")) == count(path)
        # Larger than a part of an upload.
        fine(path, "-c", "CREATE TABLE big AS SELECT g, md5(g::text) || md5((g + 1)::text) || "
                         "md5((g * 7)::text) AS s FROM generate_series(1, 400000) g; CHECKPOINT")
        fine("backup", path, target)
        sizes = json.loads(server.python(
            "import json\nprint(json.dumps([o['Size'] for p in s3.get_paginator('list_objects_v2')"
            ".paginate(Bucket='bucket') for o in p['Contents']]))"))
        assert max(sizes) > 8 << 20, max(sizes)
        fine("backup", "prune", target, "--keep", "1")
        fine("backup", "verify", target)
        fine("restore", target, database("real big"))
        assert count(database("real big")) == count(path)
        left = server.python("print(sum('LOCK' in o['Key'] for o in "
                             "s3.list_objects_v2(Bucket='bucket')['Contents']))")
        assert left.strip() == "0", left
        code, _, err = kade("backup", path, "s3://absent?endpoint=" + target.split("endpoint=")[1])
        assert code == 1 and 'bucket "absent"' in err and "HTTP 404 NoSuchBucket" in err, err
    finally:
        server.stop()


# --- Faults ------------------------------------------------------------------------------------


def with_stand_in(test):
    def run():
        server = FaultyS3()
        try:
            test(server)
        finally:
            server.stop()
    run.__name__ = test.__name__
    return run


@with_stand_in
def test_a_busy_server_is_asked_again(server):
    seen = {}

    def busy(method, key, query):
        seen[(method, key)] = seen.get((method, key), 0) + 1
        return (503, "SlowDown") if seen[(method, key)] == 1 and method != "DELETE" and \
            (key.endswith("BACKUPS") or ".backup" in key) else None
    server.fault = busy
    path = filled("busy", 100)
    fine("backup", path, server.target())
    fine("restore", server.target(), database("busy new"))
    assert count(database("busy new")) == count(path)


@with_stand_in
def test_refusals_say_what_was_refused(server):
    path = filled("refused", 100)
    server.fault = lambda *_: (403, "SignatureDoesNotMatch")
    code, _, err = kade("backup", path, server.target())
    assert code == 1 and 'bucket "bucket"' in err and "HTTP 403 SignatureDoesNotMatch" in err, err
    code, _, err = kade("backup", path, server.target(), environment={"AWS_SECRET_ACCESS_KEY": None})
    assert code == 1 and "there are no keys" in err, err
    server.fault = lambda method, key, query: (507, "XMinioStorageFull") if method == "PUT" else None
    code, _, err = kade("backup", path, server.target())
    assert code == 1 and "XMinioStorageFull" in err, err
    assert not server.objects
    for wrong in ("s3://", "s3://bucket?endpoint=ftp://x", "s3://bucket?nonsense=1"):
        code, _, err = kade("backup", path, wrong)
        assert code == 1 and "target" in err, (wrong, err)
    server.fault = lambda *_: None
    server.objects["shop/holiday.jpg"] = b"x"
    code, _, err = kade("backup", path, server.target())
    assert code == 1 and "not a directory of KadeDB backups" in err, err
    assert list(server.objects) == ["shop/holiday.jpg"]
    del server.objects["shop/holiday.jpg"]
    fine("backup", path, server.target())
    code, _, err = kade("backup", filled("another", 10), server.target())
    assert code == 1 and "another database" in err, err


@with_stand_in
def test_a_server_that_goes_leaves_nothing_that_counts(server):
    path = filled("gone", 5000)
    puts = []

    def fails_later(method, key, query):
        if method == "PUT" and "objects/" in key:
            puts.append(key)
        return (403, "AccessDenied") if len(puts) > 2 and method == "PUT" else None
    server.fault = fails_later
    code, _, err = kade("backup", path, server.target())
    assert code == 1 and "AccessDenied" in err, err
    assert not [key for key in server.objects if key.endswith(".backup")]
    assert fine("backup", "list", server.target()).count("Z ") == 0
    server.fault = lambda *_: None
    had = len(server.objects)
    fine("backup", path, server.target())
    assert len(server.objects) > had
    fine("backup", "verify", server.target())
    server.stop()
    code, _, err = kade("restore", server.target(), database("gone new"))
    assert code == 1 and "failed:" in err and not os.path.exists(database("gone new")), err


@with_stand_in
def test_an_interrupted_upload_is_no_backup(server):
    path = filled("parts", 10)
    fine(path, "-c", "CREATE TABLE big AS SELECT g, md5(g::text) || md5((g + 1)::text) || "
                     "md5((g * 7)::text) AS s FROM generate_series(1, 400000) g; CHECKPOINT")
    server.fault = lambda method, key, query: \
        (403, "AccessDenied") if query.get("partNumber") == "2" else None
    code, _, err = kade("backup", path, server.target())
    assert code == 1 and "AccessDenied" in err, err
    assert not server.uploads, "the upload was not aborted"
    assert not [key for key in server.objects if key.endswith(".backup")]
    server.fault = lambda *_: None
    fine("backup", path, server.target())
    fine("backup", "verify", server.target())
    assert not server.uploads


@with_stand_in
def test_damage_is_found(server):
    path = filled("damaged", 3000)
    fine("backup", path, server.target())
    whole = dict(server.objects)
    for key in sorted(key for key in whole if "/objects/" in key or key.endswith((".backup", "BACKUPS"))):
        for spoilt in (None, whole[key][:-7], b"foreign" * 20,
                       whole[key][:9] + bytes([whole[key][9] ^ 1]) + whole[key][10:]):
            server.objects = dict(whole)
            if spoilt is None:
                del server.objects[key]
            else:
                server.objects[key] = spoilt
            code, _, err = kade("restore", server.target(), database("never"))
            assert code == 1 and err and not os.path.exists(database("never")), (key, err)
    server.objects = whole
    fine("restore", server.target(), database("whole"))
    code, _, err = kade("restore", server.target(), database("whole"))
    assert code == 1 and "there is a database" in err, err


@with_stand_in
def test_two_runs_exclude_each_other(server):
    path = filled("locked", 100)
    fine("backup", path, server.target())
    now = int(time.time() * 1e6)
    server.objects[f"shop/LOCK.{now:016x}.0123456789abcdef"] = b""
    code, _, err = kade("backup", path, server.target())
    assert code == 1 and "in use by another run" in err, err
    fine("backup", "list", server.target())
    server.objects = {key: value for key, value in server.objects.items() if "LOCK" not in key}
    server.objects[f"shop/LOCK.{now - 700 * 10**6:016x}.0123456789abcdef"] = b""
    fine("backup", path, server.target())


@with_stand_in
def test_an_archive_survives_its_server(server):
    path = filled("archived", 100)
    fine("archive", path, server.target())
    for step in range(5):
        fine(path, "-c", f"INSERT INTO t VALUES ({1000 + step}, 'step')")
    wanted = count(path)
    fine("restore", server.target(), database("archived new"))
    assert count(database("archived new")) == wanted
    logs = sorted(key for key in server.objects if "/archive/" in key and key.endswith(".log"))
    assert len(logs) == 1, logs
    server.fault = lambda method, *_: (403, "AccessDenied") if method == "PUT" else None
    fine(path, "-c", "INSERT INTO t VALUES (2000, 'while it was away')")
    assert "AccessDenied" in fine("archive", path)
    server.fault = lambda *_: None
    fine(path, "-c", "INSERT INTO t VALUES (2001, 'back')")
    fine("restore", server.target(), database("archived back"))
    assert count(database("archived back")) == count(path)
    # Cut off, and away.
    whole = dict(server.objects)
    server.objects[logs[0]] = whole[logs[0]][:-5]
    assert kade("restore", server.target(), database("archived never"))[0] == 1
    assert kade("backup", "verify", server.target())[0] == 1
    server.objects = whole
    fine("archive", path, "--stop")


@with_stand_in
def test_a_gap_in_the_archive_is_refused(server):
    path = filled("gap", 100)
    fine("archive", path, server.target())
    for step in range(3):
        fine(path, "-c", f"INSERT INTO t SELECT g, repeat(md5(g::text), 4) FROM "
                         f"generate_series({(step + 1) * 200000}, {(step + 1) * 200000 + 120000}) g")
    logs = sorted(key for key in server.objects if "/archive/" in key and key.endswith(".log"))
    assert len(logs) > 2, logs
    whole = dict(server.objects)
    del server.objects[logs[len(logs) // 2]]
    code, _, err = kade("restore", server.target(), database("gap new"))
    assert code == 1 and "has a gap" in err and not os.path.exists(database("gap new")), err
    code, _, err = kade("backup", "verify", server.target())
    assert code == 1 and "has a gap" in err, err
    # What stands before the gap can still be restored, and all of it once the piece is back.
    name = re.findall(r"\d{8}T\d{6}\.\d{6}Z", fine("backup", "list", server.target()))[0]
    fine("restore", server.target(), database("gap before"), "--backup", name)
    assert count(database("gap before")) == "100,3200"
    server.objects = whole
    fine("restore", server.target(), database("gap new"))
    assert count(database("gap new")) == count(path)
    fine("archive", path, "--stop")


@with_stand_in
def test_a_backup_killed_in_an_upload_is_no_backup(server):
    path = filled("killed", 10)
    fine("backup", path, server.target())
    fine(path, "-c", "CREATE TABLE big AS SELECT g, md5(g::text) || md5((g + 1)::text) || "
                     "md5((g * 7)::text) AS s FROM generate_series(1, 400000) g; CHECKPOINT")
    reached, killed = threading.Event(), threading.Event()

    def waits(method, key, query):
        if query.get("partNumber") == "2":
            reached.set()
            killed.wait(60)
        return None
    server.fault = waits
    running = subprocess.Popen([KADE, "backup", path, server.target()], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, env={**os.environ, **KEYS})
    assert reached.wait(60), "no upload in parts"
    running.kill()
    running.wait()
    killed.set()
    server.fault = lambda *_: None
    assert server.uploads and [key for key in server.objects if "LOCK" in key]
    assert fine("backup", "list", server.target()).count("Z ") == 1
    fine("backup", "verify", server.target())
    fine("restore", server.target(), database("killed before"))
    assert count(database("killed before")) == "10,320"
    code, _, err = kade("backup", path, server.target())
    assert code == 1 and "in use by another run" in err and "LOCK" in err, err
    # Ten minutes later its lock does not count; the next backup and a prune go on as if it had not been.
    lock = next(key for key in server.objects if "LOCK" in key)
    begin = int(lock.split(".")[1], 16)
    server.objects[lock.replace(f"{begin:016x}", f"{begin - 700 * 10**6:016x}")] = server.objects.pop(lock)
    fine("backup", path, server.target())
    fine("backup", "prune", server.target(), "--keep", "1")
    fine("backup", "verify", server.target())
    fine("restore", server.target(), database("killed after"))
    assert fine(database("killed after"), "--csv", "--no-header", "-c", "SELECT count(*) FROM big").strip() == "400000"
    assert not [key for key in server.objects if "LOCK" in key], "the lock of the killed run was left"


@with_stand_in
def test_only_a_trusted_server_is_spoken_to(server):
    path = filled("trusted", 100)
    certificate, key = str(ROOT / "certificate"), str(ROOT / "key")
    try:
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                        "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
                        "-keyout", key, "-out", certificate], check=True, capture_output=True)
    except OSError as error:
        raise Skipped(f"openssl makes the certificate: {error}") from error
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    target = server.target().replace("http://", "https://")
    code, _, err = kade("backup", path, target)
    assert code == 1 and "certificate" in err, err
    assert not server.requests
    trusting = {"AWS_CA_BUNDLE": certificate}
    fine("backup", path, target, environment=trusting)
    fine("restore", target, database("trusted new"), environment=trusting)
    assert count(database("trusted new")) == count(path)


@with_stand_in
def test_a_cancelled_backup_ends_at_once_and_lets_go(server):
    path = filled("cancelled", 100)
    server.slow_s = 3600.0
    running = subprocess.Popen([KADE, "backup", path, server.target()], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, env={**os.environ, **KEYS})
    while not server.requests:
        assert running.poll() is None, running.communicate()
        time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 1 and "canceling statement" in err, err
    server.slow_s = 0.0
    fine("backup", path, server.target())
    assert not [key for key in server.objects if "LOCK" in key]


def main():
    if not KADE:
        print(__doc__)
        return 2
    failures, count_run = 0, 0
    for name, test in list(globals().items()):
        if not name.startswith("test_") or (len(sys.argv) > 2 and name not in sys.argv[2:]):
            continue
        count_run += 1
        try:
            test()
            print(f"ok {name}")
        except Skipped as why:
            print(f"skipped {name}: {why}")
        except Exception as error:  # pylint: disable=broad-except
            failures += 1
            print(f"FAILED {name}: {type(error).__name__}: {error}")
    shutil.rmtree(ROOT, ignore_errors=True)
    print(f"{count_run - failures} passed, {failures} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

"""A database that kade serve serves, for tests: started on a free port, stopped with the test."""
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback

KADE = sys.argv[1] if len(sys.argv) > 1 else ""
ROOT = pathlib.Path(tempfile.mkdtemp(prefix="kade-serve-"))
# Nothing of the caller's session may reach a client.
ENVIRONMENT = {name: value for name, value in os.environ.items()
               if not name.startswith(("PG", "KADE_"))}


class Skipped(Exception):
    """Why a test cannot run here."""


class Server:
    """with Server("name", port=...) as server: ..."""

    def __init__(self, name, **settings):
        self.path = ROOT / name
        self.sockets = pathlib.Path(tempfile.mkdtemp(dir=ROOT, prefix="s"))  # Short: a path has 107 bytes.
        self.settings = {"port": 0, "listen_addresses": "127.0.0.1",
                         "unix_socket_directories": self.sockets, **settings}
        self.process, self.port, self.log = None, 0, []

    def make_certificate(self):
        key, certificate = self.sockets / "server.key", self.sockets / "server.crt"
        try:
            subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
                            "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout",
                            str(key), "-out", str(certificate)], check=True, capture_output=True)
        except OSError as error:
            raise Skipped(f"openssl makes the certificate: {error}") from error
        key.chmod(0o600)
        self.settings.update(ssl_key_file=key, ssl_cert_file=certificate)

    def __enter__(self):
        if self.settings.get("ssl") == "on":
            self.make_certificate()
        words = [f"--{name}={value}" for name, value in self.settings.items()]
        self.process = subprocess.Popen([KADE, "serve", *words, str(self.path)],
                                        stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
        for line in self.process.stderr:
            self.log.append(line)
            if line.startswith("kade: serving"):
                break
        else:
            raise AssertionError(f"the server did not start: {''.join(self.log)}")
        local, = self.sockets.glob(".s.PGSQL.*")
        self.port = int(local.name.rpartition(".")[2])
        return self

    def stop(self, signal_no=signal.SIGINT):
        """Its exit status, once it has ended."""
        self.process.send_signal(signal_no)
        return self.end()

    def end(self, timeout=60):
        _, rest = self.process.communicate(timeout=timeout)
        self.log.append(rest)
        return self.process.returncode

    def __exit__(self, kind, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.send_signal(signal.SIGTERM)
            try:
                self.end()
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.communicate()
                raise
        if kind is None:
            assert self.process.returncode == 0, "".join(self.log)

    def psql(self, *words, user="kade", **more):
        """What psql prints for -c words; the exit status comes first."""
        command = ["psql", "-X", "-q", "-A", "-t", "-h", str(self.sockets), "-p", str(self.port),
                   "-U", user, *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=ENVIRONMENT,
                              **more)
        return done.returncode, done.stdout, done.stderr

    def sql(self, text):
        code, out, err = self.psql("-v", "ON_ERROR_STOP=1", "-c", text)
        assert code == 0, err
        return out.strip()


def main(tests, usage):
    """Runs the functions that are called test_*; the names given, or all."""
    if not KADE:
        print(usage)
        return 2
    passed = failed = skipped = 0
    for name, test in list(tests.items()):
        if not name.startswith("test_") or (sys.argv[2:] and name not in sys.argv[2:]):
            continue
        try:
            test()
            passed += 1
        except Skipped as why:
            skipped += 1
            print(f"SKIP {name}: {why}")
        except Exception:  # pylint: disable=broad-except
            failed += 1
            print(f"FAIL {name}")
            traceback.print_exc(file=sys.stdout)
    shutil.rmtree(ROOT, ignore_errors=True)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0

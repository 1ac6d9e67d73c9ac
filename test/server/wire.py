"""PostgreSQL's protocol, message by message: a client that can also say what it should not."""
import base64
import hashlib
import hmac
import secrets
import socket
import ssl
import struct

SSL_REQUEST, GSS_REQUEST, CANCEL_REQUEST, VERSION_3 = 80877103, 80877104, 80877102, 196608


def text(value):
    return value.encode() + b"\0"


def message(kind, body=b""):
    return kind.encode() + struct.pack("!i", len(body) + 4) + body


def startup(version=VERSION_3, **parameters):
    body = struct.pack("!i", version)
    if parameters:
        body += b"".join(text(name) + text(value) for name, value in parameters.items()) + b"\0"
    return struct.pack("!i", len(body) + 4) + body


def query(sql):
    return message("Q", text(sql))


def parse(sql, name="", types=()):
    return message("P", text(name) + text(sql) + struct.pack(f"!h{len(types)}i", len(types), *types))


def bind(*values, portal="", name="", formats=(), results=()):
    body = text(portal) + text(name) + struct.pack(f"!h{len(formats)}h", len(formats), *formats)
    body += struct.pack("!h", len(values))
    for value in values:
        data = value if isinstance(value, (bytes, type(None))) else str(value).encode()
        body += struct.pack("!i", -1) if data is None else struct.pack("!i", len(data)) + data
    return message("B", body + struct.pack(f"!h{len(results)}h", len(results), *results))


def execute(portal="", rows=0):
    return message("E", text(portal) + struct.pack("!i", rows))


def describe(what, name=""):
    return message("D", what.encode() + text(name))


def close(what, name=""):
    return message("C", what.encode() + text(name))


SYNC, FLUSH = message("S"), message("H")


def fields(body):
    """Of an error or notice."""
    return {part[:1].decode(): part[1:].decode() for part in body.split(b"\0") if part}


def row(body):
    """The values of a DataRow, as bytes."""
    count, at, values = struct.unpack("!h", body[:2])[0], 2, []
    for _ in range(count):
        size, = struct.unpack("!i", body[at:at + 4])
        at += 4
        values.append(None if size < 0 else body[at:at + size])
        at += max(size, 0)
    return values


class Scram:
    """A client's side of SCRAM-SHA-256 (RFC 7677). What a class of its own changes is said so."""
    mechanism, header, first, nonce, binding, proof, end_point = "SCRAM-SHA-256", "n,,", None, None, None, None, b""

    def __init__(self, password, certificate=None):
        self.password, self.certificate, self.salt = password, certificate, None
        self.client_first = f"n=,r={secrets.token_urlsafe(18)}" if self.first is None else self.first

    def initial(self):
        data = (self.header + self.client_first).encode()
        return message("p", text(self.mechanism) + struct.pack("!i", len(data)) + data)

    def bound(self):
        return b""

    def final(self, server_first):
        given = dict(part.split("=", 1) for part in server_first.split(","))
        self.salt = base64.b64decode(given["s"])
        salted = hashlib.pbkdf2_hmac("sha256", self.password.encode(), self.salt, int(given["i"]))
        binding = self.binding or base64.b64encode(self.header.encode() + self.bound()).decode()
        bare = f"c={binding},{self.nonce or 'r=' + given['r']}"
        said = f"{self.client_first},{server_first},{bare}".encode()
        key = hmac.digest(salted, b"Client Key", "sha256")
        signature = hmac.digest(hashlib.sha256(key).digest(), said, "sha256")
        proof = base64.b64encode(bytes(a ^ b for a, b in zip(key, signature))).decode()
        self.expected = base64.b64encode(
            hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), said, "sha256")).decode()
        return message("p", f"{bare},p={proof if self.proof is None else self.proof}".encode())


class BoundScram(Scram):
    """Bound to the server's certificate (RFC 5929, tls-server-end-point)."""
    mechanism, header = "SCRAM-SHA-256-PLUS", "p=tls-server-end-point,,"

    def bound(self):
        return self.end_point or hashlib.sha256(self.certificate).digest()


class Wire:
    """One connection."""

    def __init__(self, server, tcp=False, timeout=30):
        family = socket.AF_INET if tcp else socket.AF_UNIX
        self.socket = socket.socket(family)
        self.socket.settimeout(timeout)
        self.socket.connect(("127.0.0.1", server.port) if tcp
                            else str(server.sockets / f".s.PGSQL.{server.port}"))
        self.buffer, self.parameters, self.key, self.notices = b"", {}, None, []
        self.scram = self.certificate = None

    def send(self, *messages):
        self.socket.sendall(b"".join(messages))

    def bytes(self, count):
        while len(self.buffer) < count:
            more = self.socket.recv(1 << 16)
            if not more:
                raise EOFError
            self.buffer += more
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def next(self):
        """The next message: its type and body. Settings and notices are noted on the way."""
        while True:
            kind = self.bytes(1).decode()
            body = self.bytes(struct.unpack("!i", self.bytes(4))[0] - 4)
            if kind == "S":
                name, value, _ = body.split(b"\0")
                self.parameters[name.decode()] = value.decode()
            elif kind == "N":
                self.notices.append(fields(body))
            else:
                return kind, body

    def until_ready(self):
        """All messages up to ReadyForQuery, and its state."""
        found = []
        while True:
            kind, body = self.next()
            if kind == "Z":
                return found, body.decode()
            found.append((kind, body))

    def login(self, user="kade", **parameters):
        self.send(startup(user=user, **parameters))
        for kind, body in self.until_ready()[0]:
            if kind == "K":
                self.key = struct.unpack("!ii", body)
        return self

    def encrypt(self, version):
        """By exactly this version of TLS."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.minimum_version = context.maximum_version = version
        self.send(struct.pack("!ii", 8, SSL_REQUEST))
        assert self.bytes(1) == b"S"
        self.socket = context.wrap_socket(self.socket)
        self.certificate = self.socket.getpeercert(binary_form=True)

    def authenticate(self, user, password, scram):
        """Logs in with a password; the fields of the error, or None."""
        self.scram = scram(password, self.certificate)
        self.send(startup(user=user))
        while True:
            kind, body = self.next()
            if kind == "E":
                return fields(body)
            if kind == "R":
                code, = struct.unpack("!i", body[:4])
                if code == 10:
                    assert body[4:].startswith(b"SCRAM-SHA-256"), body
                    self.send(self.scram.initial())
                elif code == 11:
                    self.send(self.scram.final(body[4:].decode()))
                elif code == 12:
                    assert body[4:].decode() == f"v={self.scram.expected}", body
            elif kind == "K":
                self.key = struct.unpack("!ii", body)
            elif kind == "Z":
                return None

    def answer(self, *messages):
        """What comes back, short: rows as texts, tags, errors' codes, else types; and the state."""
        self.send(*messages)
        found, state = self.until_ready()
        return [short(kind, body) for kind, body in found if kind not in "TtH"], state

    def is_closed(self):
        """Reads to the end; whether there is one."""
        try:
            while self.socket.recv(1 << 16):
                pass
            return True
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False

    def close(self):
        self.socket.close()


def short(kind, body):
    if kind == "D":
        return tuple(None if value is None else value.decode("utf-8", "replace") for value in row(body))
    if kind == "C":
        return body[:-1].decode()
    if kind == "E":
        return fields(body)["C"]
    return kind

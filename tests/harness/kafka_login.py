"""A login in front of a broker that has none: Kafka's SASL handshake, as brokers do it, and after it every byte is passed on.

Usage: kafka_login.py BROKER_HOST:PORT USERS
Prints its own port. USERS is a file of `name password` lines, read at each login. Mechanisms: PLAIN, and SCRAM (RFC 5802)
with SHA-256 and SHA-512. Says `MECHANISM NAME accepted` or `refused` for each login. In the answers of the broker its own
port is replaced, so that clients stay here.
"""

import base64
import hashlib
import hmac
import os
import socket
import struct
import sys
import threading

HANDSHAKE, API_VERSIONS, AUTHENTICATE = 17, 18, 36
MECHANISMS = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]
UNSUPPORTED_MECHANISM, AUTHENTICATION_FAILED = 33, 58
ITERATIONS = 4096


def exactly(connection, count):
    data = b""
    while len(data) < count:
        part = connection.recv(count - len(data))
        if not part:
            raise EOFError
        data += part
    return data


def frame(connection):
    return exactly(connection, struct.unpack(">i", exactly(connection, 4))[0])


def send(connection, data):
    connection.sendall(struct.pack(">i", len(data)) + data)


def string(text):
    return struct.pack(">h", len(text)) + text.encode()


def sized(data):
    return struct.pack(">i", len(data)) + data


class Refused(Exception):
    pass


class Plain:
    """RFC 4616: authorization identity, name and password, divided by NUL."""

    def __init__(self, users):
        self.users = users

    def step(self, message):
        _, self.name, password = message.decode().split("\0")
        if not hmac.compare_digest(self.users.get(self.name, os.urandom(9).hex()), password):
            raise Refused
        return b"", True


class Scram:
    """The server's side of RFC 5802, without channel binding."""

    def __init__(self, users, hash_name):
        self.users, self.hash, self.first = users, hash_name, None

    def digest(self, key, text):
        return hmac.new(key, text, self.hash).digest()

    def step(self, message):
        text = message.decode()
        if self.first is None:
            header, _, self.first = text.partition(",,")
            assert header == "n", header
            given = dict(part.split("=", 1) for part in self.first.split(","))
            self.name = given["n"].replace("=2C", ",").replace("=3D", "=")
            self.nonce = given["r"] + base64.b64encode(os.urandom(18)).decode()
            salt = os.urandom(16)
            password = self.users.get(self.name, os.urandom(9).hex()).encode()
            self.salted = hashlib.pbkdf2_hmac(self.hash, password, salt, ITERATIONS)
            self.answer = f"r={self.nonce},s={base64.b64encode(salt).decode()},i={ITERATIONS}"
            return self.answer.encode(), False
        without_proof, _, proof = text.rpartition(",p=")
        signed = ",".join((self.first, self.answer, without_proof)).encode()
        key = self.digest(self.salted, b"Client Key")
        signature = self.digest(hashlib.new(self.hash, key).digest(), signed)
        expected = bytes(one ^ other for one, other in zip(key, signature))
        if f"r={self.nonce}" not in without_proof or not hmac.compare_digest(expected, base64.b64decode(proof)):
            raise Refused
        server = self.digest(self.digest(self.salted, b"Server Key"), signed)
        return b"v=" + base64.b64encode(server), True



def with_login(answer, flexible):
    """The broker's own list, and the two requests of the login."""
    begin, rest = answer[:6], answer[6:]
    tags = b"\0" if flexible else b""
    more = b"".join(struct.pack(">hhh", key, low, high) + tags for key, low, high in ((HANDSHAKE, 1, 1), (AUTHENTICATE, 0, 0)))
    if flexible:
        assert rest[0] < 100, "the number of requests is written in one byte"
        return begin + bytes([rest[0] + 2]) + more + rest[1:]
    return begin + struct.pack(">i", struct.unpack(">i", rest[:4])[0] + 2) + more + rest[4:]


def log_in(client, broker, users):
    """True when the client may go on."""
    mechanism = None
    while True:
        request = frame(client)
        key, version, correlation, length = struct.unpack(">hhih", request[:10])
        body = request[10 + max(length, 0):]
        correlation = struct.pack(">i", correlation)
        if key == API_VERSIONS:
            send(broker, request)
            send(client, with_login(frame(broker), version >= 3))
        elif key == HANDSHAKE:
            name = body[2:].decode()
            error = 0 if name in MECHANISMS else UNSUPPORTED_MECHANISM
            offered = struct.pack(">i", len(MECHANISMS)) + b"".join(map(string, MECHANISMS))
            send(client, correlation + struct.pack(">h", error) + offered)
            mechanism = Plain(users) if name == "PLAIN" else Scram(users, name[6:].replace("-", "").lower())
        elif key == AUTHENTICATE:
            try:
                answer, done = mechanism.step(body[4:])
            except Refused:
                print(name, mechanism.name, "refused", flush=True)
                reason = string("Authentication failed during authentication due to invalid credentials")
                send(client, correlation + struct.pack(">h", AUTHENTICATION_FAILED) + reason + sized(b""))
                return False
            send(client, correlation + struct.pack(">hh", 0, -1) + sized(answer))
            if done:
                print(name, mechanism.name, "accepted", flush=True)
                return True
        else:
            print("request", key, "without a login", flush=True)
            return False


def pass_on(source, target, change):
    try:
        while data := frame(source):
            send(target, change(data))
    except (EOFError, OSError):
        pass
    for each in (source, target):
        try:
            each.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def serve(client, address, own):
    try:
        broker = socket.create_connection(address)
        users = dict(line.split(" ", 1) for line in open(sys.argv[2]).read().splitlines())
        if not log_in(client, broker, users):
            client.close()
            return
    except (EOFError, OSError):
        client.close()
        return
    host = address[0].encode()
    # In either encoding of a string the port follows it, as four bytes.
    theirs, ours = (host + struct.pack(">i", port) for port in (address[1], own))
    threading.Thread(target=pass_on, args=(client, broker, lambda data: data), daemon=True).start()
    pass_on(broker, client, lambda data: data.replace(theirs, ours))


def main():
    host, port = sys.argv[1].rsplit(":", 1)
    listener = socket.create_server(("127.0.0.1", 0), backlog=100)
    own = listener.getsockname()[1]
    print("port", own, flush=True)
    while True:
        client, _ = listener.accept()
        threading.Thread(target=serve, args=(client, (host, int(port)), own), daemon=True).start()


main()

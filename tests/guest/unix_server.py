# A server on a Unix socket, with its own account of every byte: `unix_server.py http|echo NAME LOG`; a NAME that
# begins with @ is abstract. Writes to LOG: `accepted`, `closed RECEIVED SENT`, and for every request of http
# `request STATUS RECEIVED SENT SECONDS PATH`, the seconds from its first byte read to its answer's last byte.
import os
import socket
import sys
import threading
import time

STATUSES = {"/ok": 200, "/created": 201, "/missing": 404, "/broken": 503}
mode, name, log = sys.argv[1], sys.argv[2], open(sys.argv[3], "a", buffering=1)


def address(name):
    return "\0" + name[1:] if name.startswith("@") else name


def http(connection):
    received = sent = 0
    rest = b""
    while True:
        begin = None
        while b"\r\n\r\n" not in rest:
            part = connection.recv(65536)
            if not part:
                return received, sent
            begin = begin or time.monotonic()
            received += len(part)
            rest += part
        head, rest = rest.split(b"\r\n\r\n", 1)
        path = head.split(b" ")[1].decode()
        if path.startswith("/sleep"):
            time.sleep(int(path.split("=")[1]) / 1000)
        body = b"done\n"
        status = STATUSES.get(path, 200)
        answer = f"HTTP/1.1 {status} Because\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
        connection.sendall(answer)
        seconds = time.monotonic() - begin
        sent += len(answer)
        log.write(f"request {status} {len(head) + 4} {len(answer)} {seconds:.6f} {path}\n")


def echo(connection):
    moved = 0
    while part := connection.recv(65536):
        connection.sendall(part)
        moved += len(part)
    return moved, moved


def serve(connection):
    with connection:
        try:
            received, sent = (http if mode == "http" else echo)(connection)
        except ConnectionError:
            received = sent = -1
    log.write(f"closed {received} {sent}\n")


if not name.startswith("@") and os.path.exists(name):
    os.unlink(name)
listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
listener.bind(address(name))
listener.listen(128)
log.write("listening\n")
while True:
    connection, _ = listener.accept()
    log.write("accepted\n")
    threading.Thread(target=serve, args=(connection,), daemon=True).start()

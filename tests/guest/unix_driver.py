#!/usr/bin/env python3
# A client of Unix sockets that does exactly what it is told and says exactly what it did, like `driver` for TCP:
# `unix_driver.py NAME` reads commands from standard input, one a line, and answers each with one line of JSON. Of
# `sent` and `received` those bytes are told that went over Unix stream sockets in this process.
import array
import errno
import json
import os
import socket
import sys

NAME = sys.argv[1]
STREAM = socket.SOCK_STREAM
held = []


def address(name):
    return "\0" + name[1:] if name.startswith("@") else name


def connect(own=None):
    connection = socket.socket(socket.AF_UNIX, STREAM)
    if own:
        connection.bind(own)
    connection.connect(address(NAME))
    return connection


def pair():
    return socket.socketpair(socket.AF_UNIX, STREAM)


def read(connection, length):
    left = length
    while left:
        part = connection.recv(left)
        assert part
        left -= len(part)
    return length


def ask(done, connection, path):
    request = f"GET {path} HTTP/1.1\r\nHost: here\r\n\r\n".encode()
    connection.sendall(request)
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += connection.recv(65536)
    head, body = answer.split(b"\r\n\r\n", 1)
    length = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])
    read(connection, length - len(body))
    status = head.split(b" ")[1].decode()
    done["requests"] += 1
    done["statuses"][status] = done["statuses"].get(status, 0) + 1
    done["sent"] += len(request)
    done["received"] += len(head) + 4 + length


def get(done, count, *paths):
    for number in range(int(count)):
        ask(done, held[number % len(held)], paths[number % len(paths)])


def opened(done, count):
    held.extend(connect() for _ in range(int(count)))


# The same, with sockets that have names of their own.
def named(done, count):
    held.extend(connect(f"/run/work/{os.getpid()}-{number}.sock") for number in range(int(count)))


def close(done):
    while held:
        held.pop().close()


# Bytes that are no protocol, to a server that sends them back.
def garbage(done, count):
    with connect() as connection:
        for at in range(0, int(count), 1000):
            part = bytes([1, 2, 3, 4]) * (min(1000, int(count) - at) // 4)
            connection.sendall(part)
            done["sent"] += len(part)
            done["received"] += read(connection, len(part))


# Every way to move bytes between two sockets of one process.
def ways(done, count):
    one, other = pair()
    sent = received = 0
    sent += one.send(b"\1" * int(count))
    received += len(other.recv(int(count)))
    sent += one.sendmsg([b"\1"] * 5 + [b"\2" * 300])
    buffers = [bytearray(3), bytearray(1000)]
    received += other.recvmsg_into(buffers)[0]
    sent += os.writev(other.fileno(), [b"\1\1", b"\2\2\2"])
    received += os.readv(one.fileno(), [bytearray(2), bytearray(9)])
    # Looked at twice, received once.
    sent += other.send(b"\1" * 700)
    assert len(one.recv(700, socket.MSG_PEEK)) == 700
    assert len(one.recv(300, socket.MSG_PEEK)) == 300
    received += len(one.recv(300)) + len(one.recv(400, socket.MSG_WAITALL))
    # On Unix streams these flags change nothing.
    sent += os.write(one.fileno(), b"\1" * 90)
    received += len(other.recv(90, socket.MSG_TRUNC))
    # Nothing there, no room.
    one.setblocking(False)
    for call in (lambda: one.recv(1), lambda: other.recv(1, socket.MSG_DONTWAIT)):
        try:
            call()
        except BlockingIOError:
            pass
    full = 0
    try:
        while True:
            full += one.send(b"\1" * 50000)
    except BlockingIOError:
        pass
    sent += full
    received += read(other, full)
    done["sent"] += sent
    done["received"] += received
    # The other end is gone.
    other.close()
    try:
        one.send(b"\1")
    except BrokenPipeError:
        pass
    assert one.recv(1) == b""
    one.close()


# Past the process's memory: sendfile and splice.
def files(done, count):
    one, other = pair()
    with open("/run/work/file", "wb") as file:
        file.write(b"\1" * int(count))
    with open("/run/work/file", "rb") as file:
        left = int(count)
        inward, outward = os.pipe()
        while left:
            moved = os.sendfile(one.fileno(), file.fileno(), None, min(left, 30000))
            done["sent"] += moved
            left -= moved
            while moved:
                out = os.splice(other.fileno(), outward, moved)
                done["received"] += out
                moved -= out
                os.read(inward, out)
        os.write(outward, b"\1" * 500)
        done["sent"] += os.splice(inward, one.fileno(), 500)
        done["received"] += read(other, 500)
    one.close()
    other.close()


# Descriptors travel beside bytes.
def rights(done, count):
    one, other = pair()
    for _ in range(int(count)):
        beside = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0]))]
        done["sent"] += one.sendmsg([b"descriptor"], beside)
        part, ancillary, _, _ = other.recvmsg(100, socket.CMSG_SPACE(4))
        done["received"] += len(part)
        os.close(array.array("i", ancillary[0][2])[0])
    one.close()
    other.close()


# A child sends, this process receives.
def child(done, count):
    one, other = pair()
    pid = os.fork()
    if pid == 0:
        one.close()
        other.sendall(b"\1" * int(count))
        other.recv(1)
        os._exit(0)
    other.close()
    done["received"] += read(one, int(count))
    done["sent"] += one.send(b"\1")
    done["child"] = pid
    os.waitpid(pid, 0)
    one.close()


# No streams: not counted.
def packets(done, count):
    for kind in (socket.SOCK_DGRAM, socket.SOCK_SEQPACKET):
        one, other = socket.socketpair(socket.AF_UNIX, kind)
        one.send(b"\1" * int(count))
        other.recv(int(count))
        one.close()
        other.close()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind("/run/work/packets.sock")
        listener.listen(1)
        client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        client.connect("/run/work/packets.sock")
        server, _ = listener.accept()
        client.send(b"\1" * int(count))
        server.recv(int(count))
        client.close()
        server.close()


# Connects that cannot succeed: nobody there, nobody listening, no room in the queue, and on a socket that is connected
# already.
def fails(done):
    failed = {}

    def refuse(connection, name):
        try:
            connection.connect(name)
        except OSError as why:
            text = errno.errorcode[why.errno]
            failed[text] = failed.get(text, 0) + 1

    for _ in range(3):
        refuse(socket.socket(socket.AF_UNIX, STREAM), "/run/work/nowhere")
    silent = socket.socket(socket.AF_UNIX, STREAM)
    silent.bind("/run/work/silent.sock")
    for _ in range(2):
        refuse(socket.socket(socket.AF_UNIX, STREAM), "/run/work/silent.sock")
    silent.listen(0)
    first = socket.socket(socket.AF_UNIX, STREAM)
    first.connect("/run/work/silent.sock")
    late = socket.socket(socket.AF_UNIX, STREAM)
    late.setblocking(False)
    refuse(late, "/run/work/silent.sock")
    refuse(late, "/run/work/silent.sock")
    accepted, _ = silent.accept()
    refuse(first, "/run/work/silent.sock")
    done["failed"] = failed
    for connection in (first, late, accepted, silent):
        connection.close()


COMMANDS = {
    "open": opened,
    "named": named,
    "get": get,
    "close": close,
    "garbage": garbage,
    "ways": ways,
    "files": files,
    "rights": rights,
    "child": child,
    "packets": packets,
    "fails": fails,
}

for line in sys.stdin:
    command, *words = line.split()
    if command == "quit":
        break
    done = {
        "command": line.strip(),
        "pid": os.getpid(),
        "requests": 0,
        "statuses": {},
        "sent": 0,
        "received": 0,
        "seconds": [],
    }
    COMMANDS[command](done, *words)
    print(json.dumps(done), flush=True)

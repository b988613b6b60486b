# Holds TCP connections, and does with them what it is told: `held.py ROLE ADDRESS:PORT N [OPTION...]`.
#   client   makes N connections. --bind ADDRESS:PORT: binds them first; --download PATH: asks for PATH and reads only
#            the first 100,000 bytes of the answer; --nowait: does not wait until they are made.
#   server   accepts N connections and answers each request with "ok". --backlog B: what listen() is given;
#            --close: closes the listening socket then; --fork: children hold the connections too, and serve them;
#            --stuck: accepts nothing until it is told; --leave: a child goes on, and the parent ends;
#            --twice: has a second listening socket there.
# Commands on standard input, one a line; each is answered by one line of JSON that says what was done:
#   use      (client) a request on each connection, its answer read; after --download, the rest of that first
#   accept   (server, --stuck) begins to accept, and to answer each connection in a thread of its own
#   deaf     (server) closes the listening socket
#   close    closes all connections
import argparse
import json
import os
import select
import selectors
import socket
import sys
import threading

REQUEST = b"GET /ok HTTP/1.1\r\nHost: held\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n"
FIRST_BYTES = 100_000


def place(text):
    address, port = text.rsplit(":", 1)
    return address, int(port)


words = argparse.ArgumentParser()
words.add_argument("role")
words.add_argument("place", type=place)
words.add_argument("count", type=int)
words.add_argument("--bind", type=place)
words.add_argument("--download")
words.add_argument("--nowait", action="store_true")
words.add_argument("--backlog", type=int, default=511)
words.add_argument("--close", action="store_true")
words.add_argument("--fork", action="store_true")
words.add_argument("--stuck", action="store_true")
words.add_argument("--leave", action="store_true")
words.add_argument("--twice", action="store_true")
told = words.parse_args()
connections = []
sent = received = requests = 0


def say(command):
    global sent, received, requests
    line = {"pid": os.getpid(), "command": command, "connections": len(connections)}
    line |= {"sent": sent, "received": received, "requests": requests}
    line |= {"statuses": {"200": requests} if requests else {}, "seconds": []}
    print(json.dumps(line), flush=True)
    sent = received = requests = 0


def connect():
    connection = socket.socket()
    if told.bind:
        connection.bind(told.bind)
    if told.nowait:
        connection.setblocking(False)
        connection.connect_ex(told.place)
        # One handshake after the other: several at a time fill the queue of requests, which is another matter.
        select.select([], [connection], [], 0.1)
    else:
        connection.connect(told.place)
    return connection


def send(connection, data):
    global sent
    connection.sendall(data)
    sent += len(data)


def receive(connection, most):
    global received
    data = connection.recv(most)
    assert data, "the server closed the connection"
    received += len(data)
    return data


def answer(connection, ahead=b""):
    while b"\r\n\r\n" not in ahead:
        ahead += receive(connection, 65536)
    head, body = ahead.split(b"\r\n\r\n", 1)
    length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    left = length - len(body)
    while left:
        left -= len(receive(connection, min(left, 65536)))


def use():
    global requests
    for connection in connections:
        connection.setblocking(True)
        if told.download:
            answer(connection, begun)
        send(connection, REQUEST)
        answer(connection)
        requests += 1


def serve(connections):
    """Answers requests until all connections are closed by their clients."""
    ready = selectors.DefaultSelector()
    for connection in connections:
        # Another process may serve the same connections, and take what both were woken for.
        connection.setblocking(False)
        ready.register(connection, selectors.EVENT_READ)
    while ready.get_map():
        for key, _ in ready.select():
            try:
                data = key.fileobj.recv(65536)
            except BlockingIOError:
                continue
            if data:
                key.fileobj.sendall(ANSWER * data.count(b"\r\n\r\n"))
            else:
                ready.unregister(key.fileobj)
                key.fileobj.close()


def listen():
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind(told.place)
    listener.listen(told.backlog)
    return listener


def accept():
    for _ in range(told.count):
        connection = listener.accept()[0]
        threading.Thread(target=serve, args=[[connection]], daemon=True).start()


if told.role == "client":
    connections.extend(connect() for _ in range(told.count))
    if told.download:
        send(connections[0], f"GET {told.download} HTTP/1.1\r\nHost: held\r\n\r\n".encode())
        begun = b""
        while len(begun) < FIRST_BYTES:
            begun += receive(connections[0], FIRST_BYTES - len(begun))
else:
    listener = listen()
    second = listen() if told.twice else None
    print("listening", file=sys.stderr, flush=True)
    if told.leave and os.fork() > 0:
        os._exit(0)
    if not told.stuck:
        connections.extend(listener.accept()[0] for _ in range(told.count))
    if told.close:
        listener.close()
    if told.fork:
        for _ in range(2):
            if os.fork() == 0:
                serve(connections)
                os._exit(0)
    elif not told.stuck:
        threading.Thread(target=serve, args=[connections], daemon=True).start()
say("begin")
for line in sys.stdin:
    command = line.strip()
    if command == "use":
        use()
    elif command == "accept":
        threading.Thread(target=accept, daemon=True).start()
    elif command == "deaf":
        listener.close()
    elif command == "close":
        for connection in connections:
            connection.close()
        connections.clear()
    elif command == "quit":
        break
    say(command)

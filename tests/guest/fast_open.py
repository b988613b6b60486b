# Requests whose bytes go with the SYN, while the answer to that is on its way.
#   server PORT               answers one request on each connection
#   client PORT CLOSED OUT    asks the server nine times, and a port where nobody listens; needs a delay on the loopback
#                             interface. Writes to OUT what it sent and received, and how many calls sent so early.
import json
import select
import socket
import sys

REQUEST = b"GET /early HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
QUEUE = 16
counts = {"sent": 0, "received": 0, "early": 0, "answered": 0, "refused": 0}


def serve(port):
    listener = socket.create_server(("127.0.0.1", port))
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN, QUEUE)
    while True:
        connection, _ = listener.accept()
        connection.recv(1000)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        connection.close()


def ask(port):
    connection = socket.socket()
    connection.setblocking(False)
    try:
        counts["sent"] += connection.sendto(REQUEST, socket.MSG_FASTOPEN, ("127.0.0.1", port))
        counts["early"] += 1
    except BlockingIOError:
        # The first one has no cookie yet.
        select.select([], [connection], [], 10)
        counts["sent"] += connection.send(REQUEST)
    try:
        while select.select([connection], [], [], 10)[0]:
            received = len(connection.recv(1000))
            counts["received"] += received
            if not received:
                break
        counts["answered"] += 1
    except ConnectionError:
        counts["refused"] += 1
    connection.close()


role, port, *more = sys.argv[1:]
if role == "server":
    serve(int(port))
for _ in range(9):
    ask(int(port))
ask(int(more[0]))
json.dump(counts, open(more[1], "w"))

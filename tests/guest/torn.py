"""A server that sends a file with sendfile(), and clients that reset the connection in the middle of it.

torn.py PORT FILE COUNT MODE: so many requests, one after the other. MODE is `blocking` or `nonblocking`, for the server.
Says how many bytes its calls returned, received and transmitted.
"""

import os
import random
import socket
import struct
import sys
import threading

CHUNK_BYTES = 1 << 20


def call(port, most_bytes, seed):
    """A client that has read a part of its answer."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"GET /torn HTTP/1.1\r\nHost: torn\r\n\r\n")
        left = random.Random(seed).randrange(1000, most_bytes)
        while left > 0:
            left -= len(connection.recv(65536))
        # No FIN, but a reset.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def serve(connection, file, is_blocking):
    """Answers one request as far as the client lets it; tells how many bytes moved."""
    size = os.fstat(file).st_size
    received = len(connection.recv(65536))
    transmitted = connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
    connection.setblocking(is_blocking)
    offset = 0
    try:
        while offset < size:
            try:
                offset += os.sendfile(connection.fileno(), file, offset, CHUNK_BYTES)
            except BlockingIOError:
                pass
    except (BrokenPipeError, ConnectionResetError):
        pass
    return received, transmitted + offset


def main():
    port, path, count, mode = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]
    listener = socket.create_server(("127.0.0.1", port))
    file = os.open(path, os.O_RDONLY)
    sums = [0, 0]
    for seed in range(count):
        client = threading.Thread(target=call, args=(port, os.fstat(file).st_size // 4, seed))
        client.start()
        connection, _ = listener.accept()
        with connection:
            sums = [a + b for a, b in zip(sums, serve(connection, file, mode == "blocking"))]
        client.join()
    print(*sums, flush=True)
    sys.stdin.read()


main()

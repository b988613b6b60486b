# Both ends of many connections, in one process: `crowd.py PORT`. Each command on standard input is answered by a line:
#   N ROUTES   N connections more, each with a request for one of ROUTES routes; they stay open.
import itertools
import socket
import sys

LETTERS = "bcdfghjklmnpqrstvwx"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n"
# The kernel looks for a free port one after the other, which takes long when most are in use.
PER_ADDRESS = 5000
port = int(sys.argv[1])
ends = []


def words():
    """Words that no one takes for ids."""
    for first, second, third in itertools.product(LETTERS, repeat=3):
        yield f"{first}a{second}o{third}e"


listener = socket.create_server(("", port), backlog=16)
print("listening", flush=True)
for command in sys.stdin:
    count, routes = map(int, command.split())
    paths = itertools.cycle(itertools.islice(words(), routes))
    for number in range(count):
        asker = socket.create_connection((f"127.0.0.{1 + number // PER_ADDRESS}", port))
        server, _ = listener.accept()
        asker.sendall(f"GET /{next(paths)} HTTP/1.1\r\nHost: crowd\r\n\r\n".encode())
        server.recv(4096)
        server.sendall(ANSWER)
        asker.recv(4096)
        ends += [asker, server]
    print(f"holds {len(ends)}", flush=True)

# Asks a server that is stopped, and lets it go on after a while; tells how long each request waited at least.
# stopped.py PORT SECONDS:COUNT:new|kept... PID... , where the pids come behind `--`.
import os
import signal
import socket
import sys
import time

split = sys.argv.index("--")
port, plan = int(sys.argv[1]), sys.argv[2:split]
pids = [int(pid) for pid in sys.argv[split + 1:]]
REQUEST = b"GET /ok HTTP/1.1\r\nHost: stopped\r\n\r\n"


def ask(client):
    client.sendall(REQUEST)
    return time.monotonic()


def answer(client):
    got = b""
    while not got.endswith(b"ok\n"):
        got += client.recv(4096)


kept = socket.create_connection(("127.0.0.1", port))
ask(kept)
answer(kept)
for step in plan:
    seconds, count, which = step.split(":")
    for _ in range(int(count)):
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        client = kept if which == "kept" else socket.create_connection(("127.0.0.1", port))
        asked = ask(client)
        time.sleep(float(seconds))
        print(step, time.monotonic() - asked)
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
        answer(client)

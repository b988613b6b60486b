# A client that lies: `liar.py PORT FIRST LOG LINE OUT`. On a connection for each sample it asks for FIRST, which is
# honest, and then says something that is not. Writes to OUT, for each sample, one line of JSON: its name, the bytes that
# it sent and got, the answers behind the honest one, by how many lines with the expression LINE in them LOG grew, and the
# bytes of asking the agent what it counts now, which goes to OUT-NUMBER.prom.
import json
import re
import socket
import sys
import time

PORT, FIRST, LOG, LINE, OUT = int(sys.argv[1]), *sys.argv[2:]
HONEST = f"GET {FIRST} HTTP/1.1\r\nHost: h\r\n\r\n".encode()


def post(fields, body=""):
    return f"POST /lie HTTP/1.1\r\nHost: h\r\n{fields}\r\n\r\n{body}".encode("latin-1")


def chunks(body):
    return post("Transfer-Encoding: chunked", body)


def get(fields):
    return f"GET /lie HTTP/1.1\r\nHost: h\r\n{fields}\r\n\r\n".encode("latin-1")


SCRAPE = b"GET /metrics HTTP/1.0\r\nHost: h\r\n\r\n"
SAMPLES = {
    "two lengths": post("Content-Length: 3\r\nContent-Length: 4", "abc"),
    "one length twice": post("Content-Length: 3\r\nContent-Length: 3", "abc"),
    "a length with a sign": post("Content-Length: +3", "abc"),
    "a length over 64 bits": post("Content-Length: 18446744073709551616"),
    "a length that is too short": post("Content-Length: 3", 'abc{"d": 1}\r\n\r\n'),
    "CL.TE": post("Content-Length: 6\r\nTransfer-Encoding: chunked", "0\r\n\r\nG"),
    "TE.CL": post("Transfer-Encoding: chunked\r\nContent-Length: 3", "8\r\nSMUGGLED\r\n0\r\n\r\n"),
    "TE.TE": post("Transfer-Encoding: chunked\r\nTransfer-encoding: cow", "0\r\n\r\n"),
    "TE: xchunked": post("Transfer-Encoding: xchunked", "0\r\n\r\n"),
    "TE: a space before the colon": post("Transfer-Encoding : chunked", "0\r\n\r\n"),
    "TE: on a folded line": post("Transfer-Encoding:\r\n chunked", "0\r\n\r\n"),
    "CL.0": f"GET {FIRST} HTTP/1.1\r\nHost: h\r\nContent-Length: {len(HONEST)}\r\n\r\n".encode() + HONEST,
    "a chunk size that is no number": chunks("zz\r\nabc\r\n0\r\n\r\n"),
    "a chunk size over 64 bits": chunks("10000000000000003\r\nabc\r\n0\r\n\r\n"),
    "a chunk that is too long": chunks("3\r\nabcd\r\n0\r\n\r\n"),
    "a field of 1 MB": get("X: " + "x" * (1 << 20)),
    "a NUL in a field": get("X: a\0b"),
    "a NUL in the target": b"GET /\0lie HTTP/1.1\r\nHost: h\r\n\r\n",
    "a bare CR": get("X: y\rZ: z"),
    "bare LFs": b"GET /lie HTTP/1.1\nHost: h\n\n",
    "a folded line": get("X: y\r\n z"),
    "a space before the colon": get("X : y"),
    "a field without a colon": get("XYZ"),
    "no version": b"GET /lie\r\n\r\n",
    "a version of tomorrow": b"GET /lie HTTP/4.2\r\nHost: h\r\n\r\n",
    "a method that is no token": b"G@T /lie HTTP/1.1\r\nHost: h\r\n\r\n",
    "a target with a space": b"GET /a lie HTTP/1.1\r\nHost: h\r\n\r\n",
    "binary": bytes(range(1, 9)) + b"\r\n\r\n",
    "HTTP/2's preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}


def logged():
    # What an honest client beside asks for is another matter.
    with open(LOG, encoding="latin-1") as log:
        return sum(bool(re.search(LINE, line)) and "/ok" not in line for line in log)


def is_whole(answer):
    """Is this an answer with a length, to its end?"""
    head, end, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: *([0-9]+)", head)
    return bool(end and length and len(body) >= int(length[1]))


def read(connection, is_enough=lambda _: False):
    """What comes until the peer has closed, is silent, or has said enough."""
    got = b""
    try:
        while not is_enough(got):
            more = connection.recv(65536)
            if not more:
                break
            got += more
    except OSError:
        pass
    return got


def tell(lie):
    """Says a sample; what was sent, and got in answer to the honest request and to the lie."""
    connection = socket.create_connection(("127.0.0.1", PORT))
    connection.settimeout(1)
    sent = connection.send(HONEST)
    first = read(connection, is_whole)
    try:
        rest = lie
        while rest:
            moved = connection.send(rest)
            sent, rest = sent + moved, rest[moved:]
    except OSError:
        pass
    second = read(connection)
    connection.close()
    return sent, first, second


def settled():
    """The log's length when it does not grow any more."""
    lines = logged()
    while True:
        time.sleep(0.2)
        if lines == (lines := logged()):
            return lines


out = open(OUT, "w")
lines = settled()
for number, (name, lie) in enumerate(SAMPLES.items()):
    sent, first, second = tell(lie)
    before, lines = lines, settled()
    agent = socket.create_connection(("127.0.0.1", 9435))
    agent.sendall(SCRAPE)
    scrape = read(agent)
    agent.close()
    open(f"{OUT}-{number}.prom", "wb").write(scrape.split(b"\r\n\r\n", 1)[1])
    answers = [line.split()[1].decode() for line in second.split(b"\n") if line.startswith(b"HTTP/1.")]
    out.write(json.dumps({
        "name": name,
        "sent": sent,
        "received": len(first) + len(second),
        "answers": answers,
        "logged": lines - before,
        "scrape": [len(SCRAPE), len(scrape)],
    }) + "\n")

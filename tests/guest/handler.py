# An HTTP/1.1 server in Python's own http.server, whose handlers sleep: `handler.py PORT LOG`.
# /sleep?ms=N answers after N ms; /drip?ms=N waits between the head and the body of its answer.
# Writes to LOG, for every request: path, and seconds from its first line read to its answer's first and last byte.
import http.server
import sys
import time
from urllib.parse import parse_qs, urlsplit

log = open(sys.argv[2], "a", buffering=1)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # What is written goes out with flush().

    def parse_request(self):
        self.begin = time.monotonic()
        return super().parse_request()

    def do_GET(self):
        url = urlsplit(self.path)
        pause = int(parse_qs(url.query)["ms"][0]) / 1000
        if url.path == "/sleep":
            time.sleep(pause)
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        first = time.monotonic()
        if url.path == "/drip":
            self.wfile.flush()
            time.sleep(pause)
        self.wfile.write(b"done\n")
        self.wfile.flush()
        last = time.monotonic()
        log.write(f"{url.path} {first - self.begin:.6f} {last - self.begin:.6f}\n")

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()

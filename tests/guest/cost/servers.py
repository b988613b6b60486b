"""Real servers, and the loads on them."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

from batch import Load

WORK, OUT = Path("/run/work"), Path("/run/out")
HTTP = "http://127.0.0.1:8080"
REDIS_PORT = 6379
FILES_KIB = (4, 64, 1024, 16384)

NGINX = """
daemon off; user root; worker_processes 1; pid /run/work/nginx.pid; error_log stderr;
events { worker_connections 4096; }
http {
  access_log off; keepalive_requests 1000000000; keepalive_timeout 86400; sendfile on;
  root /run/work/www;
  server {
    listen 8080 backlog=4096;
    location / { }
    location = /0 { return 200 ""; }
    location = /512 { return 200 "%s"; }
  }
}
""" % ("x" * 512)


def in_memory(program):
    """Moves a program and its libraries to the root's layer in memory, and tells its path. While one waits for the
    host's files the clock jumps, and the agent's timers with it."""
    program = shutil.which(program)
    listed = subprocess.run(["ldd", program], capture_output=True, text=True).stdout
    for file in {program, *re.findall(r"(/\S+) \(0x", listed)}:
        file = os.path.realpath(file)
        copy = f"{file}.copy"
        shutil.copy2(file, copy)
        os.rename(copy, file)
    return program


def wait_for(what, holds):
    for _ in range(4000):
        if holds():
            return
        time.sleep(0.05)
    sys.exit(f"waited too long for {what}")


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def start_nginx():
    """Starts it with one worker, and tells that one's pid."""
    (WORK / "www").mkdir()
    for kib in FILES_KIB:
        (WORK / f"www/{kib}k").write_bytes(b"x" * (kib << 10))
    (WORK / "nginx.conf").write_text(NGINX)
    command = [in_memory("nginx"), "-c", str(WORK / "nginx.conf"), "-p", str(WORK)]
    nginx = subprocess.Popen(command, stderr=open(OUT / "nginx.log", "wb"))
    wait_for("nginx to listen", lambda: listens(8080))
    children = Path(f"/proc/{nginx.pid}/task/{nginx.pid}/children").read_text().split()
    return int(children[0])


def start_redis():
    command = [in_memory("redis-server"), "--port", str(REDIS_PORT), "--save", "", "--appendonly", "no"]
    redis = subprocess.Popen(command, stdout=open(OUT / "redis.log", "wb"), cwd=WORK)
    wait_for("redis to listen", lambda: listens(REDIS_PORT))
    return redis.pid


def loads():
    """Every load by its name."""
    ab, redis, dd, bash = map(in_memory, ("ab", "redis-benchmark", "dd", "bash"))
    true = in_memory("true")

    def http(name, small, large, path, connections=4, kept=True):
        def command(count):
            keep_alive = ["-k"] if kept else []
            return [ab, "-q", *keep_alive, "-n", str(count), "-c", str(connections), f"{HTTP}/{path}"]

        return Load(name, "nginx", small, large, command)

    def get(count):
        return [redis, "-p", str(REDIS_PORT), "-q", "-t", "get", "-d", "64", "-c", "4", "-n", str(count)]

    def read(count):
        return [dd, f"if={WORK}/www/16384k", "of=/dev/null", "bs=4096", f"count={count}"]

    def start(count):
        return [bash, "-c", f"for ((at = 0; at < {count}; at++)); do {true}; done"]

    every = [
        http("kept_512", 500, 4500, "512"),
        http("fresh_512", 100, 1100, "512", kept=False),
        http("kept_0", 500, 4500, "0"),
        http("kept_64k", 50, 450, "64k"),
        http("connections_1", 500, 4500, "512", 1),
        http("connections_64", 500, 4500, "512", 64),
        http("connections_1000", 1000, 5000, "512", 1000),
        http("kept_4k", 200, 2200, "4k"),
        http("kept_1024k", 4, 44, "1024k"),
        http("kept_16384k", 4, 10, "16384k"),
        Load("redis_get", "redis", 500, 4500, get),
        Load("no_network_read", None, 500, 4000, read),
        Load("no_network_start", None, 20, 120, start),
    ]
    return {load.name: load for load in every}

"""Batches of requests, and what each process used for them.

In this guest a nanosecond of a process's CPU clock is an instruction, in the kernel or outside of it.
"""

import os
import re
import resource
import subprocess
import sys
import time
from pathlib import Path

# Long enough for the agent to have read what a load left behind; sleeping costs nothing here.
SETTLE_SECONDS = 0.5
# While the guest waits for its host (a file, the console) its clock jumps from timer to timer, and everybody's timers
# run: a batch in which nobody ran for longer than this is made again.
IDLE_SECONDS_MAX = 2 * SETTLE_SECONDS
TRIES = 20
# What a load leaves to the kernel (connections in TIME_WAIT, memory that is freed later) is done in the time of whoever
# runs by then, so it is waited for.
FORGET_SECONDS = 70


def instructions(pid):
    """What a process has used so far, with all threads that it ever had."""
    process_clock = (~pid << 3) | 2
    return time.clock_gettime_ns(process_clock)


def kernel_threads():
    """What the kernel's own threads have used, by their kind: ksoftirqd, kworker, rcu."""
    kinds = {"ksoftirqd": 0, "kworker": 0, "other": 0}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat = (folder / "stat").read_text()
            name, rest = re.fullmatch(r"\d+ \((.*)\) (.*)\n", stat, re.S).groups()
            if rest.split()[1] != "2":
                continue
            kind = next((kind for kind in kinds if name.startswith(kind)), "other")
            kinds[kind] += int((folder / "schedstat").read_text().split()[0])
        except FileNotFoundError:
            pass  # It ended meanwhile.
    return kinds


def naps(pid):
    """How often the threads of a process went to sleep, and so were woken."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        status = (task / "status").read_text()
        total += int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", status, re.M)[1])
    return total


class Load:
    """Requests to a server, or runs of something else, as many as a command is told to make.

    Two batches are run, and the cost is that of the difference: what starting the client costs is not in it.
    """

    def __init__(self, name, server, small, large, command):
        self.name, self.server, self.command = name, server, command
        self.counts = (small, large)


class Batches:
    """Runs loads and keeps what they used."""

    def __init__(self):
        self.server_pids = {}
        # What is measured: the agent, or what stands in its place. Its process.
        self.observer = None
        self.kept = []
        # Requests to each server so far, those of batches that are not kept included.
        self.made = {}

    def used(self, server):
        observer = self.observer
        return {
            "server": instructions(self.server_pids[server]) if server else 0,
            "observer": instructions(observer.pid) if observer else 0,
            "naps": naps(observer.pid) if observer else 0,
            **kernel_threads(),
            "clock": time.monotonic_ns(),
        }

    def run(self, phase, loads):
        """Runs each load in both sizes, after one that fills caches and lets every process touch its pages."""
        for load in loads:
            time.sleep(FORGET_SECONDS)
            self.one(load, load.counts[0])
            for count in load.counts:
                used = self.one(load, count)
                self.kept.append({"phase": phase, "load": load.name, "requests": count, **used})
            print(f"== {phase}: {load.name}", flush=True)

    def one(self, load, count):
        """One batch that was not disturbed."""
        idle_seconds = []
        for _ in range(TRIES):
            used = self.attempt(load, count)
            self.made[load.server] = self.made.get(load.server, 0) + count
            busy = sum(used[key] for key in ("server", "client", "observer", "ksoftirqd", "kworker", "other"))
            idle_seconds.append((used["clock"] - busy) / 1e9)
            if idle_seconds[-1] < IDLE_SECONDS_MAX:
                return used
        waits = ", ".join(f"{seconds:.2f}" for seconds in idle_seconds)
        sys.exit(f"{load.name}: the guest waited for its host in each of {TRIES} batches, so many seconds: {waits}")

    def attempt(self, load, count):
        before = self.used(load.server)
        process = subprocess.Popen(load.command(count), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        said = process.stdout.read().decode(errors="replace")
        # Exact to 1000 instructions, and has what the client itself has started.
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = status
        if status != 0 or re.search(r"^(Failed|Non-2xx).*:\s+[1-9]", said, re.M):
            sys.exit(f"{load.name}: the client failed:\n{said}")
        time.sleep(SETTLE_SECONDS)
        after = self.used(load.server)
        client = round((usage.ru_utime + usage.ru_stime) * 1e9)
        return {**{key: after[key] - before[key] for key in after}, "client": client}


def many_files():
    """A thousand connections are a thousand descriptors."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (8192, 8192))

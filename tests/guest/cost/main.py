"""Runs loads against real servers, without and with what is measured, and saves what each process used.

It judges nothing: `xtask/src/bench/request/` divides and compares. `main.py smoke` does the least of it.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from batch import Batches, instructions, many_files, naps
from servers import OUT, WORK, in_memory, listens, loads, start_nginx, start_redis, wait_for

AGENT = WORK / "sockmeter"
AGENT_PORT = 9435
TRACING = Path("/sys/kernel/tracing")
IDLE_SECONDS = 60
GROWTH = ("connections_1", "kept_4k", "kept_1024k", "kept_16384k")


def start_agent(batches, *flags):
    """Starts it, and tells what that cost until it was ready."""
    agent = subprocess.Popen([str(AGENT), *flags], stderr=open(OUT / "agent.log", "ab"))
    batches.observer = agent

    def is_ready():
        if not listens(AGENT_PORT):
            return False
        with socket.create_connection(("127.0.0.1", AGENT_PORT)) as asked:
            asked.sendall(b"GET /health/ready HTTP/1.0\r\n\r\n")
            return b" 200 " in asked.makefile("rb").readline()

    wait_for("the agent to be ready", is_ready)
    return instructions(agent.pid)


def stop(batches):
    batches.observer.send_signal(signal.SIGTERM)
    batches.observer.wait()
    batches.observer = None


def requests_counted(program):
    """How many requests the agent counted of a server."""
    with urllib.request.urlopen(f"http://127.0.0.1:{AGENT_PORT}/metrics") as answer:
        scrape = answer.read().decode()
    own = f'process_executable_name="{program}"'
    count = r"^http_server_request_duration_seconds_count\{(.*)\} (\S+)$"
    return sum(float(value) for labels, value in re.findall(count, scrape, re.M) if own in labels)


def idle(batches):
    """What the agent does while nothing happens."""
    before = instructions(batches.observer.pid), naps(batches.observer.pid), time.monotonic_ns()
    time.sleep(IDLE_SECONDS)
    after = instructions(batches.observer.pid), naps(batches.observer.pid), time.monotonic_ns()
    used, slept, clock = (after - before for before, after in zip(before, after))
    return {"instructions": used, "naps": slept, "clock": clock}


def measure_agent(batches, phase, which, *flags):
    """One phase with the agent; tells what does not belong to a request."""
    start = start_agent(batches, *flags)
    before = batches.made["nginx"]
    batches.run(phase, which)
    facts = {
        "start": start,
        "counted": requests_counted("nginx"),
        "made": batches.made["nginx"] - before,
        "idle": idle(batches),
    }
    stop(batches)
    return facts


def floor(batches, which):
    """The least that the same hooks can cost."""
    command = [os.environ["FLOOR"], os.environ["FLOOR_OBJECT"]]
    loader = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    if loader.stdout.readline() != b"attached\n":
        sys.exit("the floor could not be loaded")
    batches.observer = loader
    batches.run("floor", which)
    batches.observer = None
    total, _ = loader.communicate()
    return int(total)


def bpftrace(batches, which):
    """Two counting probes of bpftrace."""
    script = "kprobe:tcp_sendmsg,kprobe:tcp_recvmsg { @[pid] = count(); }"
    tracer = subprocess.Popen([shutil.which("bpftrace"), "-e", script], stdout=subprocess.PIPE)
    probes = Path("/sys/kernel/debug/kprobes/list")
    wait_for("bpftrace to attach", lambda: len(re.findall("tcp_(?:send|recv)msg", probes.read_text())) == 2)
    batches.observer = tracer
    batches.run("bpftrace", which)
    batches.observer = None
    tracer.send_signal(signal.SIGINT)
    said, _ = tracer.communicate()
    return sum(map(int, re.findall(rb"^@\[\d+\]: (\d+)$", said, re.M)))


def programs(bpftool):
    """What the kernel's programs have run, by name."""
    listed = json.loads(subprocess.run([bpftool, "prog", "show", "-j"], capture_output=True, check=True).stdout)
    return {program["name"]: (program.get("run_cnt", 0), program.get("run_time_ns", 0)) for program in listed}


def kernel_programs(batches, which):
    """What each program of the agent runs for a load, and who wakes the agent meanwhile."""
    bpftool = in_memory("bpftool")
    programs(bpftool)
    start_agent(batches)
    switch = Path("/proc/sys/kernel/bpf_stats_enabled")
    switch.write_text("1")
    ran = {}
    for load in which:
        count = load.counts[1]
        before = programs(bpftool)
        batches.one(load, count)
        after = programs(bpftool)
        ran[load.name] = {
            name: {"runs": (runs - before[name][0]) / count, "instructions": (used - before[name][1]) / count}
            for name, (runs, used) in after.items()
            if runs > before[name][0]
        }
    switch.write_text("0")
    wakers = {load.name: wakers_during(batches, load) for load in which}
    stop(batches)
    return ran, wakers


def wakers_during(batches, load):
    """Who ran when the agent's threads were woken, in what call chain, and how often."""
    threads = os.listdir(f"/proc/{batches.observer.pid}/task")
    event = TRACING / "events/sched/sched_wakeup"
    these = "||".join(f"pid=={thread}" for thread in threads)
    trigger = f"hist:keys=common_pid.execname,stacktrace if {these}"
    (event / "trigger").write_text(trigger)
    batches.one(load, load.counts[1])
    found = (event / "hist").read_text()
    (event / "trigger").write_text(f"!{trigger}")
    (OUT / f"wakers-{load.name}.txt").write_text(found)
    entry = r"^\{ common_pid: (\S+)\s+\[[^\]]*\],(.*?)\} hitcount:\s+(\d+)"
    wakers = {}
    for name, stack, count in re.findall(entry, found, re.M | re.S):
        by_timer = "hrtimer_wakeup" in stack
        key = "a timer" if by_timer else name
        wakers[key] = wakers.get(key, 0) + int(count)
    return wakers


def main():
    smoke = sys.argv[1:] == ["smoke"]
    many_files()
    batches, facts = Batches(), {}
    shutil.copy(os.environ["SOCKMETER_AGENT"], AGENT)
    batches.server_pids["nginx"] = start_nginx()
    if not smoke:
        batches.server_pids["redis"] = start_redis()
    known = loads()
    few = [known["kept_512"], known["fresh_512"]]
    which = few if smoke else list(known.values())
    batches.run("without", which)
    facts["agent"] = measure_agent(batches, "with", which)
    # What is only there to show how the cost grows is measured once without.
    batches.run("without", [load for load in which if not load.name.startswith(GROWTH)])
    if not smoke:
        options = subprocess.run([str(AGENT), "--help"], capture_output=True, text=True).stdout
        if "--exclude" in options:
            excluded = [word for name in ("nginx", "ab") for word in ("--exclude", name)]
            facts["excluded"] = measure_agent(batches, "excluded", few, *excluded)
        facts["floor_bytes"] = floor(batches, few)
        facts["bpftrace_calls"] = bpftrace(batches, few)
        batches.run("without", few)
        facts["programs"], facts["wakers"] = kernel_programs(batches, [*few, known["redis_get"]])
    (OUT / "cost.json").write_text(json.dumps({"batches": batches.kept, "facts": facts}, indent=1))


main()

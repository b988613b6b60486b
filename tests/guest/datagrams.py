# Moves datagrams in one way, and says how many, and how many bytes, the calls moved: `datagrams.py CASE ANSWER`.
import ctypes
import errno
import json
import os
import socket
import struct
import sys
import threading
import time

V4, V6, MAPPED = "127.0.0.1", "::1", "::ffff:127.0.0.1"
SOL_UDP, UDP_CORK, UDP_SEGMENT, UDP_GRO = 17, 1, 103, 104
MSG_MORE, MSG_TRUNC, MSG_ERRQUEUE, MSG_PROBE = 0x8000, 0x20, 0x2000, 0x10
IP_RECVERR = 11

counts = {"transmit": [0, 0], "receive": [0, 0]}


def note(direction, datagrams, size):
    counts[direction][0] += datagrams
    counts[direction][1] += size
    return size


def sent(size, datagrams=1):
    return note("transmit", datagrams, size)


def got(size):
    return note("receive", 1, size)


def pair(to=V4, family=None):
    """A socket that receives, and one that is connected to it."""
    other = socket.AF_INET if "." in to and ":" not in to else socket.AF_INET6
    receiver = socket.socket(family or other, socket.SOCK_DGRAM)
    receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    receiver.bind((to if receiver.family == other else V4, 0))
    receiver.settimeout(20)
    sender = socket.socket(other, socket.SOCK_DGRAM)
    sender.connect((to, receiver.getsockname()[1]))
    return receiver, sender


def take(receiver, size):
    """The next datagram, which must be that long."""
    length = got(len(receiver.recv(65536)))
    assert length == size, (length, size)


def calls(to):
    receiver, sender = pair(to)
    address = (to, receiver.getsockname()[1])
    free = socket.socket(receiver.family, socket.SOCK_DGRAM)
    sent(free.sendto(b"a" * 10, address))
    sent(sender.send(b"b" * 20))
    sent(sender.sendmsg([b"c" * 7, b"d" * 23]))
    sent(free.sendmsg([b"e" * 40], [], 0, address))
    sent(os.write(sender.fileno(), b"f" * 50))
    sent(os.writev(sender.fileno(), [b"g"] * 60))
    take(receiver, 10)
    got(receiver.recvfrom_into(bytearray(100))[0])
    got(len(receiver.recvmsg(100)[0]))
    got(receiver.recvmsg_into([bytearray(20), bytearray(30)])[0])
    got(len(os.read(receiver.fileno(), 100)))
    got(os.readv(receiver.fileno(), [bytearray(1)] * 59 + [bytearray(9)]))


def mapped():
    calls(MAPPED)
    # An IPv4 socket receives what an IPv6 socket sends to a mapped address, connected or not.
    receiver, sender = pair(MAPPED, socket.AF_INET)
    sent(sender.send(b"a" * 11))
    sent(socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).sendto(b"b" * 12, (MAPPED, receiver.getsockname()[1])))
    take(receiver, 11)
    take(receiver, 12)


class Vector(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


class Message(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint),
        ("vectors", ctypes.POINTER(Vector)),
        ("vector_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    ]


class Counted(ctypes.Structure):
    _fields_ = [("message", Message), ("length", ctypes.c_uint)]


def messages(sizes):
    """For sendmmsg and recvmmsg; with what they point to."""
    buffers = [ctypes.create_string_buffer(max(size, 1)) for size in sizes]
    vectors = [Vector(ctypes.addressof(buffer), size) for buffer, size in zip(buffers, sizes)]
    made = (Counted * len(vectors))()
    for counted, vector in zip(made, vectors):
        counted.message.vectors = ctypes.pointer(vector)
        counted.message.vector_count = 1
    return made, buffers


def many():
    libc = ctypes.CDLL(None, use_errno=True)
    receiver, sender = pair()
    (out, _kept), (into, _kept_too) = messages(range(1, 11)), messages([100] * 32)
    assert libc.sendmmsg(sender.fileno(), out, 10, 0) == 10
    assert libc.recvmmsg(receiver.fileno(), into, 32, socket.MSG_DONTWAIT, None) == 10
    for transmitted, received in zip(out, into):
        sent(transmitted.length)
        got(received.length)


def peek():
    for to in [V4, V6]:
        receiver, sender = pair(to)
        for size in [30, 0]:
            sent(sender.send(b"a" * size))
            for _ in range(3):
                assert len(receiver.recv(100, socket.MSG_PEEK)) == size
            assert receiver.recv_into(bytearray(10), 10, socket.MSG_PEEK | MSG_TRUNC) == size
            take(receiver, size)


def truncated():
    for to in [V4, V6]:
        receiver, sender = pair(to)
        for _ in range(5):
            sent(sender.send(b"a" * 1000))
        got(len(receiver.recv(100)))
        got(len(receiver.recvmsg(10)[0]))
        # Returns 1000, and receives 100.
        assert receiver.recv_into(bytearray(100), 100, MSG_TRUNC) == 1000
        got(100)
        # Only looks how long it is.
        assert receiver.recvmsg_into([], 0, MSG_TRUNC)[0] == 1000
        got(0)
        assert receiver.recv_into(bytearray(2000), 2000, MSG_TRUNC) == 1000
        got(1000)


def empty():
    for to in [V4, V6, MAPPED]:
        receiver, sender = pair(to)
        for _ in range(3):
            sent(sender.send(b""))
            take(receiver, 0)


def more():
    for to in [V4, V6, MAPPED]:
        receiver, sender = pair(to)
        # Three calls, one datagram; also if the last one brings nothing.
        for last in [30, 0]:
            sent(sender.send(b"a" * 10, MSG_MORE))
            sent(sender.send(b"b" * 20, MSG_MORE), 0)
            sent(sender.send(b"c" * last), 0)
            take(receiver, 30 + last)
        sent(sender.send(b"", MSG_MORE))
        sent(sender.send(b"d" * 5), 0)
        take(receiver, 5)
        # setsockopt lets the datagram go; what comes next is another one, also if it is empty.
        for size in [7, 0]:
            sender.setsockopt(SOL_UDP, UDP_CORK, 1)
            sent(sender.send(b"e" * 100))
            sent(sender.send(b"f" * 100), 0)
            sender.setsockopt(SOL_UDP, UDP_CORK, 0)
            sent(sender.send(b"g" * size))
            take(receiver, 200)
            take(receiver, size)


def errors():
    for to in [V4, V6]:
        receiver, sender = pair(to)
        receiver.setblocking(False)
        for call in [lambda: receiver.recv(10), lambda: receiver.recv(10, MSG_ERRQUEUE)]:
            refused(errno.EAGAIN, call)
        refused(errno.EMSGSIZE, lambda: sender.send(b"a" * 70000))
        refused(errno.EDESTADDRREQ, lambda: socket.socket(sender.family, socket.SOCK_DGRAM).send(b"a"))
        # Sends nothing, and returns the length.
        assert sender.send(b"a" * 10, MSG_PROBE) == 10
        # The port is closed: the first send tells the error to the second. Nobody reads it, but it was sent.
        sender.setsockopt(*((socket.IPPROTO_IP, IP_RECVERR) if to == V4 else (socket.IPPROTO_IPV6, 25)), 1)
        receiver.close()
        sent(sender.send(b"a" * 33))
        refused(errno.ECONNREFUSED, lambda: sender.send(b"a" * 33))
        # What comes back in the error queue is what was sent.
        assert len(sender.recvmsg(100, 1000, MSG_ERRQUEUE)[0]) == 33
        sent(sender.send(b"a" * 44))


def refused(code, call):
    try:
        call()
    except OSError as error:
        assert error.errno == code, error
    else:
        raise AssertionError(f"no error {code}")


def burst():
    receiver, sender = pair()
    receiver.setblocking(False)
    for at in range(10_000):
        sent(sender.send(b"a" * (at % 500)))
        if at % 50 == 49:
            drain(receiver)


def drain(receiver):
    while True:
        try:
            got(len(receiver.recv(65536)))
        except BlockingIOError:
            return


def threads():
    def work(to):
        receiver, sender = pair(to)
        for _ in range(500):
            sender.send(b"a" * 9)
            receiver.recv(100)

    running = [threading.Thread(target=work, args=(to,)) for to in [V4, V6, V4, V6]]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    for direction in counts:
        note(direction, 2000, 18000)


def segments():
    for to in [V4, V6, MAPPED]:
        receiver, sender = pair(to)
        # For one call: among other control messages; the last segment is shorter.
        own = (SOL_UDP, UDP_SEGMENT, struct.pack("H", 100))
        ttl = (socket.IPPROTO_IP, socket.IP_TTL, struct.pack("i", 9))
        other = [ttl] if to == V4 else [(socket.IPPROTO_IPV6, 67, struct.pack("i", 8))]
        sent(sender.sendmsg([b"a" * 950], [*other, own] if to != MAPPED else [own]), 10)
        # One segment, as long as it may be.
        sent(sender.sendmsg([b"b" * 100], [own]))
        # For all calls on the socket; and one call that says otherwise.
        sender.setsockopt(SOL_UDP, UDP_SEGMENT, 200)
        sent(sender.send(b"c" * 1001), 6)
        sent(sender.send(b"c" * 150))
        sent(sender.sendmsg([b"d" * 1000], [own]), 10)
        for size in [100] * 9 + [50, 100] + [200] * 5 + [1, 150] + [100] * 10:
            take(receiver, size)


def joined():
    for to in [V4, V6]:
        receiver, sender = pair(to)
        receiver.setsockopt(SOL_UDP, UDP_GRO, 1)
        own = (SOL_UDP, UDP_SEGMENT, struct.pack("H", 300))
        for size, segments in [(2950, 10), (300, 1), (3000, 10), (301, 2)]:
            sent(sender.sendmsg([b"a" * size], [own]), segments)
            # On loopback they stay together.
            assert len(receiver.recv(65536, socket.MSG_PEEK)) == size
            note("receive", segments, len(receiver.recv(65536)))
        sent(sender.send(b"b" * 500))
        take(receiver, 500)


def files():
    with open("/run/work/datagrams.file", "wb") as file:
        file.write(b"a" * 10_000)
    for to in [V4, V6]:
        receiver, sender = pair(to)
        with open("/run/work/datagrams.file", "rb") as file:
            sent(os.sendfile(sender.fileno(), file.fileno(), 0, 3000))
            take(receiver, 3000)
            # More than a page is one datagram or several, as the kernel likes.
            size = os.sendfile(sender.fileno(), file.fileno(), 0, 10_000)
            before = counts["receive"][:]
            receiver.setblocking(False)
            drain(receiver)
            receiver.settimeout(20)
            datagrams, received = (now - then for now, then in zip(counts["receive"], before))
            assert received == size, (received, size)
            sent(size, datagrams)
        read, write = os.pipe()
        os.write(write, b"b" * 700)
        sent(os.splice(read, sender.fileno(), 700))
        got(os.splice(receiver.fileno(), write, 1000))
        assert os.read(read, 1000) == b"b" * 700


def older():
    """What moved before the agent came does not count, but the socket does."""
    receiver, sender = pair()
    for _ in range(5):
        sender.send(b"a" * 8)
    open(sys.argv[2] + ".ready", "w").close()
    wait_for(".go")
    for _ in range(3):
        sent(sender.send(b"b" * 8))
    for _ in range(8):
        take(receiver, 8)
    answer()
    # So that the agent can still see what it is.
    wait_for(".end")


def wait_for(what):
    while not os.path.exists(sys.argv[2] + what):
        time.sleep(0.02)


def forks():
    receiver, sender = pair()
    sent(sender.send(b"a" * 3))
    # The child is of the same program.
    if os.fork() == 0:
        sender.send(b"b" * 4)
        os._exit(0)
    os.wait()
    sent(4)
    take(receiver, 3)
    take(receiver, 4)


def execs():
    receiver, sender = pair()
    sent(sender.send(b"a" * 5))
    # Until the agent has seen who this is.
    time.sleep(0.5)
    sent(sender.send(b"a" * 6))
    take(receiver, 5)
    answer()
    # Another program in this process sends two.
    courier = "/run/work/courier"
    os.execv(courier, [courier, "-c", "printf bbbbbb >/dev/udp/127.0.0.1/9; printf bb >/dev/udp/127.0.0.1/9"])


def answer():
    with open(sys.argv[2], "w") as file:
        json.dump({"pid": os.getpid(), **counts}, file)


CASES = {
    "ipv4": lambda: calls(V4),
    "ipv6": lambda: calls(V6),
    "mapped": mapped,
    "many": many,
    "peek": peek,
    "truncated": truncated,
    "empty": empty,
    "more": more,
    "errors": errors,
    "burst": burst,
    "threads": threads,
    "segments": segments,
    "joined": joined,
    "files": files,
    "older": older,
    "forks": forks,
    "execs": execs,
}
CASES[sys.argv[1]]()
answer()

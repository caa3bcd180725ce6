"""The client: keeps a number of connections busy from one thread, because its own CPU is taken from the server."""

import select
import socket
import struct
import time

MOST_SECONDS = 120


class Wrong(Exception):
    """An answer that may not be measured."""


def run(port, heads, clients, status):
    """Sends each of `heads` (whole requests, bytes), `clients` at a time on as many kept connections.

    Gives the seconds of all together and of each, and the last body. Anything but `status` ends the run.
    """
    heads = iter(heads)
    seconds, body = [], b""
    streams, poll = {}, select.poll()
    started = time.perf_counter()
    try:
        for head, _ in zip(heads, range(clients)):
            stream = socket.create_connection(("127.0.0.1", port), timeout=MOST_SECONDS)
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            streams[stream.fileno()] = [stream, time.perf_counter(), b""]
            poll.register(stream, select.POLLIN)
            stream.sendall(head)
        waiting = len(streams)
        while waiting:
            ready = poll.poll(MOST_SECONDS * 1000)
            if not ready:
                raise Wrong(f"no answer within {MOST_SECONDS} s")
            for number, _ in ready:
                state = streams[number]
                state[2] += state[0].recv(1 << 20) or _closed(state[2])
                answer = _whole(state[2], status)
                if answer is None:
                    continue
                now = time.perf_counter()
                seconds.append(now - state[1])
                body, state[1], state[2] = answer, now, b""
                head = next(heads, None)
                if head is None:
                    poll.unregister(number)
                    waiting -= 1
                else:
                    state[0].sendall(head)
        return time.perf_counter() - started, seconds, body
    finally:
        for stream, _, _ in streams.values():
            stream.close()


def ask(port, head):
    """One request on a connection of its own: status, headers in lower case, body."""
    with socket.create_connection(("127.0.0.1", port), timeout=MOST_SECONDS) as stream:
        stream.sendall(head)
        data = b""
        while (body := _whole(data, None)) is None:
            data += stream.recv(1 << 20) or _closed(data)
    lines = data.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines[1:])
    etag = next((line[6:] for line in lines if line.lower().startswith("etag: ")), None)
    return int(lines[0].split()[1]), {**headers, "etag": etag}, body


def request(target, etag=None):
    """The bytes of a GET, conditional where there is an `etag`."""
    condition = f"If-None-Match: {etag}\r\n" if etag else ""
    return f"GET {target} HTTP/1.1\r\nHost: localhost\r\n{condition}\r\n".encode()


def facts(body):
    """Format, width and height of a picture, read from its bytes."""
    if body[:3] == b"\xff\xd8\xff":
        at = 2
        while body[at + 1] not in (0xC0, 0xC1, 0xC2):
            at += 2 + struct.unpack_from(">H", body, at + 2)[0]
        height, width = struct.unpack_from(">HH", body, at + 5)
        return "jpeg", width, height
    if body[:8] == b"\x89PNG\r\n\x1a\n":
        return ("png", *struct.unpack_from(">II", body, 16))
    if body[:4] == b"RIFF" and body[12:16] == b"VP8X":
        return ("webp", *(1 + int.from_bytes(body[at:at + 3], "little") for at in (24, 27)))
    if body[:4] == b"RIFF" and body[12:16] == b"VP8 ":
        return ("webp", *(size & 0x3FFF for size in struct.unpack_from("<HH", body, 26)))
    if body[:4] == b"RIFF" and body[12:16] == b"VP8L":
        bits = int.from_bytes(body[21:25], "little")
        return "webp", 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if body[4:12] == b"ftypavif":
        return ("avif", *struct.unpack_from(">II", body, body.index(b"ispe") + 8))
    raise Wrong(f"not a picture that was asked for: {body[:16]!r}")


def _whole(data, status):
    """The body, where `data` is a whole answer."""
    head, end, body = data.partition(b"\r\n\r\n")
    if not end:
        return None
    if status is not None and not head.startswith(b"HTTP/1.1 %d" % status):
        raise Wrong(head.partition(b"\r\n")[0].decode("latin-1") + ": " + body[:200].decode("latin-1"))
    length = 0
    for line in head.split(b"\r\n")[1:]:
        if line[:15].lower() == b"content-length:" and not head.startswith(b"HTTP/1.1 304"):
            length = int(line[15:])
    return body if len(body) >= length else None


def _closed(data):
    raise Wrong(f"the server hung up after {len(data)} bytes")

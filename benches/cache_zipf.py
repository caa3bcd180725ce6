#!/usr/bin/env python3
"""Zipf load over many URLs against a server with the result cache in memory: hit ratio against a cache without bounds, and memory.

    benches/cache_zipf.py [path of imgforge] [--urls 5000] [--requests 30000] [--capacity 2M] [--side 64]

Starts an origin and the server on free ports of 127.0.0.1, asks for pictures of a Zipf distribution (exponent 1) in one
order that a seed fixes, and replays the same order against a cache that forgets nothing. Prints both hit ratios, the
weight of all results, and the resident memory of the server: after a third of the requests without a cache,
and at the end.
"""

import argparse
import bisect
import http.client
import http.server
import itertools
import os
import random
import socket
import struct
import subprocess
import threading
import time
import zlib


def png(seed, side):
    """A square of noise, another one for each seed; with 64 pixels a side about 12 kB, and 3 kB as JPEG."""
    dice = random.Random(seed)
    rows = b"".join(b"\0" + dice.randbytes(side * 3) for _ in range(side))

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b"")


class Origin(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # One write per answer: several would wait for each other.
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_GET(self):
        body = png(self.path, self.side)
        self.send_response(200)
        self.send_header("Content-Type", "image/png")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Server:
    def __init__(self, binary, **settings):
        self.port = free_port()
        env = {
            "IMGPROXY_BIND": f"127.0.0.1:{self.port}",
            "IMGPROXY_PROMETHEUS_BIND": "off",
            "IMGPROXY_ALLOW_LOOPBACK_SOURCE_ADDRESSES": "true",
            "IMGPROXY_LOG_LEVEL": "error",
            "HOME": "/tmp",
        } | settings
        self.process = subprocess.Popen([binary], env=env, stdout=subprocess.DEVNULL)
        for _ in range(200):
            try:
                self.connection = http.client.HTTPConnection("127.0.0.1", self.port)
                self.connection.request("GET", "/health")
                self.connection.getresponse().read()
                return
            except OSError:
                time.sleep(0.05)
        raise SystemExit("the server does not start")

    def get(self, path):
        self.connection.request("GET", path)
        response = self.connection.getresponse()
        body = response.read()
        assert response.status == 200, (response.status, body)
        return response.getheader("X-Cache") == "HIT", len(body)

    def memory(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS"))

    def stop(self):
        self.process.terminate()
        self.process.wait()


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("binary", nargs="?", default="target/release/imgforge")
    arguments.add_argument("--urls", type=int, default=5000)
    arguments.add_argument("--requests", type=int, default=30000)
    arguments.add_argument("--capacity", default="2M")
    arguments.add_argument("--side", type=int, default=64)
    options = arguments.parse_args()
    Origin.side = options.side

    origin = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Origin)
    threading.Thread(target=origin.serve_forever, daemon=True).start()
    base = f"/unsafe/q:80/plain/http://127.0.0.1:{origin.server_address[1]}"
    sums = list(itertools.accumulate(1 / rank for rank in range(1, options.urls + 1)))
    dice = random.Random(8)
    order = [bisect.bisect_left(sums, dice.random() * sums[-1]) for _ in range(options.requests)]

    server = Server(os.path.abspath(options.binary), IMGPROXY_WORKERS="2")
    for number in order[: options.requests // 3]:
        server.get(f"{base}/{number}.png@jpg")
    without = server.memory()
    server.stop()

    settings = {"IMGFORGE_CACHE_TYPE": "memory", "IMGFORGE_CACHE_MEMORY_CAPACITY": options.capacity}
    server = Server(os.path.abspath(options.binary), IMGPROXY_WORKERS="2", **settings)
    seen, hits, unbounded, weights = set(), 0, 0, {}
    for number in order:
        hit, weight = server.get(f"{base}/{number}.png@jpg")
        hits += hit
        unbounded += number in seen
        seen.add(number)
        weights[number] = weight
    print(f"requests {len(order)}, URLs {len(seen)} of {options.urls}, results {sum(weights.values()) / 2**20:.1f} MiB, capacity {options.capacity}")
    print(f"hit ratio {hits / len(order):.3f}, without bounds {unbounded / len(order):.3f}: {hits / unbounded:.2f} of it")
    print(f"memory {server.memory() / 2**20:.1f} MiB, of a server without the cache {without / 2**20:.1f} MiB")
    server.stop()


main()

#!/usr/bin/env python3
"""Many requests at once for a picture that nobody has asked for yet: how often each server fetches the source and works.

    benches/coalescing.py NAME=PATH [NAME=PATH …] [--requests 200] [--sizes 8]

For each server, a program with imgproxy's variables: `--requests` identical requests at once, then as many for `--sizes`
sizes of another picture. The origin takes half a second for each answer. Prints the fetches that the origin has seen and the
images that the server says it has processed. No cache is on.
"""

import argparse
import http.client
import http.server
import os
import re
import socket
import struct
import subprocess
import threading
import time
import zlib


def png(side=400):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + os.urandom(side * 3) for _ in range(side))
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b"")


class Origin(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    picture = png()
    fetches = 0
    lock = threading.Lock()

    def do_GET(self):
        with Origin.lock:
            Origin.fetches += 1
        time.sleep(0.5)
        self.send_response(200)
        self.send_header("Content-Type", "image/png")
        self.send_header("Content-Length", str(len(self.picture)))
        self.end_headers()
        self.wfile.write(self.picture)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def get(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request("GET", path)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response.status, body


def processed(port):
    """Images that were worked on, by the number of spans of processing, which both programs count."""
    text = get(port, "/metrics")[1].decode()
    found = re.search(r'request_span_duration_seconds_count\{span="processing_image"\} (\d+)', text)
    return int(found[1]) if found else 0


def at_once(port, paths):
    start, statuses = threading.Barrier(len(paths)), []

    def one(path):
        start.wait()
        statuses.append(get(port, path)[0])

    threads = [threading.Thread(target=one, args=(path,)) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return statuses


def measure(name, program, origin, requests, sizes):
    port, metrics = free_port(), free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "IMGPROXY_BIND": f"127.0.0.1:{port}",
        "IMGPROXY_PROMETHEUS_BIND": f"127.0.0.1:{metrics}",
        "IMGPROXY_ALLOW_LOOPBACK_SOURCE_ADDRESSES": "true",
        "IMGPROXY_LOG_LEVEL": "error",
        "IMGPROXY_TIMEOUT": "100",
        "IMGPROXY_DOWNLOAD_TIMEOUT": "60",
    }
    server = subprocess.Popen([program], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            try:
                if get(port, "/health")[0] == 200:
                    break
            except OSError:
                pass
            time.sleep(0.05)
        for what, count in (("identical", 1), (f"{sizes} sizes", sizes)):
            source = f"http://127.0.0.1:{origin}/{name}-{count}.png"
            paths = [f"/_/rs:fit:{40 + number % count}:0/plain/{source}" for number in range(requests)]
            before, worked, started = Origin.fetches, processed(metrics), time.monotonic()
            statuses = at_once(port, paths)
            took = time.monotonic() - started
            good = statuses.count(200)
            print(f"{name:10} {requests} requests, {what:10} {Origin.fetches - before:4} fetches"
                  f" {processed(metrics) - worked:4} jobs {good:4} answered with 200 in {took:.1f} s", flush=True)
    finally:
        server.terminate()
        server.wait()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("servers", nargs="+")
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--sizes", type=int, default=8)
    options = parser.parse_args()
    server = Server(("127.0.0.1", 0), Origin)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for name, program in (entry.split("=", 1) for entry in options.servers):
        measure(name, program, server.server_address[1], options.requests, options.sizes)


if __name__ == "__main__":
    main()

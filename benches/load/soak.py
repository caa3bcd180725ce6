#!/usr/bin/env python3
"""Mixed good, bad and hostile traffic for a while: does anything grow, and do the good requests notice?

    cargo build --release
    python3 benches/load/soak.py --minutes 30

Starts the server and an origin on loopback, keeps a fixed number of clients busy and samples the server every few
seconds. The first sixth of the time is warm-up. Prints statuses, the 50th, 99th and 99.9th percentile of the good
requests, and for resident memory, open files and live libvips allocations the first, last and largest value and the
slope of the straight line through the samples.

Fails (exit 1) when a good request is not answered with 200, a probe of /health fails, the server ends, or something
still grows at the end: the last third of the samples may not lie above the middle third by more than 5 % and 8 MiB
(memory) or 8 (files). Standard library only; sends nothing beyond 127.0.0.1.
"""

import argparse
import base64
import collections
import hashlib
import hmac
import http.client
import http.server
import os
import pathlib
import random
import re
import socket
import statistics
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
KEY, SALT = b"soak-key", b"soak-salt"

GOOD_OPTIONS = [
    ("rs:fill:300:200", "webp"),
    ("rs:fit:512:512", "jpg"),
    ("w:200/dpr:2/sh:0.7", "png"),
    ("rs:fill:120:80/g:sm", "webp"),
    ("h:64", "gif"),
    ("c:100:100:no/bl:2", "jpg"),
    ("w:400/rot:90/pd:10/bg:ffff00", "png"),
    ("t:10/w:160", "jpg"),
]
HOSTILE_OPTIONS = [("rs:fit:200:200", "jpg"), ("", "png"), ("w:100", "webp")]
# Targets that are wrong before anything is fetched; `{}` becomes a signature where one is wanted.
BAD_TARGETS = [
    "/unsigned/rs:fill:10:10/plain/http://127.0.0.1/a.jpg",
    "/AAAA/w:1/plain/x",
    "/",
    "/" + "a/" * 2000,
    "/sig/w:-1/plain/http://127.0.0.1/a.jpg",
    "/%zz/%00/plain/%ff",
]
# Signed, and wrong: options, or what the origin does.
BAD_SIGNED = [
    "/w:nonsense/plain/{origin}/good/0",
    "/nosuchoption:1/plain/{origin}/good/0",
    "/pr:nosuch/plain/{origin}/good/0",
    "/w:10/plain/{origin}/missing",
    "/w:10/plain/{origin}/error",
    "/w:10/plain/{origin}/cut",
    "/w:10/plain/{origin}/reset",
    "/w:10/plain/{origin}/loop",
    "/w:10/plain/{origin}/text",
    "/w:10/plain/{origin}/gzip",
    "/raw:1/plain/{origin}/cut",
    "/w:10/plain/http://127.0.0.2:9/x",
    "/w:10/plain/ftp://127.0.0.1/x",
]
RAW_HEADS = [
    b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00",
    b"GET / HTTP/1.1\r\n" + b"X: " + b"a" * 100_000 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost",
]


def pictures(shared):
    """Good pictures and hostile ones: the corpus where it is there, else what the repository has."""
    corpus = shared / "corpus"
    if corpus.is_dir():
        folders = ["jpeg", "png", "webp", "gif", "svg", "tiff", "bmp", "ico", "photos"]
        good = [p for f in folders for p in sorted((corpus / f).iterdir()) if p.stat().st_size < 3_000_000]
        hostile = sorted((corpus / "hostile").iterdir())
    else:
        own = sorted((ROOT / "tests" / "images").glob("*.*"))
        broken = ("broken", "truncated")
        hostile = [p for p in own if p.stem in broken]
        good = [p for p in own if p.stem not in broken and p.suffix != ".py"]
        good.append(ROOT / "examples" / "pictures" / "sample.jpg")
    return good, hostile


class Origin(http.server.BaseHTTPRequestHandler):
    """Serves pictures, and misbehaves where the path says so."""

    protocol_version = "HTTP/1.1"
    good, hostile = [], []

    def log_message(self, *_):
        pass

    def do_GET(self):
        kind, _, index = self.path.lstrip("/").partition("/")
        if kind in ("good", "hostile"):
            return self.answer(200, getattr(self, kind)[int(index)])
        if kind == "missing":
            return self.answer(404, b"nothing here")
        if kind == "error":
            return self.answer(503, b"later")
        if kind == "text":
            return self.answer(200, b"<html>no picture</html>" * 100)
        if kind == "gzip":
            return self.answer(200, b"no gzip at all" * 400, {"Content-Encoding": "gzip"})
        if kind == "loop":
            return self.answer(302, b"", {"Location": "/loop"})
        if kind == "cut":
            self.answer(200, self.good[0][:2000], {"Content-Length": str(len(self.good[0]))})
        if kind == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.close_connection = True
        self.connection.close() if kind == "reset" else None

    def answer(self, status, body, headers=None):
        headers = {"Content-Length": str(len(body)), **(headers or {})}
        try:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
        except OSError:
            self.close_connection = True


class QuietServer(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, *_):
        pass  # the server under test hangs up on purpose


def signed(path):
    mac = hmac.new(KEY, SALT + path.encode(), hashlib.sha256).digest()
    return "/" + base64.urlsafe_b64encode(mac).rstrip(b"=").decode() + path


class Clients:
    """Threads that send; everything they saw is in here."""

    def __init__(self, port, origin, pause):
        self.port, self.origin, self.pause = port, origin, pause
        self.good = []
        self.stop = threading.Event()
        self.lock = threading.Lock()
        self.statuses = collections.defaultdict(collections.Counter)
        self.times, self.wrong = [], []

    def find_good(self):
        """Of the pictures those that this libvips can read."""
        for index in range(len(Origin.good)):
            target = signed(f"/rs:fit:10:10/plain/{self.origin}/good/{index}@png")
            if self.one(target) == 200:
                self.good.append(index)

    def note(self, kind, status):
        with self.lock:
            self.statuses[kind][status] += 1

    def get(self, connection, target):
        connection.request("GET", target, headers={"Accept": "image/webp,*/*"})
        response = connection.getresponse()
        response.read()
        return response.status

    def run_good(self, seed):
        choose = random.Random(seed)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        while not self.stop.is_set():
            options, extension = choose.choice(GOOD_OPTIONS)
            index = choose.choice(self.good)
            target = signed(f"/{options}/plain/{self.origin}/good/{index}@{extension}")
            started = time.monotonic()
            try:
                status = self.get(connection, target)
            except OSError as error:
                status = type(error).__name__
                connection.close()
            except http.client.HTTPException as error:
                status = type(error).__name__
                connection.close()
            with self.lock:
                self.statuses["good"][status] += 1
                self.times.append(time.monotonic() - started)
                if status != 200 and len(self.wrong) < 20:
                    self.wrong.append((status, options, extension, index))
            time.sleep(self.pause * 2 * choose.random())

    def run_bad(self, seed):
        choose = random.Random(seed)
        while not self.stop.is_set():
            kind = choose.choices(["hostile", "signed", "target", "raw", "leave"], [3, 4, 2, 2, 3])[0]
            try:
                self.note(kind, getattr(self, kind)(choose))
            except (OSError, http.client.HTTPException) as error:
                self.note(kind, type(error).__name__)
            time.sleep(self.pause * 4 * choose.random())

    def one(self, target):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            return self.get(connection, target)
        finally:
            connection.close()

    def hostile(self, choose):
        options, extension = choose.choice(HOSTILE_OPTIONS)
        options = f"/{options}" if options else ""
        index = choose.randrange(len(Origin.hostile))
        return self.one(signed(f"{options}/plain/{self.origin}/hostile/{index}@{extension}"))

    def signed(self, choose):
        return self.one(signed(choose.choice(BAD_SIGNED).format(origin=self.origin)))

    def target(self, choose):
        return self.one(choose.choice(BAD_TARGETS))

    def raw(self, choose):
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as stream:
            stream.sendall(choose.choice(RAW_HEADS))
            stream.shutdown(socket.SHUT_WR)
            answer = stream.recv(64)
            return answer[9:12].decode("ascii", "replace") or "closed"

    def leave(self, choose):
        """Goes away at some moment of a good request."""
        options, extension = choose.choice(GOOD_OPTIONS)
        target = signed(f"/{options}/plain/{self.origin}/good/{choose.choice(self.good)}@{extension}")
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as stream:
            stream.sendall(f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            time.sleep(0.05 * choose.random())
        return "left"


def sample(pid, metrics_port):
    """Resident memory and files as the kernel counts them, allocations as libvips does."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    files = len(os.listdir(f"/proc/{pid}/fd"))
    connection = http.client.HTTPConnection("127.0.0.1", metrics_port, timeout=10)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    allocations = re.search(r"^vips_tracked_allocs (\S+)$", text, re.M)
    return {
        "memory, MiB": int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024,
        "open files": files,
        "libvips allocations": float(allocations[1]),
    }


def healthy(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    finally:
        connection.close()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def percentile(values, part):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=ROOT / "target" / "release" / "imgforge")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--clients", type=int, default=3, help="good clients; as many bad ones run beside them")
    parser.add_argument("--pause", type=float, default=0.1, help="mean pause of a good client, seconds")
    parser.add_argument("--shared", type=pathlib.Path, default=ROOT.parent / "shared", help="folder with corpus/")
    parser.add_argument("--log", default=os.devnull, help="file for the server's log")
    arguments = parser.parse_args()

    good, hostile = pictures(arguments.shared)
    Origin.good = [path.read_bytes() for path in good]
    Origin.hostile = [path.read_bytes() for path in hostile]
    origin = QuietServer(("127.0.0.1", 0), Origin)
    threading.Thread(target=origin.serve_forever, daemon=True).start()

    port, metrics_port = free_port(), free_port()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("IMGPROXY_", "IMGFORGE_"))},
        **{name: value for name, value in os.environ.items() if name.startswith("IMGFORGE_CACHE")},
        "IMGPROXY_KEY": KEY.hex(),
        "IMGPROXY_SALT": SALT.hex(),
        "IMGPROXY_BIND": f"127.0.0.1:{port}",
        "IMGPROXY_PROMETHEUS_BIND": f"127.0.0.1:{metrics_port}",
        "IMGPROXY_ALLOW_LOOPBACK_SOURCE_ADDRESSES": "true",
        "IMGPROXY_TIMEOUT": "30",
        "IMGPROXY_LOG_LEVEL": "warn",
    }
    with open(arguments.log, "w", encoding="utf-8") as log:
        server = subprocess.Popen([arguments.binary], env=environment, stdout=log, stderr=log)
    try:
        return soak(server, port, metrics_port, origin, arguments)
    finally:
        server.terminate()
        try:
            server.wait(40)
        except subprocess.TimeoutExpired:
            server.kill()
        origin.shutdown()


def soak(server, port, metrics_port, origin, arguments):
    for _ in range(100):
        try:
            if healthy(port):
                break
        except OSError:
            time.sleep(0.1)
    clients = Clients(port, f"http://127.0.0.1:{origin.server_port}", arguments.pause)
    clients.find_good()
    threads = [threading.Thread(target=clients.run_good, args=(n,)) for n in range(arguments.clients)]
    threads += [threading.Thread(target=clients.run_bad, args=(1000 + n,)) for n in range(arguments.clients)]
    for thread in threads:
        thread.start()

    started, end = time.monotonic(), time.monotonic() + arguments.minutes * 60
    warm = arguments.minutes * 60 / 6
    samples, unhealthy = [], 0
    while time.monotonic() < end and server.poll() is None:
        time.sleep(min(5, arguments.minutes * 60 / 60))
        try:
            unhealthy += not healthy(port)
            if time.monotonic() - started > warm:
                samples.append((time.monotonic() - started, sample(server.pid, metrics_port)))
        except (OSError, http.client.HTTPException):
            unhealthy += 1
    clients.stop.set()
    for thread in threads:
        thread.join()
    return report(server, clients, samples, unhealthy, time.monotonic() - started)


def report(server, clients, samples, unhealthy, seconds):
    failures = []
    if server.poll() is not None:
        failures.append(f"the server ended with {server.returncode}")
    if unhealthy:
        failures.append(f"{unhealthy} probes failed")
    total = sum(sum(c.values()) for c in clients.statuses.values())
    print(f"{total} requests in {seconds:.0f} s")
    for kind, counts in sorted(clients.statuses.items()):
        print(f"  {kind:8}", ", ".join(f"{status}: {n}" for status, n in sorted(counts.items(), key=str)))
    if wrong := sum(n for status, n in clients.statuses["good"].items() if status != 200):
        failures.append(f"{wrong} good requests were not answered with 200, for example {clients.wrong[:5]}")
    print("good requests: " + ", ".join(
        f"p{name} {percentile(clients.times, part) * 1000:.0f} ms"
        for name, part in [("50", 0.5), ("99", 0.99), ("99.9", 0.999)]))
    print(f"{'':20} {'first':>9} {'last':>9} {'largest':>9} {'slope per hour':>15}")
    for name in samples[0][1] if samples else []:
        times = [at for at, _ in samples]
        values = [values[name] for _, values in samples]
        slope = statistics.linear_regression(times, values).slope * 3600 if len(values) > 1 else 0
        print(f"{name:20} {values[0]:9.1f} {values[-1]:9.1f} {max(values):9.1f} {slope:15.2f}")
        third = len(values) // 3
        middle, last = statistics.mean(values[third:-third]), statistics.mean(values[-third:])
        if third and name != "libvips allocations" and last > middle * 1.05 + 8:
            failures.append(f"{name} still grows: {middle:.1f} in the middle, {last:.1f} at the end")
    for failure in failures:
        print(f"FAILED: {failure}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

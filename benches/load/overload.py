#!/usr/bin/env python3
"""What is left of a server under three times the load that it can bear?

    cargo build --release
    python3 benches/load/overload.py --seconds 60

Starts the server and an origin on loopback. First a closed loop finds the capacity: a few connections that always have
a request under way. Then requests arrive at random, at a multiple of that rate, whether the earlier ones are answered or
not. Three kinds are mixed: thumbnails, large WebP and AVIF; every request is one of its own for the server, over 500
sources. Meanwhile another process asks for /health and the metrics ten times and once a second.

Prints the goodput as a share of the capacity, in requests and in work (each kind weighed by the time it took in the
closed loop), the same for each second of processor time that the server got, which is what counts where neighbours take
turns with it, how long refusals took, and how long the probes did. Fails (exit 1) when the goodput in work is below 90 %,
99 of 100 refusals are not answered within 50 ms, or a health probe fails. Client and origin share the machine with the
server; the processor time that they took is printed. Standard library only; sends nothing beyond 127.0.0.1.
"""

import argparse
import asyncio
import collections
import http.client
import multiprocessing
import os
import pathlib
import random
import resource
import socket
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Share of the requests, name, options, format.
KINDS = [
    (0.60, "thumbnail", "rs:fill:240:160", "jpg"),
    (0.35, "large", "rs:fit:600:600", "webp"),
    (0.05, "avif", "rs:fit:500:500", "avif"),
]
SOURCES = 500


class Origin(asyncio.Protocol):
    """Answers every request with the same picture."""

    answer = b""

    def connection_made(self, transport):
        self.transport = transport
        self.seen = b""

    def data_received(self, data):
        self.seen += data
        while b"\r\n\r\n" in self.seen:
            _, self.seen = self.seen.split(b"\r\n\r\n", 1)
            self.transport.write(self.answer)


class Connection(asyncio.Protocol):
    """One request at a time; the result is the status, the time of the whole answer, and Retry-After."""

    def connection_made(self, transport):
        self.transport = transport
        self.waiter = None
        self.reset()

    def reset(self):
        self.head, self.missing, self.status, self.retry = b"", None, 0, None

    def data_received(self, data):
        if self.missing is None:
            self.head += data
            end = self.head.find(b"\r\n\r\n")
            if end < 0:
                return
            lines = self.head[:end].decode("latin-1").split("\r\n")
            self.status = int(lines[0].split()[1])
            fields = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
            self.retry = fields.get("retry-after")
            self.missing = int(fields.get("content-length", 0))
            data = self.head[end + 4:]
        self.missing -= len(data)
        if self.missing <= 0 and self.waiter and not self.waiter.done():
            self.waiter.set_result((self.status, self.retry))

    def connection_lost(self, _):
        if self.waiter and not self.waiter.done():
            self.waiter.set_result((0, None))

    async def get(self, target):
        self.reset()
        self.waiter = asyncio.get_running_loop().create_future()
        self.transport.write(f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        return await self.waiter


class Load:
    """Requests and what became of them."""

    def __init__(self, port, origin, seed):
        self.port, self.origin, self.choose = port, origin, random.Random(seed)
        self.idle, self.number = [], 0
        self.results = []

    def pick(self):
        kind = self.choose.choices(KINDS, [kind[0] for kind in KINDS])[0]
        return kind, self.target(kind)

    def target(self, kind):
        self.number += 1
        _, _, options, extension = kind
        source = f"http://127.0.0.1:{self.origin}/{self.choose.randrange(SOURCES)}"
        return f"/unsafe/{options}/cb:{self.number}/plain/{source}@{extension}"

    async def one(self, kind, target):
        started = time.perf_counter()
        connection = None
        while self.idle:
            connection = self.idle.pop()
            if not connection.transport.is_closing():
                break
            connection = None
        try:
            if connection is None:
                loop = asyncio.get_running_loop()
                _, connection = await loop.create_connection(Connection, "127.0.0.1", self.port)
            status, retry = await connection.get(target)
        except OSError:
            status, retry = 0, None
        ended = time.perf_counter()
        self.results.append((kind[1], status, ended - started, retry, ended))
        if status:
            self.idle.append(connection)

    async def closed(self, connections, seconds):
        """Always so many under way; answers per second and the results."""
        self.results = []
        end = time.perf_counter() + seconds

        async def client():
            while time.perf_counter() < end:
                await self.one(*self.pick())

        await asyncio.gather(*(client() for _ in range(connections)))
        return [result for result in self.results if result[4] <= end]

    async def open(self, rate, seconds):
        """Arrivals at random, so many a second."""
        self.results, tasks = [], set()
        started = time.perf_counter()
        due = started
        while True:
            due += self.choose.expovariate(rate)
            if due > started + seconds:
                break
            await asyncio.sleep(max(0, due - time.perf_counter()))
            task = asyncio.ensure_future(self.one(*self.pick()))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        await asyncio.gather(*tasks)
        # Answers to what arrived, without the end, where nothing arrives any more.
        return started, list(self.results)


def probe(port, path, pause, stop, results):
    """Asks again and again; a process of its own, so that the load's client does not delay it."""
    found = []
    while not stop.is_set():
        started = time.perf_counter()
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request("GET", path)
            status = connection.getresponse().status
            connection.close()
        except OSError:
            status = 0
        found.append((status, time.perf_counter() - started))
        stop.wait(pause)
    results.put((path, found))


def free_port():
    with socket.socket() as any_port:
        any_port.bind(("127.0.0.1", 0))
        return any_port.getsockname()[1]


def percentiles(values):
    ordered = sorted(values)
    at = lambda part: ordered[min(len(ordered) - 1, int(part * len(ordered)))] * 1000
    return f"p50 {at(0.5):.1f} ms, p99 {at(0.99):.1f} ms, max {ordered[-1] * 1000:.1f} ms"


def processor_time(pid):
    """Seconds that a process has had, user and system."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def work(results, costs):
    return sum(costs[kind] for kind, status, *_ in results if status == 200)


async def run(arguments, pid, port, metrics_port, origin_port):
    load = Load(port, origin_port, 1)
    # How long one of each kind takes alone, so that they can be added up; also warms everything.
    costs = {}
    for kind in KINDS:
        load.results = []
        for _ in range(12):
            await load.one(kind, load.target(kind))
        if any(result[1] != 200 for result in load.results):
            raise SystemExit(f"{kind[1]} gives {load.results[0][1]}")
        costs[kind[1]] = statistics.median(result[2] for result in load.results[2:])
    print("alone:", ", ".join(f"{name} {cost * 1000:.1f} ms" for name, cost in costs.items()))

    used = processor_time(pid)
    done = await load.closed(arguments.connections, arguments.seconds / 2)
    capacity_used = (processor_time(pid) - used) / (arguments.seconds / 2)
    capacity = len(done) / (arguments.seconds / 2)
    capacity_work = work(done, costs) / (arguments.seconds / 2)
    wrong = sum(result[1] != 200 for result in done)
    print(f"capacity: {capacity:.1f} requests/s over {arguments.connections} connections, {wrong} not answered with 200, "
          f"{capacity_used:.2f} processors")

    stop, results = multiprocessing.Event(), multiprocessing.Queue()
    probes = [
        multiprocessing.Process(target=probe, args=(port, "/health", 0.1, stop, results)),
        multiprocessing.Process(target=probe, args=(metrics_port, "/metrics", 1, stop, results)),
    ]
    for process in probes:
        process.start()
    used = processor_time(pid)
    before = resource.getrusage(resource.RUSAGE_SELF)
    rate, began = arguments.times * capacity, time.perf_counter()
    started, results_of_load = await load.open(rate, arguments.seconds)
    used = (processor_time(pid) - used) / (time.perf_counter() - began)
    after = resource.getrusage(resource.RUSAGE_SELF)
    stop.set()
    probed = dict(results.get() for _ in probes)
    for process in probes:
        process.join()
    client = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    inside = [result for result in results_of_load if result[4] <= started + arguments.seconds]
    share = sum(r[1] == 200 for r in inside) / arguments.seconds / capacity
    share_of_work = work(inside, costs) / arguments.seconds / capacity_work
    refusals = [result for result in results_of_load if result[1] in (429, 503)]
    failures = []
    print(f"offered: {rate:.1f} requests/s for {arguments.seconds} s, {len(results_of_load)} requests; "
          f"client and origin took {client:.1f} s of processor time")
    for name in costs:
        of_kind = [result for result in results_of_load if result[0] == name]
        counts = collections.Counter(result[1] for result in of_kind)
        good = [result[2] for result in of_kind if result[1] == 200]
        print(f"  {name:10}", ", ".join(f"{status}: {n}" for status, n in sorted(counts.items())),
              f"; 200 after {percentiles(good)}" if good else "")
    same = capacity_used / used
    print(f"goodput: {100 * share:.0f} % of the capacity in requests, {100 * share_of_work:.0f} % in work; with "
          f"{used:.2f} processors, for each of them {100 * share * same:.0f} % and {100 * share_of_work * same:.0f} %")
    if share_of_work < 0.9:
        failures.append("goodput below 90 %")
    if refusals:
        times = [result[2] for result in refusals]
        at_once = sum(t <= 0.05 for t in times) / len(times)
        print(f"refusals: {len(refusals)}, {percentiles(times)}; {100 * at_once:.2f} % within 50 ms; "
              f"{sum(t > 1 for t in times)} after more than a second; "
              f"{sum(result[3] is None for result in refusals)} without Retry-After")
        if at_once < 0.99:
            failures.append("refusals took more than 50 ms")
    for path, found in probed.items():
        failed = sum(status != 200 for status, _ in found)
        print(f"{path}: {len(found)} probes, {failed} failed, {percentiles([t for _, t in found])}")
        if failed:
            failures.append(f"{path} failed")
    return failures


async def main(arguments):
    port, metrics_port = free_port(), free_port()
    picture = arguments.picture.read_bytes()
    Origin.answer = (
        b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: " + str(len(picture)).encode() + b"\r\n\r\n" + picture
    )
    origin = await asyncio.get_running_loop().create_server(Origin, "127.0.0.1", 0)
    origin_port = origin.sockets[0].getsockname()[1]
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("IMGPROXY_", "IMGFORGE_"))},
        **dict(pair.split("=", 1) for pair in arguments.env),
        "IMGPROXY_BIND": f"127.0.0.1:{port}",
        "IMGPROXY_PROMETHEUS_BIND": f"127.0.0.1:{metrics_port}",
        "IMGPROXY_ALLOW_LOOPBACK_SOURCE_ADDRESSES": "true",
        "IMGPROXY_LOG_LEVEL": "warn",
    }
    with open(arguments.log, "w", encoding="utf-8") as log:
        server = subprocess.Popen([arguments.binary], env=environment, stdout=log, stderr=log)
    try:
        for _ in range(100):
            try:
                http.client.HTTPConnection("127.0.0.1", port, timeout=5).connect()
                break
            except OSError:
                await asyncio.sleep(0.1)
        failures = await run(arguments, server.pid, port, metrics_port, origin_port)
        if server.poll() is not None:
            failures.append(f"the server ended with {server.returncode}")
    finally:
        server.terminate()
        server.wait(40)
    for failure in failures:
        print("FAILED:", failure)
    return 1 if failures else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=ROOT / "target" / "release" / "imgforge")
    parser.add_argument("--seconds", type=int, default=60, help="of overload; half of it for the capacity")
    parser.add_argument("--times", type=float, default=3, help="offered load as a multiple of the capacity")
    parser.add_argument("--connections", type=int, default=8, help="of the closed loop")
    parser.add_argument("--picture", type=pathlib.Path, default=ROOT / "examples" / "pictures" / "sample.jpg")
    parser.add_argument("--env", action="append", default=[], metavar="NAME=VALUE", help="variable of the server")
    parser.add_argument("--log", default=os.devnull, help="file for the server's log")
    sys.exit(asyncio.run(main(parser.parse_args())))

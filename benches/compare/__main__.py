#!/usr/bin/env python3
"""Compares imgforge with another imgproxy-compatible server: the same requests to both, taking turns.

    cargo build --release
    python3 benches/compare --other /path/to/imgproxy
    python3 benches/compare --other /path/to/imgforge-before --scenario png,webp

For each scenario both servers are started anew, with the same variables, and asked the same: a round is ours, other,
other, ours, so that whatever else the machine does hits both. The origin and the client are processes of their own.
Prints for both:

    rate      requests per second of the turns, with as many clients as CPUs (16 where the answer is cached)
    CPU       user and system time of the server process for each request; the yardstick on a shared machine
    p50, p99  of the time until the whole answer is there
    peak      the most memory that was resident in the scenario
    bytes     the answer's body

and the ratio ours / other of CPU, with the least and the largest ratio of a round in brackets. Without --other, ours
alone. Ends with 1 where an answer is wrong: another status than 200, another format than asked for, two different
sizes. Pixels are not compared. Standard library only; nothing is sent beyond 127.0.0.1.
"""

import argparse
import json
import os
import pathlib
import sys
import time

import origin
import pictures
import report
from client import Wrong, ask, facts, request, run
from scenarios import SCENARIOS
from server import Server, signed

ROOT = pathlib.Path(__file__).resolve().parents[2]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
FORMATS = {"jpg": "jpeg"}


class Contender:
    """One server in one scenario, and everything that was measured of it."""

    def __init__(self, name, server, scenario, address):
        self.name, self.server, self.scenario, self.address = name, server, scenario, address
        self.sent, self.requests, self.wall, self.cpu = 0, 0, 0.0, 0.0
        self.times, self.rounds = [], []
        self.status, self.etag = 200, None
        status, headers, body = ask(server.port, self.next())
        if status != 200:
            raise Wrong(f"{name} answers {status}: {body[:200]!r}")
        self.body, self.facts = len(body), facts(body)
        wanted = FORMATS.get(scenario.extension, scenario.extension)
        if self.facts[0] != wanted:
            raise Wrong(f"{name} answers with {self.facts[0]}, not {wanted}")
        if scenario.cached and headers.get("server") != "imgforge":
            self.status, self.etag = 304, headers["etag"]

    def next(self):
        """A request: for another source each time, so that no two share any work, unless the scenario is about that."""
        self.sent += not self.scenario.cached
        path = f"/{self.scenario.options}/plain/{self.address}/{self.scenario.source}%3F{self.sent}"
        return request(signed(f"{path}@{self.scenario.extension}"), self.etag)

    def turn(self, count, clients):
        """Sends `count` requests, and gives the CPU of one."""
        heads = [self.next() for _ in range(count)]
        before = self.server.cpu()
        wall, times, body = run(self.server.port, heads, clients, self.status)
        cpu = self.server.cpu() - before
        if self.status == 200 and facts(body) != self.facts:
            raise Wrong(f"{self.name} answers with {facts(body)} after {self.facts}")
        self.requests, self.wall, self.cpu = self.requests + count, self.wall + wall, self.cpu + cpu
        self.times += times
        return cpu / count

    def forget(self):
        """Starts counting anew, after the warm-up."""
        self.requests, self.wall, self.cpu, self.times = 0, 0.0, 0.0, []


def measure(scenario, binaries, environments, address, folder, arguments):
    """`{name: Contender}` after all rounds of one scenario."""
    environment = {name: value.format(pictures=folder) for name, value in scenario.environment.items()}
    servers, contenders = [], []
    try:
        for name, binary in binaries.items():
            servers.append(Server(binary, {**environment, **environments[name]}).__enter__())
            contenders.append(Contender(name, servers[-1], scenario, address))
        if len({contender.facts for contender in contenders}) > 1:
            raise Wrong(" and ".join(f"{c.name} answers with {c.facts}" for c in contenders))
        clients = 16 if scenario.cached else arguments.clients
        count = arguments.requests or 0
        for contender in contenders:
            contender.turn(clients, clients)
            if not arguments.requests:
                contender.forget()
                contender.turn(2 * clients, clients)
                rate = contender.requests / contender.wall
                count = max(count, clients, round(rate * arguments.seconds / arguments.rounds / 2))
            contender.forget()
        for _ in range(arguments.rounds):
            taken = {contender.name: 0.0 for contender in contenders}
            for contender in contenders + contenders[::-1]:
                taken[contender.name] += contender.turn(count, clients)
            for contender in contenders:
                contender.rounds.append(taken[contender.name] / 2)
        return {c.name: report.summary(c) for c in contenders}
    finally:
        for server in servers:
            server.stop()


def main():
    parser = argparse.ArgumentParser(prog="benches/compare", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ours", default=TARGET / "release" / "imgforge", help="the binary (target/release/imgforge)")
    parser.add_argument("--other", help="the binary to compare with")
    parser.add_argument("--scenario", default="", help="names, with commas between: " + ", ".join(s.name for s in SCENARIOS))
    parser.add_argument("--rounds", type=int, default=6, help="of ours, other, other, ours (6)")
    parser.add_argument("--seconds", type=float, default=6, help="for each server in a scenario, about (6)")
    parser.add_argument("--requests", type=int, help="in each turn, instead of --seconds")
    parser.add_argument("--clients", type=int, default=os.cpu_count(), help="requests at a time (as many as CPUs)")
    parser.add_argument("--ours-env", action="append", default=[], metavar="K=V", help="a variable of our server alone")
    parser.add_argument("--other-env", action="append", default=[], metavar="K=V", help="one of the other server")
    parser.add_argument("--corpus", type=pathlib.Path, default=ROOT.parent / "shared" / "corpus", help="folder of photographs")
    parser.add_argument("--json", type=pathlib.Path, help="file for the figures")
    parser.add_argument("--markdown", action="store_true", help="print the table of docs/performance.md")
    parser.add_argument("--check", action="store_true", help="only see that every scenario works, with few requests and small pictures")
    arguments = parser.parse_args()
    if arguments.check:
        arguments.rounds, arguments.requests, arguments.clients = 1, 1, 1

    chosen = [s for s in SCENARIOS if not arguments.scenario or s.name in arguments.scenario.split(",")]
    binaries = {"ours": str(arguments.ours), **({"other": arguments.other} if arguments.other else {})}
    environments = {
        "ours": dict(pair.split("=", 1) for pair in arguments.ours_env),
        "other": dict(pair.split("=", 1) for pair in arguments.other_env),
    }
    kind, folder, sources = pictures.make(
        (TARGET / "compare").absolute(), binaries["ours"], arguments.corpus, small=arguments.check)
    process, address = origin.start(sources)
    results, wrong = {}, []
    load, started = os.getloadavg()[0], time.monotonic()
    try:
        if not arguments.markdown:
            print(report.heading(binaries, kind), flush=True)
        for scenario in chosen:
            try:
                results[scenario.name] = measure(scenario, binaries, environments, address, folder, arguments)
            except (Wrong, OSError) as error:
                wrong.append(f"{scenario.name}: {error}")
                continue
            if not arguments.markdown:
                print(report.text(scenario, results[scenario.name]), flush=True)
    finally:
        process.terminate()
    if arguments.markdown:
        print(report.markdown(chosen, results))
    print(report.conditions(load, time.monotonic() - started), file=sys.stderr)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n")
    for line in wrong:
        print("WRONG " + line, file=sys.stderr)
    return 1 if wrong or not results else 0


if __name__ == "__main__":
    sys.exit(main())

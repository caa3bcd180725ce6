"""Figures of one server, and the tables."""

import os
import pathlib
import platform
import re


def summary(contender):
    """What is told of one server in one scenario: a flat dictionary of numbers."""
    times = sorted(contender.times)
    return {
        "requests": contender.requests,
        "rate": contender.requests / contender.wall,
        "cpu": contender.cpu / contender.requests,
        "rounds": contender.rounds,
        "p50": times[len(times) // 2],
        "p99": times[min(len(times) - 1, len(times) * 99 // 100)],
        "peak": contender.server.peak(),
        "bytes": contender.body if contender.status == 200 else 0,
        "size": contender.facts[1:],
    }


def ratios(result):
    """Ours / other: CPU of all rounds, the least and the largest of one, rate, memory, bytes."""
    ours, other = result["ours"], result["other"]
    rounds = [a / b for a, b in zip(ours["rounds"], other["rounds"])]
    return {
        "cpu": ours["cpu"] / other["cpu"], "least": min(rounds), "largest": max(rounds),
        "rate": ours["rate"] / other["rate"], "peak": ours["peak"] / other["peak"],
        "bytes": ours["bytes"] / other["bytes"] if other["bytes"] else None,
    }


def heading(binaries, kind):
    """What is compared, on which machine."""
    lines = [f"{name:6} {path}" for name, path in binaries.items()]
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    lines.append(f"on     {os.cpu_count()} × {cpu[1] if cpu else platform.machine()}, {platform.system()} {platform.release()}")
    lines.append(f"with   pictures: {kind}")
    return "\n".join(lines) + "\n"


def text(scenario, result):
    """A few lines for one scenario."""
    lines = [f"{scenario.name}: {scenario.title}"]
    for name, of in result.items():
        lines.append(
            f"  {name:6} {of['rate']:9.1f}/s  CPU {of['cpu'] * 1000:8.3f} ms  p50 {of['p50'] * 1000:7.2f} ms  "
            f"p99 {of['p99'] * 1000:7.2f} ms  peak {of['peak'] / 1e6:6.1f} MB  {of['bytes']:7} bytes  {of['requests']} requests")
    if "other" in result:
        by = ratios(result)
        goal = f", goal {scenario.goal}" if scenario.goal else ""
        size = f"  bytes {by['bytes']:.3f}" if by["bytes"] else ""
        lines.append(
            f"  ratio  {by['rate']:9.2f}    CPU {by['cpu']:8.2f} ({by['least']:.2f}–{by['largest']:.2f}{goal})"
            f"  peak {by['peak']:.2f}{size}")
    return "\n".join(lines)


def markdown(scenarios, results):
    """The table of docs/performance.md."""
    lines = [
        "| Scenario | CPU per request | ratio (rounds) | goal | rate | p50 | p99 | peak memory | bytes |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for scenario in scenarios:
        if "other" not in (result := results.get(scenario.name, {})):
            continue
        ours, other, by = result["ours"], result["other"], ratios(result)
        goal = f"{scenario.goal:g}" if scenario.goal else "–"
        digits = 2 if scenario.cached else 1
        size = f"{by['bytes']:.2f}" if by["bytes"] else "–"
        lines.append(
            f"| {scenario.title} | {_pair(ours, other, 'cpu', 1000, digits)} ms "
            f"| **{by['cpu']:.2f}** ({by['least']:.2f}–{by['largest']:.2f}) | {goal} | {by['rate']:.2f} "
            f"| {_pair(ours, other, 'p50', 1000, digits)} ms | {_pair(ours, other, 'p99', 1000, digits)} ms "
            f"| {_pair(ours, other, 'peak', 1e-6, 0)} MB: {by['peak']:.2f} | {size} |")
    return "\n".join(lines)


def _pair(ours, other, name, factor, digits):
    return f"{ours[name] * factor:.{digits}f} / {other[name] * factor:.{digits}f}"


def conditions(load, seconds):
    """What the figures were taken under."""
    return f"load average {load:.1f} before, {os.getloadavg()[0]:.1f} after {seconds:.0f} s"

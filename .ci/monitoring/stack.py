"""What `check` and `live` both know about the monitoring stack: where its files are and how a
dashboard expression becomes a plain query. Standard library only."""

import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROMETHEUS = ROOT / "prometheus" / "prometheus.yml"
ALERTS = ROOT / "prometheus" / "alerts.yml"
RULE_TESTS = sorted((ROOT / "prometheus" / "tests").glob("*.yml"))
DASHBOARD = ROOT / "grafana" / "dashboards" / "imgforge-dashboard.json"
PROVISIONING = ROOT / "grafana" / "provisioning"
COMPOSE = ROOT / "compose" / "docker-compose.yml"
DOCS = ROOT / "docs" / "monitoring.md"
METRICS_SOURCE = ROOT / "src" / "monitoring.rs"

# Metrics that Prometheus makes itself.
OWN_METRICS = {"up"}


def dashboard():
    return json.loads(DASHBOARD.read_text(encoding="utf-8"))


def panels(board):
    """Every panel in the order of the screen, those of collapsed rows too."""
    for panel in board["panels"]:
        yield panel
        yield from panel.get("panels", [])


def targets(board):
    """(panel title, refId, expression, legend) of every query."""
    for panel in panels(board):
        for target in panel.get("targets", []):
            yield panel["title"], target["refId"], target["expr"], target["legendFormat"]


def substitute(expr, job="imgforge", instance=".*", window="1m", range_="5m"):
    """What Grafana sends for an expression; fails on a variable that it would not know."""
    values = {
        "$__rate_interval": window,
        "$__range": range_,
        "$job": job,
        "$instance": instance,
        "${datasource}": "prometheus",
    }
    for name, value in values.items():
        expr = expr.replace(name, value)
    if "$" in expr:
        raise ValueError(f"unknown variable in: {expr}")
    return expr


def metric_names(expr):
    """The metric names that an expression reads."""
    text = re.sub(r'"(?:[^"\\]|\\.)*"', '""', expr)
    text = re.sub(r"\b(?:by|on|ignoring|without|group_left|group_right)\s*\([^)]*\)", " ", text)
    text = re.sub(r"\{[^}]*\}", "{}", text)
    text = re.sub(r"\[[^\]]*\]", "", text)
    text = re.sub(r"\b\d+(?:\.\d+)?[smhd]?\b", " ", text)
    names = set()
    for match in re.finditer(r"[a-zA-Z_:][a-zA-Z0-9_:]*", text):
        rest = text[match.end():].lstrip()
        if rest.startswith("(") or match.group() in {"and", "or", "unless", "offset", "bool"}:
            continue
        names.add(match.group())
    return names


def alert_rules():
    """(kind, name, expression) of every rule, read from the fixed layout of alerts.yml."""
    rules, lines = [], ALERTS.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        head = re.fullmatch(r"      - (alert|record): (\S+)", line)
        if not head:
            continue
        first = lines[number + 1].strip()
        expr = first.removeprefix("expr:").strip()
        if expr == "|-":
            block = []
            for text in lines[number + 2:]:
                if not text.startswith("          "):
                    break
                block.append(text.strip())
            expr = "\n".join(block)
        rules.append((head[1], head[2], expr))
    return rules

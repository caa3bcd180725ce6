#!/usr/bin/env python3
"""Compares what the conformance runners reported with the list of failures that are known.

  compare-conformance.py REQUESTS.json STARTUP.json EXPECTED.txt [--update]

A line of EXPECTED.txt is `group/id  # reason`, for a start-up case `startup/id  # reason`. A failure that is not listed is
an error, and so is a listed case that passes or no longer exists: the list only says what is true today. Only a line that
starts with `~` may go either way: what it compares depends on the machine, and the reason says how.
`--update` rewrites the list, keeping the reasons it has; a new line gets the reason `unexplained`, which is an error too.
"""
import json
import pathlib
import sys


def expected(text):
    """The reason of every listed case; those that may go either way keep their `~`."""
    listed = {}
    for number, line in enumerate(text.splitlines(), 1):
        case, _, reason = line.partition("#")
        case, reason = case.strip(), reason.strip()
        if not case:
            continue
        if case in listed:
            sys.exit("line %d: %s stands twice" % (number, case))
        listed[case] = reason
    return listed


def failures(requests, startup):
    """Why each failing case fails. The start-up report lists every case, the other one only what differs."""
    found = {"%s/%s" % (r["group"], r["id"]): r["why"] for r in requests}
    found.update({"startup/" + r["id"]: r["why"] for r in startup if r["why"]})
    return found


def either_way(listed):
    return {case[1:].strip(): reason for case, reason in listed.items() if case.startswith("~")}


def rewritten(text, listed, found):
    free = either_way(listed)
    found = {"~" + case if case in free else case: why for case, why in found.items()}
    found.update({"~" + case: [] for case in free})
    head = [line for line in text.splitlines() if line.startswith("#") or not line.strip()]
    lines = ["%s  # %s" % (case, listed.get(case) or "unexplained") for case in sorted(found)]
    return "\n".join(head).rstrip("\n") + "\n\n" + "".join(line + "\n" for line in lines)


def main():
    update = "--update" in sys.argv
    requests, startup, list_file = (pathlib.Path(a) for a in sys.argv[1:] if a != "--update")
    for report in (requests, startup):
        if not report.exists():
            sys.exit("%s: no report, the runner did not finish" % report)
    text = list_file.read_text()
    listed = expected(text)
    found = failures(json.loads(requests.read_text()), json.loads(startup.read_text()))

    if update:
        list_file.write_text(rewritten(text, listed, found))
        listed = expected(list_file.read_text())

    free = either_way(listed)
    new = sorted(found.keys() - listed.keys() - free.keys())
    gone = sorted(case for case in listed.keys() - found.keys() if not case.startswith("~"))
    bare = sorted(case for case, reason in listed.items() if reason in ("", "unexplained"))
    for case in new:
        print("fails and is not listed: %s\n    %s" % (case, "\n    ".join(found[case])))
    for case in gone:
        print("is listed and passes (or no longer exists): %s" % case)
    for case in bare:
        print("is listed without a reason: %s" % case)
    print("conformance: %d differ as listed, %d not listed, %d listed that pass, %d without a reason"
          % (len(found) - len(new), len(new), len(gone), len(bare)))
    sys.exit(1 if new or gone or bare else 0)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Checks what `alidade_bench search` has written, for cmake/test.cmake.

  check_search.py OUT.json OUT.svg --answered single|batch [--best KIND]

The JSON lines have their fields, which fit each other; the drawing is well-formed and has a line and a name for each
library. --best KIND: several configurations of that peer were measured. Exit code 1 and what is wrong, if anything.
"""

import argparse
import json
import sys
import xml.etree.ElementTree

SVG = "{http://www.w3.org/2000/svg}"
ELEMENT_BYTES = {"f32": 4, "u8": 1}


def expect(condition, what):
    if not condition:
        sys.exit(f"check_search.py: {what}")


def near(a, b):
    return abs(a - b) <= 1e-9 * max(abs(a), abs(b))


def check_spread(row, name):
    low, middle, high = (row.get(name + end) for end in ("_min", "", "_max"))
    expect(None not in (low, middle, high), f"no {name} with its spread in {row}")
    expect(0 < low <= middle <= high, f"{name}: {low}, {middle}, {high}")


def check_bytes(row):
    expect(row["given_bytes"] == row["n"] * row["dim"] * ELEMENT_BYTES[row["type"]], f"given_bytes in {row}")
    expect(near(row["bytes_per_vector"] * row["n"], row["bytes"]), f"bytes_per_vector in {row}")
    expect(near(row["bytes_over_given"] * row["given_bytes"], row["bytes"]), f"bytes_over_given in {row}")
    expect(row["bytes_over_given"] >= 0.01, f"too few bytes in {row}")


def check_answered(row, answered):
    wanted = "loop" if answered == "batch" and row["library"].startswith("hnswlib") else answered
    expect(row["answered"] == wanted, f"answered is not {wanted} in {row}")


def check_times(row, answered, at_asked):
    check_spread(row, "qps")
    names = ("p50_us", "p95_us", "p99_us")
    if answered == "batch" or row["threads"] != 1:
        expect("latency_p50_us" not in row, f"latencies of a batch or of several threads in {row}")
    if answered == "batch":
        expect(not any(name in row for name in names), f"latencies of a batch in {row}")
        return
    for name in names:
        check_spread(row, name)
    if at_asked and row["threads"] == 1:
        p50, p95, p99 = (row["latency_" + name] for name in names)
        expect(0 < p50 <= p95 <= p99, f"latencies in {row}")
        expect(near(row["latency_p99_over_p50"] * p50, p99), f"latency_p99_over_p50 in {row}")


def check_ratios(row, kind, peers):
    if kind is None:
        expect(not any(name.startswith("ratio_to_best") for name in row), f"best of one configuration in {row}")
        return
    name = f"ratio_to_best_{kind}"
    expect(name in row, f"no {name} in {row}")
    if row[name] is None:
        return
    check_spread(row, name)
    expect(row[f"best_{kind}"] in peers, f"best_{kind} is not a peer in {row}")
    expect(row[name + "_bound"] in ("=", ">=", "<="), f"{name}_bound in {row}")
    for peer in peers:  # none of the configurations is faster than the fastest
        if peer.startswith(kind) and row.get(f"ratio_to_{peer}") is not None:
            expect(row[name] <= row[f"ratio_to_{peer}"] * (1 + 1e-9), f"{name} exceeds that to {peer} in {row}")


def check_json(path, answered, kind):
    with open(path, encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    expect(rows and rows[0]["kind"] == "machine", f"{path} does not begin with the machine")
    libraries = []
    asked = 0
    for row in rows[1:]:
        if row["kind"] in ("point", "at_recall") and row["library"] not in libraries:
            libraries.append(row["library"])
    for row in rows[1:]:
        check_bytes(row)
        check_answered(row, answered)
        if row["kind"] == "point":
            expect(0 <= row["recall"] <= 1, f"recall in {row}")
            if row["rounds"] > 0:
                check_times(row, answered, False)
        if row["kind"] == "at_recall" and row["status"] != "not_reached":
            asked += 1
            check_times(row, answered, True)
            if row["library"] == "alidade":
                check_ratios(row, kind, libraries[1:])
    expect(libraries and libraries[0] == "alidade", "the first library is not ours")
    expect(asked > 0, "no asked recall was reached")
    return libraries


def check_svg(path, libraries):
    root = xml.etree.ElementTree.parse(path).getroot()
    expect(root.tag == SVG + "svg", f"{path} is not an SVG drawing")
    lines = root.findall(SVG + "polyline")
    expect(len(lines) == len(libraries), f"{path}: {len(lines)} lines of {len(libraries)} libraries")
    words = {text.text for text in root.findall(SVG + "text")}
    expect(set(libraries) <= words, f"{path} does not name {set(libraries) - words}")
    for line in lines:
        for pair in line.get("points").split():
            x, y = map(float, pair.split(","))
            expect(0 <= x <= float(root.get("width")) and 0 <= y <= float(root.get("height")), f"{path}: {pair}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("json")
    parser.add_argument("svg")
    parser.add_argument("--answered", required=True, choices=("single", "batch"))
    parser.add_argument("--best")
    options = parser.parse_args()
    check_svg(options.svg, check_json(options.json, options.answered, options.best))


if __name__ == "__main__":
    main()

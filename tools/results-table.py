#!/usr/bin/env python3
"""Turns the JSON files of hl-bench into the tables of docs/results.md.

    tools/results-table.py docs/results/*.json > docs/results.md

Nothing is rounded in anyone's favour and no row is left out."""
import json
import sys


def time_text(seconds):
    return f"{seconds * 1e6:.1f} µs" if seconds < 1e-3 else f"{seconds * 1e3:.2f} ms"


def rate_text(row):
    if row["kernel"].startswith("matmul"):
        return f"{row['gflop_per_s'] / 1e3:.1f} TFLOP/s" if row["gflop_per_s"] >= 1e4 else f"{row['gflop_per_s']:.1f} GFLOP/s"
    return f"{row['gb_per_s'] / 1e3:.2f} TB/s" if row["gb_per_s"] >= 1e3 else f"{row['gb_per_s']:.1f} GB/s"


def roof_text(row):
    return f"{row['percent_of_roof']:.0f} % of {row['roof']}" if "percent_of_roof" in row else ""


def reference_text(ref):
    s = ref["speed_of_hl"]
    return f"{ref['name']} {s['median']:.3f} [{s['low']:.3f}, {s['high']:.3f}]"


def interval(median, low, high, unit):
    return f"{median:.1f} [{low:.1f}, {high:.1f}] {unit}"


def other_rows(data):
    """Of files that hold no throughputs: name and time, or counts."""
    for row in data.get("results", []):
        s = row["seconds"]
        yield f"{row['kernel']} {row['shape']} {row['dtype']}", interval(s["median"] * 1e3, s["low"] * 1e3, s["high"] * 1e3, "ms")
    for call in data.get("calls", []):
        over = f", {call['ns_over_bare']:+.0f} ns over the bare call" if call.get("ns_over_bare") else ""
        yield call["call"], interval(call["ns"], call["ns_low"], call["ns_high"], "ns") + over
    if "cases" in data:
        yield "cases", ", ".join(f"{data[k]} {k}" for k in ("right", "wrong", "error", "lost"))


def has_rates(data):
    return any("gb_per_s" in row for row in data.get("results", []))


def main(paths):
    print("# Results\n\nMade by `tools/results-table.py` from the files in [results](results); [Benchmarks](benchmarks.md) says how")
    print("they are measured. A reference's figure is libhl's speed relative to it, with its 95 % interval: below 1 libhl is\nslower.")
    groups = {}
    for path in paths:
        with open(path, encoding="utf-8") as f:
            data = json.load(f)
        e = data["environment"]
        if "checked_device" in data and data["checked_device"] != "cpu":
            e["device"], e["driver"] = f"the device {data['checked_device']}, checked", e["system"]
        key = (e.get("device") or e.get("cpu"), e.get("driver") or e["system"].removesuffix(" x86_64"), e["libhl"])
        groups.setdefault(key, []).append((path, data))
    for (device, driver, version), files in groups.items():
        print(f"\n## {device}\n\n{driver}; libhl {version}, commit {files[0][1]['environment'].get('commit', '-')}\n")
        if any(has_rates(data) for _, data in files):
            print("| kernel | shape | dtype | threads | time | rate | roof | relative to |\n| --- | --- | --- | --- | --- | --- | --- | --- |")
        for _, data in files:
            for row in data["results"] if has_rates(data) else []:
                if "seconds" not in row:
                    continue
                refs = ", ".join(reference_text(r) for r in row.get("references", []))
                print(f"| {row['kernel']} | {row['shape']} | {row['dtype']} | {row.get('threads') or '-'} | "
                      f"{time_text(row['seconds']['median'])} | {rate_text(row)} | {roof_text(row)} | {refs} |")
        for path, data in files:
            if has_rates(data):
                continue
            print(f"\n`{' '.join(data['environment']['command'])}`:\n\n| | |\n| --- | --- |")
            for name, value in other_rows(data):
                print(f"| {name} | {value} |")
        if any(has_rates(data) for _, data in files):
            print("\nCommands:\n")
        for path, data in files:
            if not has_rates(data):
                continue
            print(f"    {' '.join(data['environment']['command'])}    # {path.split('/')[-1]}")


if __name__ == "__main__":
    main(sys.argv[1:])

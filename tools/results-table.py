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


def main(paths):
    print("# Results\n\nMade by `tools/results-table.py` from the files in [results](results); [Benchmarks](benchmarks.md) says how")
    print("they are measured. A reference's figure is libhl's speed relative to it, with its 95 % interval: below 1 libhl is\nslower.")
    groups = {}
    for path in paths:
        with open(path, encoding="utf-8") as f:
            data = json.load(f)
        if "results" not in data:
            continue
        e = data["environment"]
        key = (e.get("device") or e.get("cpu"), e.get("driver", ""), e["libhl"])
        groups.setdefault(key, []).append((path, data))
    for (device, driver, version), files in groups.items():
        print(f"\n## {device}\n\n{driver}; libhl {version}\n")
        print("| kernel | shape | dtype | threads | time | rate | roof | relative to |\n| --- | --- | --- | --- | --- | --- | --- | --- |")
        for _, data in files:
            for row in data["results"]:
                if "seconds" not in row:
                    continue
                refs = ", ".join(reference_text(r) for r in row.get("references", []))
                print(f"| {row['kernel']} | {row['shape']} | {row['dtype']} | {row.get('threads') or '-'} | "
                      f"{time_text(row['seconds']['median'])} | {rate_text(row)} | {roof_text(row)} | {refs} |")
        print("\nCommands:\n")
        for path, data in files:
            print(f"    {' '.join(data['environment']['command'])}    # {path.split('/')[-1]}")


if __name__ == "__main__":
    main(sys.argv[1:])

"""Compares the curves of one configuration and seed on two devices.

    python scripts/compare_runs.py REFERENCE OTHER

Both runs start from the same parameters, but order and noise come from each device's own generator: the curves are two samples
of the same training, not equal numbers. Each logged mean of reconstruction, KL and ELBO must agree within TOLERANCE of the
reference curve's largest value, which for two seeds on one device is a wide margin, and for a wrong gradient is not. Exit code 0
when all of them do.
"""

import csv
import json
import math
import sys
from pathlib import Path

TOLERANCE = {"train/elbo": 0.05, "train/reconstruction": 0.05, "train/kl": 0.25}


def curves(run):
    found = {tag: {} for tag in TOLERANCE}
    with open(run / "metrics.csv", newline="", encoding="utf-8") as rows:
        for row in csv.DictReader(rows):
            if row["tag"] in found:
                found[row["tag"]][int(row["step"])] = float(row["value"])
    return found


def main(arguments):
    if len(arguments) != 2:
        print(__doc__.strip())
        return 2
    reference, other = (Path(argument) for argument in arguments)
    left, right = curves(reference), curves(other)
    agree = True
    print(f"{'step':>6} {'curve':<22} {reference.name:>12} {other.name:>12} {'distance':>9}  allowed")
    for tag, tolerance in TOLERANCE.items():
        if not left[tag] or left[tag].keys() != right[tag].keys():
            print(f"error: {tag}: the runs have no points in common steps", file=sys.stderr)
            return 1
        scale = max(abs(value) for value in left[tag].values())
        for step, expected in left[tag].items():
            distance = abs(right[tag][step] - expected) / scale
            fits = math.isfinite(distance) and distance <= tolerance
            agree &= fits
            mark = "" if fits else "  <- too far"
            print(f"{step:>6} {tag:<22} {expected:>12.3f} {right[tag][step]:>12.3f} {distance:>8.1%}  {tolerance:.0%}{mark}")
    for run in (reference, other):
        summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))
        print(f"{run.name}: {summary['steps_per_second']:.1f} steps a second")
    return 0 if agree else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

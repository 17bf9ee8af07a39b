"""Compares the curves of one configuration and seed on two devices.

    python scripts/compare_runs.py REFERENCE OTHER

Both runs start from the same parameters, but order and noise come from each device's own generator: the curves are two samples
of the same training, not equal numbers. Every logged mean of ELBO and reconstruction must agree within a tenth, every KL within
a tenth or 10 nats. Four seeds on one CPU, with different parameters even, stay within that at 200 steps of first.json (6.8 %,
8.2 %, 5 nats at the worst); a gradient that is wrong does not. Exit code 0 when all agree.
"""

import csv
import json
import sys
from pathlib import Path

# The share of the reference's value, or the nats, that a point may differ by: the larger of the two.
TOLERANCE = {"train/elbo": (0.1, 0.0), "train/reconstruction": (0.1, 0.0), "train/kl": (0.1, 10.0)}


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
    print(f"{'step':>6} {'curve':<22} {reference.name:>12} {other.name:>12} {'distance':>10} {'allowed':>10}")
    for tag, (share, nats) in TOLERANCE.items():
        if not left[tag] or left[tag].keys() != right[tag].keys():
            print(f"error: {tag}: the runs were not logged at the same steps", file=sys.stderr)
            return 1
        for step, expected in left[tag].items():
            distance, allowed = abs(right[tag][step] - expected), max(share * abs(expected), nats)
            fits = distance <= allowed  # false for NaN
            agree &= fits
            mark = "" if fits else "  <- too far"
            print(f"{step:>6} {tag:<22} {expected:>12.3f} {right[tag][step]:>12.3f} {distance:>10.3f} {allowed:>10.3f}{mark}")
    for run in (reference, other):
        summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))
        print(f"{run.name}: {summary['steps_per_second']:.1f} steps a second")
    return 0 if agree else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

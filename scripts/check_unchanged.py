"""Does one build of `train` train as another one does? `make check-unchanged BEFORE=COMMIT`.

    python scripts/check_unchanged.py BEFORE AFTER [--steps N] [KIND …]

BEFORE and AFTER are built `train`s. Of each kind of method and posterior among experiments/configs/*.json (or of each KIND named, the name of
such a file) both train one configuration for N (500) steps on the CPU with one thread and equal seeds: batch 8, a small part of dSprites,
hidden layers of at most 64 units, so that all kinds take minutes. Then every value of every curve must be there on both sides and agree
within 1e-4 of it, or of 1 where it is smaller: room for sums that are taken in another order, and no more.

Some trainings amplify rounding past that (importance weights feed it back into every step). For those BEFORE trains once more with a learning
rate that is 1e-5 of it greater, which moves a parameter by less than its last digit: at the first log point AFTER must still agree to 1e-4,
and later it may be ten times as far from BEFORE as that run was so far. Exit codes: 0 they agree, 1 they do not, or a run failed.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

CONFIGS = Path(__file__).resolve().parent.parent / "experiments/configs"
TOLERANCE = 1e-4
CHAOS = 10
LARGEST_LAYER = 64
DATA = {"source": "sprites", "batch_size": 8,
        "subset": {"orientation": "0..40/10", "position_x": "0,31", "position_y": "0,31"}}


def kind(config):
    """What makes another training of it."""
    method, posterior = config["method"], config["model"].get("posterior")
    family = posterior.get("family") if isinstance(posterior, dict) else posterior
    return json.dumps([method["name"], method.get("gradient"), method.get("target"), family])


def of_each_kind(names):
    """File and configuration."""
    found = {}
    for path in sorted(CONFIGS.glob("*.json")):
        config = json.loads(path.read_text(encoding="utf-8"))
        if path.stem in names or not names:
            found.setdefault(path.stem if names else kind(config), (path.stem, config))
    unknown = set(names) - {name for name, _ in found.values()}
    if unknown:
        sys.exit(f"error: no such file in {CONFIGS}: {', '.join(sorted(unknown))}")
    return list(found.values())


def narrowed(part):
    """With hidden layers, features and widths that train in seconds."""
    if not isinstance(part, dict):
        return part
    small = {}
    for field, value in part.items():
        if "hidden" in field and isinstance(value, list):
            value = [min(LARGEST_LAYER, width) for width in value]
        elif field == "features" and isinstance(value, int):
            value = min(LARGEST_LAYER, value)
        small[field] = narrowed(value)
    return small


def shrunk(config, steps):
    config = narrowed(config) | {"device": "cpu", "data": DATA}
    if config["model"]["network"] == "vae-gan":
        config["model"]["width"] = 0.1
        if config["method"]["name"] == "vae-gan":
            config["method"]["discriminator_width"] = 0.1
    if config["method"].get("target") == "mutual-information":
        config["method"]["max_capacity"] = 3.0  # batches of 8 know no more than log 8
    config["train"] = {"steps": steps, "log_every": max(1, steps // 5), "images_every": 0, "evaluate_every": 0,
                       "checkpoint_every": steps, "evaluate_subset": 48, "evaluate_samples": 16, "capture": "auto"}
    return config


def curves(train, config, directory, *more):
    """Values by step and tag, or a line that says what went wrong."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [train, config, "--run-dir", directory, "--quiet", *more]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        return f"{train} ended with {run.returncode}: {(run.stderr.strip().splitlines() or ['no word'])[-1]}"
    with open(directory / "metrics.csv", newline="", encoding="utf-8") as rows:
        return {(int(row["step"]), row["tag"]): row["value"] for row in csv.DictReader(rows) if not row["tag"].startswith("speed/")}


def distance(one, other):
    """0 for equal text, NaN included: a curve may have it."""
    one, other = (one, other) if one == other else (float(one), float(other))
    return 0.0 if one == other else abs(one - other) / max(1.0, abs(one))


def farthest(before, after):
    """Of each log point the distance of the value that is farthest from the other side's, and its tag."""
    points = {}
    for (step, tag), value in before.items():
        apart = distance(value, after[step, tag])
        apart = apart if apart == apart else float("inf")  # NaN on one side alone
        points[step] = max(points.get(step, (0.0, tag)), (apart, tag))
    return points


def compare(before, after, control):
    """Whether they agree, and how; `control` trains the run whose rounding is changed."""
    for side in (before, after):
        if isinstance(side, str):
            return False, side
    alone = sorted(before.keys() ^ after.keys())
    if alone or not before:
        return False, f"{len(alone)} values are on one side alone, such as {alone[:2]}" if alone else "no curves"
    equal = sum(before[key] == after[key] for key in before)
    text = f"{equal} of {len(before)} values equal to the last digit"
    if equal == len(before):
        return True, text
    points = farthest(before, after)
    text += f" (not those of {', '.join(sorted({key[1] for key in before if before[key] != after[key]})[:4])})"
    step = max(points, key=lambda step: points[step][0])
    apart, tag = points[step]
    text += f", farthest {apart:.1e} apart: step {step}, {tag}, {before[step, tag]} and {after[step, tag]}"
    if apart <= TOLERANCE:
        return True, text
    rounded = control()
    if isinstance(rounded, str):
        return False, rounded
    allowed, agree = 0.0, points[min(points)][0] <= TOLERANCE
    for step, (apart, _) in sorted(farthest(before, rounded).items()):
        allowed = max(allowed, CHAOS * apart, TOLERANCE)
        agree &= points[step][0] <= allowed
    spreads = ", ".join(f"{step}: {points[step][0]:.0e} ({apart:.0e})" for step, (apart, _) in sorted(farthest(before, rounded).items()))
    return agree, f"{text}; by log point, and in brackets BEFORE with its learning rate 1e-5 greater: {spreads}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("kinds", nargs="*")
    parser.add_argument("--steps", type=int, default=500)
    arguments = parser.parse_intermixed_args()
    verdict = True
    with tempfile.TemporaryDirectory() as work:
        for name, config in of_each_kind(arguments.kinds):
            written = Path(work) / f"{name}.json"
            written.write_text(json.dumps(shrunk(config, arguments.steps)), encoding="utf-8")
            sides = {side: getattr(arguments, side).resolve() for side in ("before", "after")}
            found = [curves(train, written, Path(work) / f"{name}-{side}") for side, train in sides.items()]
            rate = config["optimizer"]["learning_rate"]
            field = "optimizer.learning_rate" + (".from" if isinstance(rate, dict) else "")
            rate = f"{field}={(rate['from'] if isinstance(rate, dict) else rate) * (1 + 1e-5)!r}"
            control = lambda: curves(sides["before"], written, Path(work) / f"{name}-control", "--set", rate)
            agree, text = compare(*found, control)
            print(f"{'holds' if agree else 'FAILED'}: {name}: {text}", flush=True)
            verdict &= agree
    print(f"check-unchanged: {'all holds' if verdict else 'FAILED'}")
    return 0 if verdict else 1


if __name__ == "__main__":
    sys.exit(main())

"""Says whether two runs ended in the same parameters and drew the same curves, bit for bit.

    python scripts/tests/same_runs.py RUN OTHER

Compared are every tensor of the newest checkpoints and every row of metrics.csv but those of speed. Exit code 0 when all are equal.
"""

import csv
import json
import struct
import sys
from pathlib import Path


def tensors(run):
    """The newest checkpoint's step, and its tensors by name as (type, shape, bytes)."""
    steps = {int(path.stem.removeprefix("step-")): path for path in (run / "checkpoints").glob("step-*.safetensors")}
    step = max(steps)
    content = steps[step].read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    data = content[8 + length:]
    header = json.loads(content[8:8 + length])
    header.pop("__metadata__", None)
    return step, {name: (entry["dtype"], entry["shape"], data[slice(*entry["data_offsets"])]) for name, entry in header.items()}


def curves(run):
    with open(run / "metrics.csv", newline="", encoding="utf-8") as rows:
        return [tuple(row.values()) for row in csv.DictReader(rows) if not row["tag"].startswith("speed/")]


def main(arguments):
    if len(arguments) != 2:
        print(__doc__.strip())
        return 2
    first, second = map(Path, arguments)
    (step, left), (other_step, right) = tensors(first), tensors(second)
    different = [name for name in sorted(left.keys() | right.keys()) if left.get(name) != right.get(name)]
    if step != other_step or different:
        print(f"differ: steps {step} and {other_step}, {len(different)} of {len(left)} tensors ({', '.join(different[:3])})")
        return 1
    points, others = curves(first), curves(second)
    if points != others:
        print(f"differ: {len(points)} and {len(others)} points of curves, {len(set(points) ^ set(others))} of them not in both")
        return 1
    print(f"equal: {len(left)} tensors of step {step} and {len(points)} points of curves")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

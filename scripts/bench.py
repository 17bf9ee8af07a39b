"""`make bench`, `make bench-cuda`: elbo's training step beside the same step in PyTorch, in turn, in one run.

    python scripts/bench.py BENCH [--device cpu|cuda] [--threads N] [--repeats R] [--steps N] [--alone] [CONFIG …]

BENCH is the built `bench`. For each configuration the first steps of both sides are compared by their losses, from equal parameters,
batches and noise; then they take turns, in an order that is drawn anew for every repeat. Writes target/bench/comparison.json: every repeat
of every side in milliseconds a step, and under `ratios`, for `<method>/<network>/<batch>/<device>/step`, the median over repeats of
PyTorch's time over elbo's in the same repeat: above 1, elbo is faster. `…/logging` sets elbo with a log point every hundred steps against elbo
without one.

Environment: ELBO_TORCH_PYTHON, a Python with torch and safetensors (default: this one, if it has them).
Exit codes: 0 measured, 1 the sides do not take the same steps, 2 a side cannot be run here.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONFIGS = ["experiments/configs/beta_tcvae_sprites.json", "experiments/configs/elbo_sprites.json"]
# A part of dSprites: enough that no batch is in a cache, little enough to be there at once.
SUBSET = 'data.subset={"orientation":"0..40/4","position_x":"0..32/2","position_y":"0..32/2"}'
LOGGING_REPEATS = 3
SIDES = {
    "cpu": ["eager", "eager-fused", "compile", "dataloader"],
    "cuda": ["eager", "eager-fused", "compile", "compile-graphs", "manual-graph", "dataloader"],
}


def fail(code, line):
    print(f"error: {line}", file=sys.stderr)
    sys.exit(code)


class Side:
    """A process that takes orders: `PART COUNT`, answered by seconds."""

    def __init__(self, command, environment):
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )
        self.ready = self.process.stdout.readline().split()
        if self.ready[:1] != ["ready"]:
            lines = [line for line in self.process.stderr.read().splitlines() if line.strip()]
            line = next((line for line in reversed(lines) if line.startswith("error: ")), lines[-1] if lines else "no word")
            fail(1 if "elbo's" in line else 2, line.removeprefix("error: "))

    def milliseconds(self, part, count):
        self.process.stdin.write(f"{part} {count}\n")
        self.process.stdin.flush()
        return 1e3 * float(self.process.stdout.readline()) / count

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def torch_python():
    python = os.environ.get("ELBO_TORCH_PYTHON", sys.executable)
    found = subprocess.run([python, "-c", "import torch, safetensors"], capture_output=True, check=False)
    if found.returncode != 0:
        fail(2, f"{python} has no torch and safetensors: ELBO_TORCH_PYTHON names a Python that has, --alone measures elbo by itself")
    return python


def compare(config, arguments, environment):
    """One configuration: its key, every repeat of every side, the ratios."""
    changes = ["--set", f"device={arguments.device}", "--set", SUBSET]
    command = [str(arguments.bench), config, *changes]
    with tempfile.TemporaryDirectory() as folder:
        sides = {"elbo": Side([*command, "--serve"], environment)}
        key = sides["elbo"].ready[1]
        if not arguments.alone:
            subprocess.run([*command, "--export", folder], env=environment, check=True, stdout=subprocess.DEVNULL)
            for name in SIDES[arguments.device]:
                script = [torch_python(), str(ROOT / "scripts/bench_pytorch.py"), folder, name, "--device", arguments.device]
                threads = ["--threads", str(arguments.threads)] if arguments.threads else []
                print(f"bench: {key}: pytorch-{name} takes the same first steps", file=sys.stderr)
                sides[f"pytorch-{name}"] = Side([*script, *threads], environment)
    times = {name: [] for name in sides}
    order = list(sides)
    for _ in range(arguments.repeats):
        random.shuffle(order)
        for name in order:
            times[name].append(sides[name].milliseconds("step", arguments.steps))
    # With a log point every hundred steps, and without; a hundred of each in turn.
    logging = {"elbo-logged": [], "elbo-unlogged": []}
    for _ in range(LOGGING_REPEATS):
        logging["elbo-logged"].append(sides["elbo"].milliseconds("logged", 100))
        logging["elbo-unlogged"].append(sides["elbo"].milliseconds("step", 100))
    for side in sides.values():
        side.end()
    ratios = {f"{key}/step": {name: ratio(times[name], times["elbo"]) for name in sides if name != "elbo"}}
    ratios[f"{key}/logging"] = {"elbo-logged": ratio(logging["elbo-logged"], logging["elbo-unlogged"])}
    return key, times | logging, ratios


def ratio(theirs, ours):
    """Of paired repeats: the median, and the ends."""
    paired = [one / other for one, other in zip(theirs, ours)]
    return {"median": statistics.median(paired), "lowest": min(paired), "highest": max(paired)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench", type=Path)
    parser.add_argument("configs", nargs="*", default=CONFIGS)
    parser.add_argument("--device", choices=list(SIDES), default="cpu")
    parser.add_argument("--threads", type=int, help="threads of both sides (default: each side's own)")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--alone", action="store_true", help="elbo without PyTorch")
    arguments = parser.parse_intermixed_args()
    environment = dict(os.environ)
    if arguments.threads:
        environment["OMP_NUM_THREADS"] = str(arguments.threads)
    random.seed(1)
    result = {"device": arguments.device, "threads": arguments.threads, "milliseconds": {}, "ratios": {}, "spread": {}}
    for config in arguments.configs:
        key, times, ratios = compare(config, arguments, environment)
        result["milliseconds"][key] = times
        for name, sides in ratios.items():
            result["ratios"][name] = {side: value["median"] for side, value in sides.items()}
            result["spread"][name] = {side: [value["lowest"], value["highest"]] for side, value in sides.items()}
        print(f"\n{key}: {arguments.repeats} repeats of {arguments.steps} steps, medians")
        for side, repeats in times.items():
            found = ratios[f"{key}/step"].get(side)
            beside = f"{found['median']:6.2f}×  ({found['lowest']:.2f} to {found['highest']:.2f})" if found else ""
            print(f"  {side:24} {statistics.median(repeats):8.2f} ms a step  {beside}")
        logging = ratios[f"{key}/logging"]["elbo-logged"]
        lowest, highest = (100 * (logging[end] - 1) for end in ("lowest", "highest"))
        print(f"  logging every 100 steps costs {100 * (logging['median'] - 1):.1f}% ({lowest:.1f}% to {highest:.1f}%)")
    folder = ROOT / "target/bench"
    folder.mkdir(parents=True, exist_ok=True)
    written = folder / "comparison.json"
    beside = written.with_suffix(".json.new")
    beside.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    beside.rename(written)
    print(f"\nratios: the other side's time over elbo's in the same repeat; above 1, elbo is faster\n{written}")


main()

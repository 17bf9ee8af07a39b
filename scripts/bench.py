"""`make bench`, `make bench-cuda`: elbo's training step beside the same step in PyTorch, in turn, in one run.

    python scripts/bench.py BENCH [--device cpu|cuda] [--threads N] [--repeats R] [--steps N] [--set FIELD=VALUE] [--alone] [CONFIG …]
    python scripts/bench.py BENCH … --beside FIELD=VALUE [CONFIG …]
    python scripts/bench.py BENCH … --share K [CONFIG …]

BENCH is the built `bench`, with `train` beside it. For each configuration the first steps of both sides are compared by their losses, from
equal parameters, batches and noise; then they take turns, in an order that is drawn anew for every repeat. Then each part of a step (the batch,
networks and loss, the update, the optimiser; the backward pass is what is left of the update), in the same way, and the time from the start of
`train` to the row of its first step in metrics.csv. On CUDA the adversarial methods are set beside themselves without a captured step, and
eight runs that share the GPU beside one.

With --beside each configuration is compared with itself, a field of it changed (train.capture=off, precision=bfloat16); with --share K runs of
it that share the device with one of them. Both work on any device, and leave PyTorch out.

Writes target/bench/comparison.json (beside.json, share.json): every repeat of every side in milliseconds (`milliseconds`), the most bytes that
each side held (`peak_bytes`), and under `ratios`, for `<method>/<network>/<batch>/<device>/<part>`, the median over repeats of the other side's time over
elbo's in the same repeat: above 1, elbo is faster. `…/logging` is the part of the time that a log point every hundred steps takes (0.01:
one per cent), from steps with a log point after each beside steps without. `…/shared` is steps a second of eight runs together over those
of one. `seconds` has every start of `train`.

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
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONFIGS = ["experiments/configs/beta_tcvae_sprites.json", "experiments/configs/elbo_sprites.json"]
# Networks that PyTorch's side has not; on CUDA they are compared with themselves.
CAPTURED = ["experiments/configs/vae_gan_sprites.json", "experiments/configs/avb_ac_mnist_8.json"]
SHARED = 8
# A part of dSprites: enough that no batch is in a cache, little enough to be there at once.
SUBSET = '{"orientation":"0..40/4","position_x":"0..32/2","position_y":"0..32/2"}'
SPRITES = f'data={{"source":"sprites","batch_size":64,"subset":{SUBSET}}}'
PARTS = ["gather", "forward", "update", "optimiser"]
# The parts of each side that are parts of its step. A graph is replayed as a whole.
SIDES = {
    "eager": PARTS,
    "eager-fused": ["optimiser"],
    "compile": [],
    "compile-graphs": [],
    "manual-graph": [],
    "dataloader": ["gather"],
}
ON_CPU = ["eager", "eager-fused", "compile", "dataloader"]


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

    def ask(self, order):
        self.process.stdin.write(f"{order}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def milliseconds(self, part, count):
        return 1e3 * float(self.ask(f"{part} {count}")) / count

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def torch_python():
    python = os.environ.get("ELBO_TORCH_PYTHON", sys.executable)
    found = subprocess.run([python, "-c", "import torch, safetensors"], capture_output=True, check=False)
    if found.returncode != 0:
        fail(2, f"{python} has no torch and safetensors: ELBO_TORCH_PYTHON names a Python that has, --alone measures elbo by itself")
    return python


def first_row(command, metrics, environment):
    """Seconds until `metrics` has a row below its head."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment)
    while not (metrics.exists() and metrics.read_text(encoding="utf-8").count("\n") > 1):
        if process.poll() is not None:
            fail(2, (process.stderr.read().splitlines() or ["train ended before its first step"])[-1].removeprefix("error: "))
        time.sleep(0.005)
    seconds = time.perf_counter() - started
    process.kill()
    process.wait()
    return seconds


def in_turn(sides, repeats, measure):
    """`measure` of every side in every repeat, in an order drawn anew."""
    times = {name: [] for name in sides}
    order = list(sides)
    for _ in range(repeats):
        random.shuffle(order)
        for name in order:
            times[name].append(measure(name, sides[name]))
    return times


def ratio(theirs, ours):
    """Of paired repeats: the median, and the ends."""
    paired = [one / other for one, other in zip(theirs, ours)]
    return {"median": statistics.median(paired), "lowest": min(paired), "highest": max(paired)}


class Comparison:
    """What is measured, and how it is told."""

    def __init__(self, arguments, environment, written):
        self.written = written
        # `on`, because `auto` would go on one operator after the other where it cannot capture.
        self.captured = ["train.capture=on"] if arguments.device == "cuda" else []
        self.arguments, self.environment = arguments, environment
        self.result = {"device": arguments.device, "threads": arguments.threads, "milliseconds": {}, "peak_bytes": {}}
        self.result |= {"ratios": {}, "spread": {}, "seconds": {}}

    def command(self, config, *changes):
        """The configuration's own data, of dSprites a part."""
        source = json.loads(Path(config).read_text(encoding="utf-8"))["data"]["source"]
        subset = [f"data.subset={SUBSET}"] if source == "sprites" else []
        changes = [f"device={self.arguments.device}", *subset, *self.arguments.set, *changes]
        changes = [word for change in changes for word in ("--set", change)]
        return [str(self.arguments.bench), config, *changes]

    def keep(self, key, times, ratios):
        self.result["milliseconds"].setdefault(key, {}).update(times)
        self.result["ratios"][key] = {side: value["median"] for side, value in ratios.items()}
        self.result["spread"][key] = {side: [value["lowest"], value["highest"]] for side, value in ratios.items()}

    def tell(self, title, times, ratios, unit="ms"):
        print(f"\n{title}")
        for name, repeats in times.items():
            found = ratios.get(name)
            beside = f"{found['median']:6.2f}×  ({found['lowest']:.2f} to {found['highest']:.2f})" if found else ""
            print(f"  {name:24} {statistics.median(repeats):9.3f} {unit}  {beside}")

    def beside_pytorch(self, config):
        command = self.command(config, *self.captured)
        with tempfile.TemporaryDirectory() as folder:
            sides = {"elbo": Side([*command, "--serve"], self.environment)}
            key = sides["elbo"].ready[1]
            if not self.arguments.alone:
                subprocess.run([*command, "--export", folder], env=self.environment, check=True, stdout=subprocess.DEVNULL)
                for name in ON_CPU if self.arguments.device == "cpu" else SIDES:
                    script = [torch_python(), str(ROOT / "scripts/bench_pytorch.py"), folder, name]
                    script += ["--device", self.arguments.device]
                    threads = ["--threads", str(self.arguments.threads)] if self.arguments.threads else []
                    print(f"bench: {key}: pytorch-{name} takes the same first steps", file=sys.stderr)
                    sides[f"pytorch-{name}"] = Side([*script, *threads], self.environment)
        steps, repeats = self.arguments.steps, self.arguments.repeats
        parts = {}
        for part in ["step", *PARTS]:
            takes = {
                name: side
                for name, side in sides.items()
                if name == "elbo" or part == "step" or part in SIDES[name.removeprefix("pytorch-")]
            }
            parts[part] = in_turn(takes, repeats, lambda _, side, part=part: side.milliseconds(part, steps))
        # Not timed: what is left of the update without the forward pass and the optimiser.
        whole = [name for name in sides if name == "elbo" or SIDES[name.removeprefix("pytorch-")] == PARTS]
        rest = [zip(*(parts[part][name] for part in ("update", "forward", "optimiser"))) for name in whole]
        parts["backward"] = {name: [u - f - o for u, f, o in times] for name, times in zip(whole, rest)}
        for part, times in parts.items():
            ratios = {name: ratio(found, times["elbo"]) for name, found in times.items() if name != "elbo"}
            self.keep(f"{key}/{part}", times, ratios)
            self.tell(f"{key}/{part}: {repeats} repeats of {steps}, medians", times, ratios)
        self.logging(key, sides["elbo"])
        self.result["peak_bytes"][key] = {name: int(side.ask("memory")) for name, side in sides.items()}
        for name, peak in self.result["peak_bytes"][key].items():
            print(f"  {name:24} {peak / 1e6:9.0f} MB at most")
        kernels = sides["elbo"].ask("kernels")
        if kernels != "none":
            print(f"  elbo's captured step: {kernels} kernels, copies and fills")
            self.result.setdefault("kernels", {})[key] = int(kernels)
        for side in sides.values():
            side.end()
        self.start(key, config)

    def start(self, key, config):
        """Seconds from the start of `train` to its first step's row, data as the configuration has them and in the cache."""
        train = self.arguments.bench.resolve().parent / "train"
        if not train.exists():
            fail(2, f"{train}: not there; it is built with cargo build --release -p elbo-experiments --bin train")
        changes = [f"device={self.arguments.device}", "train.log_every=1", *self.arguments.set]
        changes = [*(word for change in changes for word in ("--set", change)), "--quiet"]
        seconds = []
        # The first one may have to fill the cache.
        for _ in range(1 + self.arguments.repeats):
            with tempfile.TemporaryDirectory() as folder:
                command = [train, config, "--run-dir", f"{folder}/run", *changes]
                seconds.append(first_row(command, Path(folder) / "run/metrics.csv", self.environment))
        self.result["seconds"][f"{key}/start"] = seconds[1:]
        line = f"{statistics.median(seconds[1:]):.2f} s ({min(seconds[1:]):.2f} to {max(seconds[1:]):.2f}); the first time {seconds[0]:.2f} s"
        print(f"\n{key}/start: from the start of train to its first step {line}")

    def logging(self, key, elbo):
        steps, repeats = self.arguments.steps, self.arguments.repeats
        both = {"elbo-logged": "logged", "elbo-unlogged": "step"}
        times = in_turn(both, repeats, lambda _, part: elbo.milliseconds(part, steps))
        share = [(one / other - 1) / 100 for one, other in zip(times["elbo-logged"], times["elbo-unlogged"])]
        found = {"median": statistics.median(share), "lowest": min(share), "highest": max(share)}
        self.keep(f"{key}/logging", times, {"elbo": found})
        line = ", ".join(f"{100 * found[end]:.3f}%" for end in ("median", "lowest", "highest"))
        print(f"\n{key}/logging: a log point every hundred steps takes {line} of the time (median, lowest, highest)")

    def shared(self, config, count):
        elbo = Side([*self.command(config, *self.captured), "--share", str(count), "--serve"], self.environment)
        key = elbo.ready[1]
        steps, repeats = self.arguments.steps, self.arguments.repeats
        both = {"one": "step", "shared": "shared"}
        times = in_turn(both, repeats, lambda _, part: elbo.milliseconds(part, steps))
        # A `shared` is a step of every run.
        found = ratio([count * one for one in times["one"]], times["shared"])
        self.keep(f"{key}/shared", times, {f"{count}-runs": found})
        self.tell(f"{key}/shared: {count} runs on one device, a step of each; steps a second together over one run's", times, {"shared": found})
        elbo.end()

    def beside_itself(self, config, changes, title):
        """With the `changes` of each name, the first of which is elbo as it is."""
        sides = {name: Side([*self.command(config, *fields), "--serve"], self.environment) for name, fields in changes.items()}
        ours, theirs = sides
        key = sides[ours].ready[1]
        times = in_turn(sides, self.arguments.repeats, lambda _, side: side.milliseconds("step", self.arguments.steps))
        ratios = {theirs: ratio(times[theirs], times[ours])}
        self.keep(f"{key}/step", times, ratios)
        self.tell(f"{key}/step: {title}", times, ratios)
        for side in sides.values():
            side.end()

    def write(self):
        folder = ROOT / "target/bench"
        folder.mkdir(parents=True, exist_ok=True)
        written = folder / self.written
        beside = written.with_suffix(".json.new")
        beside.write_text(json.dumps(self.result, indent=1) + "\n", encoding="utf-8")
        beside.rename(written)
        print(f"\nratios: the other side's time over elbo's in the same repeat; above 1, elbo is faster\n{written}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench", type=Path)
    parser.add_argument("configs", nargs="*", default=CONFIGS)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--threads", type=int, help="threads of both sides (default: each side's own)")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--alone", action="store_true", help="elbo without PyTorch")
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="change a field of every configuration")
    parser.add_argument("--beside", metavar="FIELD=VALUE", help="each configuration beside itself with this change")
    parser.add_argument("--share", type=int, metavar="K", help="K runs of each configuration in one process beside one run")
    arguments = parser.parse_intermixed_args()
    environment = dict(os.environ)
    if arguments.threads:
        environment["OMP_NUM_THREADS"] = str(arguments.threads)
    random.seed(1)
    if arguments.beside:
        comparison = Comparison(arguments, environment, "beside.json")
        for config in arguments.configs:
            changed = {"elbo": [], f"elbo-{arguments.beside}": [arguments.beside]}
            comparison.beside_itself(config, changed, f"as it is, and with {arguments.beside}")
    elif arguments.share:
        comparison = Comparison(arguments, environment, "share.json")
        for config in arguments.configs:
            comparison.shared(config, arguments.share)
    else:
        comparison = Comparison(arguments, environment, "comparison.json")
        for config in arguments.configs:
            comparison.beside_pytorch(config)
        if arguments.device == "cuda":
            for config in arguments.configs:
                comparison.shared(config, SHARED)
            for config in CAPTURED:
                changed = {"elbo": [SPRITES, *comparison.captured], "elbo-uncaptured": [SPRITES, "train.capture=off"]}
                comparison.beside_itself(config, changed, "captured, and one operator after the other")
    comparison.write()


main()

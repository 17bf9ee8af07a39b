"""A long run watched from outside: `make check-soak`.

    python scripts/check_soak.py TRAIN [STEPS]

Trains a small model for many steps (200 000) with logging, evaluations, pictures and checkpoints, and reads the process's resident
memory and processor time all the while. What must hold: the memory stays within 5 % of what it was after a tenth of the run, a step of
the last tenth takes as much processor time as one of the second, to 20 % (the clock would also count what else the machine does),
TensorBoard's own reader finds every logged step once and in order. Exit code 0 when all of it does.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tensorboard.backend.event_processing import plugin_event_accumulator

LOG_EVERY = 500
CONFIG = {
    "name": "soak", "seed": 1, "device": "cpu", "precision": "float32",
    "data": {"source": "sprites", "batch_size": 16,
             "subset": {"orientation": "0..40/10", "position_x": "0..32/8", "position_y": "0..32/8"}},
    "model": {"network": "mlp", "latent": 3, "likelihood": "bernoulli", "encoder_hidden": [16], "encoder_activation": "relu",
              "decoder_hidden": [16], "decoder_activation": "relu"},
    "method": {"name": "beta-tcvae", "mi_weight": 1.0, "tc_weight": 4.0, "dw_kl_weight": 1.0, "estimator": "mss"},
    "optimizer": {"name": "adam", "learning_rate": 1e-4},
    "train": {"log_every": LOG_EVERY, "images_every": 20000, "evaluate_every": 20000, "checkpoint_every": 20000, "evaluate_subset": 500,
              "evaluate_samples": 200, "capture": "auto"},
}


def resident(process):
    for line in Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def processor_time(process):
    fields = Path(f"/proc/{process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def watch(process, metrics):
    """(step, bytes, seconds of processor time) every half a second."""
    samples = []
    while process.poll() is None:
        step = 0
        if metrics.exists():
            with metrics.open("rb") as file:
                file.seek(max(0, metrics.stat().st_size - 400))
                rows = file.read().decode("utf-8", "replace").splitlines()
            if len(rows) > 2 and rows[-2].split(",")[0].isdigit():
                step = int(rows[-2].split(",")[0])
        samples.append((step, resident(process), processor_time(process)))
        time.sleep(0.5)
    return samples


def milliseconds_a_step(samples, low, high):
    """Processor time a step between the first and the last reading from `low` to `high` steps."""
    inside = [(step, seconds) for step, _, seconds in samples if low <= step <= high]
    return 1e3 * (inside[-1][1] - inside[0][1]) / max(1, inside[-1][0] - inside[0][0])


def main(arguments):
    if not 1 <= len(arguments) <= 2:
        print(__doc__.strip())
        return 2
    steps = int(arguments[1]) if len(arguments) == 2 else 200_000
    with tempfile.TemporaryDirectory() as folder:
        config, run = Path(folder) / "soak.json", Path(folder) / "run"
        CONFIG["train"]["steps"] = steps
        config.write_text(json.dumps(CONFIG), encoding="utf-8")
        command = [arguments[0], config, "--run-dir", run, "--quiet"]
        started = time.monotonic()
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, env=os.environ | {"OMP_NUM_THREADS": "1"}) as process:
            samples = watch(process, run / "metrics.csv")
        if process.returncode != 0:
            print(f"FAILS  the run ended with exit code {process.returncode}")
            return 1
        seconds = time.monotonic() - started
        events = plugin_event_accumulator.EventAccumulator(str(run), size_guidance={"scalars": 0, "tensors": 0})
        events.Reload()
        logged = [event.step for event in events.Tensors("train/loss")]

    warm = [size for step, size, _ in samples if steps / 10 < step <= steps / 5]
    late = [size for step, size, _ in samples if step > steps / 5]
    growth = max(late) / max(warm) - 1
    second, last = (milliseconds_a_step(samples, part * steps, (part + 0.1) * steps) for part in (0.1, 0.9))
    ratio = last / second
    verdicts = [
        (abs(growth) <= 0.05, f"memory: {max(warm) / 1e6:.1f} MB after a tenth, {max(late) / 1e6:.1f} MB at most after a fifth ({growth:+.2%})"),
        (abs(ratio - 1) <= 0.2, f"speed: a step takes {second:.2f} ms of processor time in the second tenth, {last:.2f} in the last ({ratio:.2f})"),
        (logged == list(range(LOG_EVERY, steps + 1, LOG_EVERY)), f"event files: {len(logged)} logged steps, each once and in order"),
    ]
    for holds, line in verdicts:
        print(f"{'holds' if holds else 'FAILS'}  {line}")
    print(f"{steps} steps in {seconds:.0f} s, {len(samples)} readings of the memory")
    return 0 if all(holds for holds, _ in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

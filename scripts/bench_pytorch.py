"""The same training step in plain PyTorch, for scripts/bench.py to set beside elbo's.

    python scripts/bench_pytorch.py FOLDER SIDE [--threads N] [--device cpu|cuda]

FOLDER is what `bench --export` wrote: parameters, batches, noise and losses of elbo's first steps. First the same steps are taken here, and
the losses compared: equal steps from equal weights, or nothing is timed (exit code 1). Then a line `PART COUNT` on standard input is
answered by the seconds that so many took: `step`, `gather` (the batch), `forward` (networks and loss, without gradients), `update` (forward,
backward and optimiser on a batch that is there), `optimiser` (one update by gradients that are there); and `memory` by the most bytes held
so far, on CUDA by the allocator, on the CPU by this process.

Sides: eager (Adam as PyTorch has it by default), eager-fused (Adam(fused=True)), compile (torch.compile of the step's forward and loss),
dataloader (eager, batches from a DataLoader over the images as published code has it), and on CUDA compile-graphs
(torch.compile(mode="reduce-overhead")) and manual-graph (the whole step captured by hand, Adam capturable).
"""

import argparse
import json
import math
import resource
import sys
import time
from pathlib import Path

try:
    import torch
    from safetensors.torch import load_file
    from torch import nn
    from torch.nn import functional
except ImportError as missing:
    sys.exit(f"error: {sys.executable}: {missing}; PyTorch and safetensors are needed for this side")

TOLERANCE = 1e-4
SIDES = ("eager", "eager-fused", "compile", "dataloader", "compile-graphs", "manual-graph")


class Burgess(nn.Module):
    """The network of Burgess et al. 2018 on 64×64 pictures."""

    def __init__(self, latent):
        super().__init__()
        halve = {"kernel_size": 4, "stride": 2, "padding": 1}
        encoder = {f"conv{i}": nn.Conv2d(1 if i == 1 else 32, 32, **halve) for i in (1, 2, 3, 4)}
        encoder |= {"fc1": nn.Linear(512, 256), "fc2": nn.Linear(256, 256), "head": nn.Linear(256, 2 * latent)}
        decoder = {"fc1": nn.Linear(latent, 256), "fc2": nn.Linear(256, 256), "fc3": nn.Linear(256, 512)}
        decoder |= {f"deconv{i}": nn.ConvTranspose2d(32, 1 if i == 4 else 32, **halve) for i in (1, 2, 3, 4)}
        self.encoder, self.decoder = nn.ModuleDict(encoder), nn.ModuleDict(decoder)

    def forward(self, x, epsilon):
        for name, layer in self.encoder.items():
            x = layer(x.flatten(1) if name == "fc1" else x)
            x = x if name == "head" else x.relu()
        mean, log_var = x.chunk(2, dim=1)
        z = h = mean + (0.5 * log_var).exp() * epsilon
        for name, layer in self.decoder.items():
            h = layer(h.reshape(-1, 32, 4, 4) if name == "deconv1" else h)
            h = h if name == "deconv4" else h.relu()
        return mean, log_var, z, h


def normal_log_density(z, mean, log_var):
    return -0.5 * ((z - mean).square() * (-log_var).exp() + log_var + math.log(2 * math.pi))


def loss_of(method, dataset_len):
    """The loss of a method as a function of batch and forward pass."""

    def reconstruction(x, logits):
        return functional.binary_cross_entropy_with_logits(logits, x, reduction="none").flatten(1).sum(1)

    def vae(x, mean, log_var, _z, logits):
        kl = 0.5 * (mean.square() + log_var.exp() - 1 - log_var).sum(1)
        return (reconstruction(x, logits) + method.get("beta", 1.0) * kl).mean()

    def beta_tcvae(x, mean, log_var, z, logits):
        batch = x.shape[0]
        pairs = normal_log_density(z.unsqueeze(1), mean.unsqueeze(0), log_var.unsqueeze(0))
        log_weight = math.log(batch * dataset_len)
        log_qz = pairs.sum(2).logsumexp(1) - log_weight
        log_qz_product = (pairs.logsumexp(1) - log_weight).sum(1)
        log_qz_x = normal_log_density(z, mean, log_var).sum(1)
        log_pz = normal_log_density(z, torch.zeros_like(z), torch.zeros_like(z)).sum(1)
        terms = method["mi_weight"] * (log_qz_x - log_qz) + method["tc_weight"] * (log_qz - log_qz_product)
        return (reconstruction(x, logits) + terms + method["dw_kl_weight"] * (log_qz_product - log_pz)).mean()

    return {"elbo": vae, "beta-vae": vae, "beta-tcvae": beta_tcvae}[method["name"]]


class Images(torch.utils.data.Dataset):
    """As published loaders have it: a picture at a time from an array of bytes, made a float tensor."""

    def __init__(self, images):
        self.images = images.numpy()

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return torch.from_numpy(self.images[index]).float().div(255), 0


class Training:
    def __init__(self, folder, side, device):
        self.expected = json.loads((folder / "expected.json").read_text())
        config = self.expected["config"]
        if config["model"]["network"] != "burgess" or config["model"]["likelihood"] != "bernoulli":
            sys.exit("error: this side has the network burgess with a Bernoulli likelihood alone")
        self.device, self.side = torch.device(device), side
        self.latent, self.batch = config["model"]["latent"], config["data"]["batch_size"]
        self.steps = {name: tensor.to(self.device) for name, tensor in load_file(folder / "steps.safetensors").items()}
        images = load_file(folder / "images.safetensors")["images"]
        model = Burgess(self.latent)
        model.load_state_dict(load_file(folder / "model.safetensors"))
        self.model = model.to(self.device)
        loss = loss_of(config["method"], self.expected["dataset_len"])
        optimizer = config["optimizer"]
        options = {"lr": optimizer["learning_rate"], "betas": (optimizer.get("beta1", 0.9), optimizer.get("beta2", 0.999))}
        options |= {"eps": optimizer.get("epsilon", 1e-8)}
        options |= {"fused": {"fused": True}, "capturable": {"capturable": True}}.get(
            {"eager-fused": "fused", "manual-graph": "capturable"}.get(side), {}
        )
        self.optimizer = torch.optim.Adam(self.model.parameters(), **options)

        def forward(x, epsilon):
            return loss(x, *self.model(x, epsilon))

        mode = {"compile": "default", "compile-graphs": "reduce-overhead"}.get(side)
        self.forward = torch.compile(forward, mode=mode) if mode else forward
        self.graph = None
        if side == "dataloader":
            self.loader = torch.utils.data.DataLoader(Images(images), batch_size=self.batch, shuffle=True, drop_last=True)
            self.batches = iter(self.loader)
        else:
            # Resident on the device, one byte a pixel, gathered by index.
            self.images = images.to(self.device)
            self.order, self.cursor = torch.randperm(len(images), device=self.device), 0

    def next_batch(self):
        if self.side == "dataloader":
            try:
                x, _ = next(self.batches)
            except StopIteration:
                self.batches = iter(self.loader)
                x, _ = next(self.batches)
            return x.to(self.device)
        if self.cursor + self.batch > len(self.order):
            self.order, self.cursor = torch.randperm(len(self.images), device=self.device), 0
        rows = self.order[self.cursor : self.cursor + self.batch]
        self.cursor += self.batch
        return self.images.index_select(0, rows).float().div_(255)

    def update(self, x, epsilon):
        if self.side == "compile-graphs":
            torch.compiler.cudagraph_mark_step_begin()
        loss = self.forward(x, epsilon)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def check(self):
        """The losses of elbo's own first steps, from its parameters, batches and noise."""
        for index, expected in enumerate(self.expected["losses"]):
            loss = self.update(self.steps[f"x/{index}"], self.steps[f"epsilon/{index}"]).item()
            if abs(loss - expected) > TOLERANCE * abs(expected):
                sys.exit(f"error: {self.side}: the loss of step {index} is {loss}, elbo's {expected}")

    def capture(self):
        self.x, self.epsilon = self.next_batch(), torch.randn(self.batch, self.latent, device=self.device)
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                self.update(self.x, self.epsilon)
        torch.cuda.current_stream().wait_stream(stream)
        self.optimizer.zero_grad()
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.update(self.x, self.epsilon)

    def step(self):
        if self.graph is None:
            self.update(self.next_batch(), torch.randn(self.batch, self.latent, device=self.device))
        else:
            self.x.copy_(self.next_batch())
            self.epsilon.normal_()
            self.graph.replay()

    def forward_alone(self):
        with torch.no_grad():
            self.forward(self.steps["x/0"], self.steps["epsilon/0"])

    def time(self, part, count):
        once = {
            "step": self.step,
            "gather": self.next_batch,
            "forward": self.forward_alone,
            "update": lambda: self.update(self.steps["x/0"], self.steps["epsilon/0"]),
            "optimiser": self.optimizer.step,
        }[part]
        self.wait()
        started = time.perf_counter()
        for _ in range(count):
            once()
        self.wait()
        return time.perf_counter() - started

    def peak_memory(self):
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device)
        return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def wait(self):
        if self.device.type == "cuda":
            torch.cuda.synchronize()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("side", choices=SIDES)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    torch.manual_seed(1)
    training = Training(arguments.folder, arguments.side, arguments.device)
    training.check()
    if arguments.side == "manual-graph":
        training.capture()
    training.time("step", 5)
    print("ready", torch.__version__, flush=True)
    for line in sys.stdin:
        if line.strip() == "memory":
            print(training.peak_memory(), flush=True)
        else:
            part, count = line.split()
            print(training.time(part, int(count)), flush=True)


main()

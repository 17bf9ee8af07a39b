"""Reads what elbo wrote as docs/python.md says, and compares.

    python scripts/tests/python_test.py model CHECKPOINT REFERENCE.npz    the model in PyTorch, or its layers in numpy
    python scripts/tests/python_test.py curves RUN                        metrics.csv in pandas, or in csv
    python scripts/tests/python_test.py sprites FILE.npz                  as other code bases' loaders read dSprites

REFERENCE.npz holds images, mean, log_var, z and decoded, computed by elbo with the checkpoint's parameters. What is not installed is done
without, and the last line says so. Exit code 0 when all agree, else an assertion.
"""

import csv
import json
import re
import struct
import sys
from pathlib import Path

import numpy

# Float32 sums of up to 512 products in another order.
TOLERANCE = 1e-5


def documented(name):
    """The block of docs/python.md below the line that holds `NAME` alone."""
    page = (Path(__file__).parents[2] / "docs/python.md").read_text(encoding="utf-8")
    found = re.search(rf"^`{re.escape(name)}`\n\n```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert found, f"docs/python.md shows no {name}"
    return found.group(1)


def read_safetensors(path):
    """Tensors by name, with nothing but numpy: eight bytes of length, a JSON header, the data."""
    content = Path(path).read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header, data = json.loads(content[8:8 + length]), content[8 + length:]
    header.pop("__metadata__")
    kinds = {"F32": "<f4", "F64": "<f8", "I64": "<i8", "U8": "u1"}
    return {name: numpy.frombuffer(data[slice(*entry["data_offsets"])], kinds[entry["dtype"]]).reshape(entry["shape"])
            for name, entry in header.items()}


def worst(name, found, expected):
    """The largest difference, as a share of what is expected or of 1, whichever is more."""
    assert found.shape == expected.shape, f"{name}: {found.shape} instead of {expected.shape}"
    difference = float((numpy.abs(found - expected) / numpy.maximum(numpy.abs(expected), 1)).max())
    assert difference <= TOLERANCE, f"{name} differs by {difference:.1e}"
    return difference


def in_torch(torch, checkpoint, reference):
    try:
        from safetensors.torch import load_file
        tensors = load_file(checkpoint)
    except ImportError:
        tensors = {name: torch.from_numpy(value.copy()) for name, value in read_safetensors(checkpoint).items()}
    module = {}
    exec(documented("vae.py"), module)
    model = module["Vae"](latent=reference["mean"].shape[1])
    model.load_state_dict({name: value for name, value in tensors.items() if name.startswith(("encoder.", "decoder."))})
    with torch.no_grad():
        mean, log_var = model.encode(torch.from_numpy(reference["images"]))
        decoded = model.decode(torch.from_numpy(reference["z"]))
    return {"mean": mean.numpy(), "log_var": log_var.numpy(), "decoded": decoded.numpy()}


def in_numpy(checkpoint, reference):
    """The same layers by hand, in float64: kernels of 4, strides of 2, paddings of 1."""
    tensors = {name: value.astype("f8") for name, value in read_safetensors(checkpoint).items() if value.dtype == "f4"}

    def relu(x):
        return numpy.maximum(x, 0)

    def linear(x, name):
        return x @ tensors[f"{name}.weight"].T + tensors[f"{name}.bias"]

    def convolution(x, name):
        padded = numpy.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
        windows = numpy.lib.stride_tricks.sliding_window_view(padded, (4, 4), axis=(2, 3))[:, :, ::2, ::2]
        return numpy.einsum("bchwij,ocij->bohw", windows, tensors[f"{name}.weight"]) + tensors[f"{name}.bias"][:, None, None]

    def transposed(x, name):
        weight = tensors[f"{name}.weight"]
        batch, _, height, width = x.shape
        out = numpy.zeros((batch, weight.shape[1], 2 * height + 2, 2 * width + 2))
        for i in range(4):
            for j in range(4):
                part = numpy.einsum("bchw,co->bohw", x, weight[:, :, i, j])
                out[:, :, i:i + 2 * height:2, j:j + 2 * width:2] += part
        return out[:, :, 1:-1, 1:-1] + tensors[f"{name}.bias"][:, None, None]

    x = reference["images"].astype("f8")
    for i in (1, 2, 3, 4):
        x = relu(convolution(x, f"encoder.conv{i}"))
    x = relu(linear(relu(linear(x.reshape(len(x), -1), "encoder.fc1")), "encoder.fc2"))
    mean, log_var = numpy.split(linear(x, "encoder.head"), 2, axis=1)
    z = reference["z"].astype("f8")
    for i in (1, 2, 3):
        z = relu(linear(z, f"decoder.fc{i}"))
    z = z.reshape(-1, 32, 4, 4)
    for i in (1, 2, 3):
        z = relu(transposed(z, f"decoder.deconv{i}"))
    return {"mean": mean, "log_var": log_var, "decoded": transposed(z, "decoder.deconv4")}


def model(checkpoint, reference):
    reference = dict(numpy.load(reference))
    compile(documented("vae.py"), "vae.py", "exec")
    lines = [line for line in documented("vae.py").splitlines() if line.strip()]
    assert len(lines) <= 22, f"the module that docs/python.md calls short has {len(lines)} lines"
    try:
        import torch
    except (ImportError, OSError):
        found, how = in_numpy(checkpoint, reference), "in numpy (no PyTorch here)"
    else:
        found, how = in_torch(torch, checkpoint, reference), f"in PyTorch {torch.__version__}, the module of docs/python.md"
    differences = [f"{name} {worst(name, found[name], reference[name]):.1e}" for name in found]
    print(f"{how}: largest differences: {', '.join(differences)}")


def curves(run):
    file = Path(run) / "metrics.csv"
    summary = json.loads((Path(run) / "summary.json").read_text(encoding="utf-8"))
    with open(file, newline="", encoding="utf-8") as rows:
        points = {(int(row["step"]), row["tag"]): float(row["value"]) for row in csv.DictReader(rows)}
    last = {tag: value for (_, tag), value in points.items()}
    # The summary's last values are the file's last rows.
    for tag, value in summary["scalars"].items():
        assert value is None or last[tag] == value, f"{tag}: {last[tag]} in metrics.csv, {value} in summary.json"
    try:
        import pandas
    except ImportError:
        print(f"in csv (no pandas here): {len(points)} points of {len(last)} curves")
        return
    table = pandas.read_csv(file).pivot(index="step", columns="tag", values="value")
    assert sorted(table.columns) == sorted(last) and table.notna().sum().sum() == len(points)
    assert all(table.loc[step, tag] == value for (step, tag), value in points.items())
    print(f"in pandas {pandas.__version__}: {len(points)} points of {len(last)} curves")


def sprites(file):
    # disentangling-vae, utils/datasets.py, DSprites.
    archive = numpy.load(file)
    images, values = archive["imgs"], archive["latents_values"]
    sample = numpy.expand_dims(images[1] * 255, axis=-1)
    assert sample.shape == (64, 64, 1) and sample.dtype == numpy.uint8 and set(numpy.unique(sample)) == {0, 255}
    assert values.shape == (len(images), 6) and values.dtype == numpy.float64

    # disentanglement_lib, data/ground_truth/dsprites.py; images are found by the products of the sizes.
    with open(file, "rb") as opened:
        data = numpy.load(opened, encoding="latin1", allow_pickle=True)
        images = numpy.array(data["imgs"])
        sizes = numpy.array(data["metadata"][()]["latents_sizes"], dtype=numpy.int64)
    bases = numpy.prod(sizes) / numpy.cumprod(sizes)
    assert bases[-1] == 1 and numpy.prod(sizes) == len(images)

    # The official notebook: sizes[::-1].cumprod() wants an array, and classes and names are read too.
    data = numpy.load(file, allow_pickle=True, encoding="bytes")
    classes, metadata = data["latents_classes"], data["metadata"][()]
    sizes = metadata["latents_sizes"]
    bases = numpy.concatenate((sizes[::-1].cumprod()[::-1][1:], numpy.array([1])))
    assert metadata["latents_names"] == ("color", "shape", "scale", "orientation", "posX", "posY") == tuple(data["latents_names"])
    for factor, name in enumerate(metadata["latents_names"]):
        possible = metadata["latents_possible_values"][name]
        levels = numpy.unique(classes[:, factor])
        assert len(possible) == len(levels) == sizes[factor] == data["latents_sizes"][factor]
        # The index of an image is the scalar product of its levels, counted within the file, with the bases.
        within = numpy.searchsorted(levels, classes[:, factor])
        assert numpy.array_equal(possible[within], values[:, factor])
        assert numpy.array_equal(numpy.arange(len(images)) // bases[factor] % sizes[factor], within)
    print(f"{len(images)} images, sizes {sizes.tolist()}: as disentangling-vae, disentanglement_lib and the notebook read them")


def main(arguments):
    kinds = {"model": (model, 2), "curves": (curves, 1), "sprites": (sprites, 1)}
    if not arguments or arguments[0] not in kinds or len(arguments) != 1 + kinds[arguments[0]][1]:
        print(__doc__.strip())
        return 2
    kinds[arguments[0]][0](*arguments[1:])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

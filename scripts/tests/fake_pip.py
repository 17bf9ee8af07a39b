"""A small stand-in for pip, and the packages that it installs, for setup_test.sh.

Installed as the module `pip` of a test's virtual environment. It knows `--version`, `download` and `install` with the options
that set-up gives, writes file by file with the RECORD last, as pip does, and pauses between files so that a kill finds it at
work. FAKE_INDEX is the folder of wheels that `download` takes from; FAKE_PIP_SAYS makes it fail with those words.

    python fake_pip.py index FOLDER        makes the wheels
    python fake_pip.py environment VENV    installs this file as the pip of a virtual environment
"""

import os
import shutil
import sys
import time
import zipfile
from pathlib import Path


def wheel(folder, name, version, files):
    info = f"{name}-{version}.dist-info"
    files = {f"{info}/METADATA": f"Name: {name}\n"} | files
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
        archive.writestr(f"{info}/RECORD", "".join(f"{path},sha256=x,{len(text)}\n" for path, text in files.items()))


def make_index(folder):
    folder.mkdir(parents=True)
    for version in ("2.11.0", "2.12.0"):
        torch = {"torch/version.py": f"__version__ = '{version}+cu130'\n", "torch/include/ATen/ATen.h": "//\n"}
        torch["torch/include/torch/csrc/api/include/torch/torch.h"] = "//\n"
        torch |= {f"torch/lib/libtorch{part}.so": part * 100 for part in ("_cpu", "_cuda")}
        torch |= {f"torch/part{number}.txt": "x" * number for number in range(100)}
        wheel(folder, "torch", version, torch)
    cuda = {"nvidia/cu13/lib/libcudart.so.13": "library", "nvidia/cu13/include/crt/host_defines.h": "//\n"}
    wheel(folder, "nvidia_base", "1.0", cuda)
    wheel(folder, "nvidia_more", "1.0", {"nvidia/more/lib.so": "library"})
    wheel(folder, "tensorboard", "1.0", {"tensorboard/version.py": "VERSION = '1.0'\n", "tensorboard/webfiles.zip": "zip"})


def make_environment(venv):
    site = next(venv.glob("lib/python3.*/site-packages"))
    info = site / "pip-1.0.dist-info"
    for folder in (site / "pip", info):
        folder.mkdir()
    (site / "pip" / "__init__.py").write_text("")
    shutil.copy(__file__, site / "pip" / "__main__.py")
    (info / "RECORD").write_text("pip/__init__.py,,0\npip/__main__.py,,\n")


def download(destination, specs):
    for spec in specs:
        name, version = spec.replace("-", "_").split("==")
        time.sleep(0.05)
        try:
            shutil.copy(next(Path(os.environ["FAKE_INDEX"]).glob(f"{name}-{version}-*.whl")), destination)
        except StopIteration:
            sys.exit(f"ERROR: No matching distribution found for {spec}")


def install(wheels, specs):
    site = Path(__file__).parent.parent
    for spec in specs:
        name, version = spec.replace("-", "_").split("==")
        for old in site.glob(f"{name}-*.dist-info"):
            for line in (old / "RECORD").read_text().splitlines():
                (site / line.split(",")[0]).unlink()
            shutil.rmtree(old)
        with zipfile.ZipFile(next(wheels.glob(f"{name}-{version}-*.whl"))) as archive:
            for path in archive.namelist():
                time.sleep(0.001)
                archive.extract(path, site)


def main(arguments):
    if "FAKE_PIP_SAYS" in os.environ and {"download", "install"} & set(arguments):
        sys.exit(os.environ["FAKE_PIP_SAYS"])
    specs = [argument for argument in arguments if "==" in argument]
    if arguments[0] == "index":
        make_index(Path(arguments[1]))
    elif arguments[0] == "environment":
        make_environment(Path(arguments[1]))
    elif "download" in arguments:
        download(arguments[arguments.index("--dest") + 1], specs)
    elif "install" in arguments:
        install(Path(arguments[arguments.index("--find-links") + 1]), specs)


if __name__ == "__main__":
    main(sys.argv[1:])

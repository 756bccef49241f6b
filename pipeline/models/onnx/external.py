"""Numbers that an ONNX file keeps in other files beside it (ONNX calls them external data)."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from pipeline.errors import ModelError

_MOST_BYTES = 4 << 30


def external_file(model: Path, location: str) -> Path:
    """The file that a tensor's ``location`` names: below the model's own folder, and really there.

    Args:
        model: the ONNX file.
        location: as it says, relative to its folder.

    Raises:
        ModelError: a path that leaves the folder, also through a link; none, or no ordinary file.
    """
    parts = PurePosixPath(location.replace("\\", "/"))
    if not location or parts.is_absolute() or ".." in parts.parts or ":" in location or "\0" in location:
        raise ModelError(f"{model}: keeps numbers in {location!r:.200}, outside its folder, which is refused.")
    folder = model.resolve().parent
    path = folder / Path(*parts.parts)
    try:
        real = path.resolve(strict=True)
        inside = real.is_relative_to(folder) and real.is_file()
        size = real.stat().st_size
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle
        raise ModelError(
            f"{model}: its numbers are in {location!r:.200}, which is not there; put that file beside it."
        ) from error
    if not inside:
        raise ModelError(f"{model}: {location!r:.200} leads out of its folder or to no ordinary file, refused.")
    if size > _MOST_BYTES:
        raise ModelError(f"{model}: {location!r:.200} has {size:,} bytes, more than the {_MOST_BYTES:,} that are read.")
    return real

"""Writes the small files beside it with PyTorch itself (2.13):

python tests/pipeline/models/weights/torch_files/make.py
"""

from __future__ import annotations

import collections
import importlib
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent


def main() -> None:
    """Write the files."""
    torch: Any = importlib.import_module("torch")
    whole = torch.arange(24, dtype=torch.float32)
    tensors = collections.OrderedDict(
        {
            "matrix": whole.view(4, 6),
            "turned": whole.view(4, 6).t(),
            "part": whole.view(4, 6)[1:, ::2],
            "integers": torch.arange(-2, 3),
            "half": torch.tensor([0.5, -2.0]).half(),
            "brain": torch.tensor([0.5, -3.0, 1e30]).bfloat16(),
            "double": torch.tensor([0.1], dtype=torch.float64),
            "scalar": torch.tensor(7),
            "empty": torch.empty(0, 3),
            "flags": torch.tensor([True, False]),
            "parameter": torch.nn.Parameter(torch.tensor([1.5])),
        }
    )
    torch.save(tensors, FOLDER / "tensors.pt")
    torch.save(tensors, FOLDER / "tensors-legacy.pth", _use_new_zipfile_serialization=False)
    layer = torch.nn.Linear(1, 1)
    layer.weight.data.fill_(2)
    layer.bias.data.fill_(3)
    optimizer = torch.optim.Adam(layer.parameters())
    layer(torch.ones(1, 1)).sum().backward()
    checkpoint = {
        "epoch": 3,
        "loss": 0.5,
        "optimizer": optimizer.state_dict(),
        "state_dict": {f"module.{name}": value for name, value in layer.state_dict().items()},
    }
    torch.save(checkpoint, FOLDER / "checkpoint.pt")
    torch.save(layer, FOLDER / "whole-model.pt")
    torch.jit.script(layer).save(str(FOLDER / "script.pt"))


if __name__ == "__main__":
    main()

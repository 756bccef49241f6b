"""What the processor is and how many of its cores there are to use; looks, and imports nothing heavy."""

from __future__ import annotations

import math
import os
import platform
from dataclasses import dataclass
from pathlib import Path

from pipeline.cpu_quota import cpu_quota

_CPUINFO = Path("/proc/cpuinfo")


def processor_cores() -> int:
    """Processor cores on which this process may run."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def available_threads(root: Path = Path("/")) -> int:
    """Threads that this process can keep busy: as many as cores it may run on, but not more than its container allows.

    Costs some tenths of a millisecond; a limit may change at any time.

    Args:
        root: as of `cpu_quota`.
    """
    cores, quota = processor_cores(), cpu_quota(root)
    return cores if quota is None else min(cores, max(1, math.ceil(quota)))


def cpu_has_bfloat16(cpuinfo: Path = _CPUINFO) -> bool:
    """Whether the processor computes in bfloat16 (AVX512-BF16 or AMX), as far as the system says."""
    # Elsewhere than on Linux there is nothing to read, and no such processor that TensorFlow supports.
    flags = _field("flags", cpuinfo).split()
    return "avx512_bf16" in flags or "amx_bf16" in flags


def cpu_name(cpuinfo: Path = _CPUINFO) -> str:
    """What the processor is called, with its instructions for networks, which virtual machines may hide."""
    flags = set(_field("flags", cpuinfo).split())
    told = [flag for flag in ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8") if flag in flags]
    name = _field("model name", cpuinfo) or platform.processor() or platform.machine()
    return " ".join([name, *told])


def _field(name: str, cpuinfo: Path) -> str:
    """The first value of that name; empty where the system tells none."""
    try:
        description = cpuinfo.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    for line in description.splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return ""


def has_gpu_device() -> bool:
    """Whether there is the device of a GPU that TensorFlow may use. Whether it can, only TensorFlow tells."""
    return any(Path(device).exists() for device in ("/dev/nvidia0", "/dev/kfd"))


_CORES_PER_MEGAPIXEL = 8


@dataclass(frozen=True, slots=True)
class CpuBudget:
    """Threads of decoders and encoders on a machine of so many cores.

    Attributes:
        cores: that this process may use.
    """

    cores: int

    @classmethod
    def of_this_machine(cls) -> CpuBudget:
        """For the cores that this process may use."""
        return cls(available_threads())

    def decode(self, width: int, height: int) -> int:
        """Threads of the decoder for pictures of that size in pixels."""
        return self._for_pixels(width, height)

    def encode(self, width: int, height: int) -> int:
        """Threads of the encoder for pictures of that size in pixels."""
        return self._for_pixels(width, height)

    def _for_pixels(self, width: int, height: int) -> int:
        wanted = round(width * height / 1_000_000 * self.cores / _CORES_PER_MEGAPIXEL)
        return max(1, min(self.cores, wanted))

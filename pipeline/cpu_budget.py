"""How the processor's cores are shared between the stages that have threads of their own.

The network gets every core: it is most of the work, and the other stages run beside it. Of a file each core has a batch
of its own (`pipeline.look_ahead`), so none waits for another that decodes or encodes just now. A decoder or encoder
gets one thread for small pictures, since handing frames to more costs more than it gains and takes cores from the
network; for large pictures enough to keep up, but never more than there are cores. benchmarks/README.md has the
measurements.
"""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.processor import available_threads

_CORES_PER_MEGAPIXEL = 8


@dataclass(frozen=True, slots=True)
class CpuBudget:
    """Threads per stage on a machine of so many cores.

    Attributes:
        cores: that this process may use.
    """

    cores: int

    @classmethod
    def of_this_machine(cls) -> CpuBudget:
        """For the cores that this process may use."""
        return cls(available_threads())

    @property
    def network(self) -> int:
        """Threads of the network."""
        return self.cores

    def decode(self, width: int, height: int) -> int:
        """Threads of the decoder for pictures of that size in pixels."""
        return self._for_pixels(width, height)

    def encode(self, width: int, height: int) -> int:
        """Threads of the encoder for pictures of that size in pixels."""
        return self._for_pixels(width, height)

    def _for_pixels(self, width: int, height: int) -> int:
        wanted = round(width * height / 1_000_000 * self.cores / _CORES_PER_MEGAPIXEL)
        return max(1, min(self.cores, wanted))

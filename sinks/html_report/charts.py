"""The charts of the report, as SVG text. Colours come from the page's style: ``c0`` to ``c7`` are its series."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

_WIDTH, _HEIGHT = 760, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 12, 12, 34


def time_text(seconds: float) -> str:
    """``1:05`` or ``2:00:05``."""
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def duration_text(seconds: float) -> str:
    """``4.2 s``, ``3 min 5 s`` or ``2 h 10 min``."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{int(seconds // 60)} min {int(seconds % 60)} s"
    return f"{int(seconds // 3600)} h {int(seconds // 60 % 60)} min"


def ticks(highest: float, most: int, *, whole: bool = False) -> list[float]:
    """Round numbers from 0 to at least ``highest``, not more than about ``most``."""
    if highest <= 0:
        return [0.0, 1.0]
    rough = highest / most
    scale = 10.0 ** math.floor(math.log10(rough))
    step = next(scale * factor for factor in (1, 2, 5, 10) if scale * factor >= rough * 0.999)
    if whole:
        step = max(1.0, step)
    return [step * index for index in range(math.ceil(highest / step - 1e-9) + 1)]


def time_ticks(length_s: float, most: int = 8) -> list[float]:
    """Times to label on an axis from 0."""
    steps = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400)
    step = next((step for step in steps if length_s / step <= most), steps[-1] * math.ceil(length_s / 86_400 / most))
    return [float(step * index) for index in range(int(length_s / step) + 1)]


def curves(
    starts_s: NDArray[np.float64],
    step_s: float,
    length_s: float,
    series: Mapping[str, NDArray[np.float64]],
    colours: Mapping[str, int],
) -> str:
    """Stepped lines over time, one per class, with gaps where nothing was observed."""
    highest = max((float(values.max()) for values in series.values()), default=0.0)
    levels = ticks(highest, 4)
    length_s = max(length_s, float(starts_s[-1]) + step_s, 1e-9)

    def x(seconds: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * seconds / length_s

    def y(value: float) -> float:
        return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * value / levels[-1]

    parts = [_level(y(level), f"{level:g}") for level in levels]
    parts += [
        f'<text class="axis" x="{x(at):.1f}" y="{_HEIGHT - 12}" text-anchor="middle">{time_text(at)}</text>'
        for at in time_ticks(length_s)
    ]
    for name, values in series.items():
        path, after = [], math.nan
        for start_s, value in zip(starts_s.tolist(), values.tolist(), strict=True):
            begin = "L" if start_s == after else "M"
            after = start_s + step_s
            end_s = min(after, length_s)
            path.append(f"{begin}{x(start_s):.1f} {y(value):.1f}H{x(end_s):.1f}")
        parts.append(f'<path class="curve c{colours[name]}" d="{"".join(path)}"/>')
    # Invisible columns that show the numbers where the pointer is.
    for index, start_s in enumerate(starts_s.tolist()):
        numbers = "\n".join(f"{name}: {values[index]:.2f}" for name, values in series.items())
        end_s = min(start_s + step_s, length_s)
        parts.append(
            f'<rect class="touch" x="{x(start_s):.1f}" y="{_TOP}" width="{x(end_s) - x(start_s):.2f}" '
            f'height="{_HEIGHT - _TOP - _BOTTOM}"><title>{time_text(start_s)}\n{escape(numbers)}</title></rect>'
        )
    return _svg(_WIDTH, _HEIGHT, "Objects at once over time, per class", parts)


def histogram(values: NDArray[np.float64], label: str) -> str:
    """How many of the durations fall where, in seconds; the longest two percent share the last bar."""
    width, height = 460, 220
    marks = ticks(max(float(np.percentile(values, 98)), 1.0), 10)
    edges = np.array(marks)
    counts = np.bincount(
        np.minimum((values / edges[1]).astype(np.int64), len(edges) - 2), minlength=len(edges) - 1
    ).tolist()
    levels = ticks(max(counts), 4, whole=True)
    slot = (width - _LEFT - _RIGHT) / len(counts)
    parts = [_level(_bar_y(level, levels, height), f"{level:g}", width) for level in levels]
    over = float(values.max()) > edges[-1]
    for index, count in enumerate(counts):
        left, top = _LEFT + slot * index, _bar_y(count, levels, height)
        last = over and index == len(counts) - 1
        span = f"{edges[index]:g} s or more" if last else f"{edges[index]:g} to {edges[index + 1]:g} s"
        parts.append(
            f'<path class="bar" d="{_bar(left + 1, top, slot - 2, height - _BOTTOM - top)}">'
            f"<title>{span}: {count}</title></path>"
        )
        if last or (index % (1 if len(counts) <= 8 else 2) == 0 and not (over and index == len(counts) - 2)):
            parts.append(_mark(left, height, f"{'≥ ' if last else ''}{edges[index]:g}{' s' if last else ''}"))
    if not over:
        parts.append(_mark(width - _RIGHT, height, f"{edges[-1]:g} s", "end"))
    return _svg(width, height, label, parts)


def crossings(lines: Mapping[str, Mapping[str, Mapping[str, int]]], colours: Mapping[str, int]) -> str:
    """Bars of the crossings of each line, in and out, made of the classes."""
    rows = [
        (line, direction, [(name, counts.get(direction, 0)) for name, counts in classes.items()])
        for line, classes in lines.items()
        for direction in ("in", "out")
    ]
    label, number, row = 170, 52, 26
    height = row * len(rows) + 8 * len(lines)
    highest = max(sum(count for _, count in parts) for _, _, parts in rows)
    scale = (_WIDTH - label - number) / max(highest, 1)
    parts = []
    for index, (line, direction, counts) in enumerate(rows):
        top = row * index + 8 * (index // 2)
        if direction == "in":
            name = line if len(line) <= 18 else f"{line[:17]}…"
            parts.append(f'<text class="label" x="0" y="{top + 17}">{escape(name)}</text>')
        parts.append(f'<text class="axis" x="{label - 10}" y="{top + 17}" text-anchor="end">{direction}</text>')
        left = float(label)
        for name, count in counts:
            if count:
                length = count * scale
                parts.append(
                    f'<rect class="fill c{colours[name]}" x="{left:.1f}" y="{top + 4}" '
                    f'width="{max(length - 1.5, 0.5):.1f}" height="18" rx="2">'
                    f"<title>{escape(f'{line}, {direction}: {count} × {name}')}</title></rect>"
                )
                left += length
        total = sum(count for _, count in counts)
        parts.append(f'<text class="number" x="{left + 6:.1f}" y="{top + 18}">{total}</text>')
    return _svg(_WIDTH, height, "Crossings of each line, in and out", parts)


def _bar_y(value: float, levels: Sequence[float], height: int) -> float:
    return height - _BOTTOM - (height - _TOP - _BOTTOM) * value / levels[-1]


def _bar(left: float, top: float, width: float, height: float) -> str:
    """A bar that stands on its baseline, rounded at its free end."""
    radius = min(3.0, width / 2, height)
    return (
        f"M{left:.1f} {top + height:.1f}v{radius - height:.1f}q0 {-radius:.1f} {radius:.1f} {-radius:.1f}"
        f"h{width - 2 * radius:.1f}q{radius:.1f} 0 {radius:.1f} {radius:.1f}v{height - radius:.1f}z"
    )


def _level(y: float, text: str, width: int = _WIDTH) -> str:
    return (
        f'<path class="grid" d="M{_LEFT} {y:.1f}H{width - _RIGHT}"/>'
        f'<text class="axis" x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{text}</text>'
    )


def _mark(x: float, height: int, text: str, anchor: str = "middle") -> str:
    return f'<text class="axis" x="{x:.1f}" y="{height - 12}" text-anchor="{anchor}">{text}</text>'


def _svg(width: int, height: int, label: str, parts: Sequence[str]) -> str:
    body = "".join(parts)
    return f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}">{body}</svg>'

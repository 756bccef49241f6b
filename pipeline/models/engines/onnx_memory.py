"""How much memory a network's intermediate results take, found by the shapes alone, before anything is computed.

A file of a kilobyte can ask for a terabyte: one enlargement by a large factor is enough.

Importing this module does not import OpenVINO.
"""

from __future__ import annotations

import math
from typing import Any

MOST_BYTES = 8 << 30
"""For all the pictures that are computed at a time."""

_WITH_BODIES = ("If", "Loop", "TensorIterator")


def needed_bytes(model: Any) -> int:
    """Bytes of the intermediate results of an ``openvino.Model`` that have to be there at the same time, at the most.

    Operations are taken in their order; a result is there from the operation that makes it to the last one that reads
    it. The file's own numbers don't count. Of a side that depends on the data the largest that it can be counts, if
    there is one; where nothing can be told of it, it counts as 1.
    """
    order = model.get_ordered_ops()
    last: dict[tuple[int, int], int] = {}
    places = {_number(op): place for place, op in enumerate(order)}
    for place, op in enumerate(order):
        for source in op.input_values():
            last[places[_number(source.get_node())], source.get_index()] = place
    ends: dict[int, int] = {}
    alive = most = 0
    for place, op in enumerate(order):
        if op.get_type_name() != "Constant":
            for index, output in enumerate(op.outputs()):
                size = _bytes(output)
                alive += size
                end = last.get((place, index), place)
                ends[end] = ends.get(end, 0) + size
        most = max(most, alive + sum(needed_bytes(body) for body in _bodies(op)))
        alive -= ends.pop(place, 0)
    return most


def _number(op: Any) -> str:
    name: str = op.get_name()  # the only one of its kind in a model
    return name


def _bytes(output: Any) -> int:
    shape = output.get_partial_shape()
    if shape.rank.is_dynamic:
        return 0
    # Going over a shape any other way than by index takes OpenVINO forty microseconds, and networks have thousands.
    count = shape.rank.get_length()
    if shape.is_static:
        static = output.get_shape()
        sides = [static[index] for index in range(count)]
    else:
        sides = [max(1, shape[index].get_max_length()) for index in range(count)]
    elements: int = math.prod(sides)
    return elements * max(1, int(output.get_element_type().size))


def _bodies(op: Any) -> list[Any]:
    """The networks inside an operation: branches, and what loops repeat."""
    kind = op.get_type_name()
    if kind == "If":
        return [op.get_then_body(), op.get_else_body()]
    return [op.get_function()] if kind in _WITH_BODIES else []

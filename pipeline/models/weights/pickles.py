"""A reader of the pickles inside PyTorch's files that can run nothing.

A pickle is a program for a small stack machine, and Python's own reader lets that program call anything. This one knows
the instructions that a dictionary of tensors needs, and of all names in the world those few by which PyTorch writes
such a dictionary; it builds plain values and descriptions of tensors. Any other name or instruction is refused, by
name, before anything else happens. Neither `pickle` nor PyTorch is imported.

What a file can cost is bounded: the pickle's length, the number of its instructions, and the kinds of keys (hashing a
nest of tuples could take for ever).
"""

from __future__ import annotations

import math
import pickletools
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NoReturn

import numpy as np

from pipeline.errors import ModelError

MOST_INSTRUCTIONS = 1_000_000
"""A state dict of a thousand tensors has about 30,000."""

MOST_DIMENSIONS = 16
_LARGEST_KEY = 2**63
_LARGEST_INTEGER_BYTES = 16
_LARGEST_EMPTY_SIDE = 2**31


@dataclass(frozen=True, slots=True)
class Storage:
    """A block of numbers that tensors are cut from.

    Attributes:
        key: names the block within the file.
        dtype: of its numbers as they lie in the file, in native byte order.
        count: how many they are.
        bfloat16: whether each is the upper half of a float32; ``dtype`` is uint16 then.
    """

    key: str
    dtype: np.dtype[np.generic]
    count: int
    bfloat16: bool = False


@dataclass(frozen=True, slots=True)
class Tensor:
    """A part of a storage; all in numbers, not bytes. It lies within the storage and repeats none of its numbers."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Name:
    """Something the pickle refers to by name: one of those below."""

    name: str


_STORAGES: dict[str, tuple[str, bool]] = {
    "torch.DoubleStorage": ("f8", False),
    "torch.FloatStorage": ("f4", False),
    "torch.HalfStorage": ("f2", False),
    "torch.BFloat16Storage": ("u2", True),
    "torch.LongStorage": ("i8", False),
    "torch.IntStorage": ("i4", False),
    "torch.ShortStorage": ("i2", False),
    "torch.CharStorage": ("i1", False),
    "torch.ByteStorage": ("u1", False),
    "torch.BoolStorage": ("?", False),
}
_FUNCTIONS = (
    "collections.OrderedDict",
    "torch.Size",
    "torch._utils._rebuild_tensor",
    "torch._utils._rebuild_tensor_v2",
    "torch._utils._rebuild_parameter",
)
_MARK = object()


class Unpickler:
    """Reads pickles one after the other from ``content``.

    Args:
        content: all of it.
        where: what messages begin with.

    Attributes:
        position: where the next pickle begins.
        storages: every storage that the pickles have referred to, by key.
    """

    def __init__(self, content: bytes, where: str) -> None:
        self.position = 0
        self.storages: dict[str, Storage] = {}
        self._content = content
        self._where = where
        self._stack: list[object] = []
        self._memo: dict[int, object] = {}

    def load(self) -> object:
        """The next pickle's value: None, bool, int, float, str, tuple, list, dict or `Tensor`, and nests of these.

        Raises:
            ModelError: it is damaged, or asks for more than that.
        """
        self._stack, self._memo = [], {}
        begun = self.position
        try:
            for _ in range(MOST_INSTRUCTIONS):
                code = self._take(1)
                if code == b".":
                    return self._stack.pop()
                self._run(code)
        except (IndexError, KeyError, struct.error, UnicodeDecodeError) as error:
            raise self._damaged(f"at byte {self.position}") from error
        finally:
            self._stack, self._memo = [], {}
        raise ModelError(
            f"{self._where}: the pickle at byte {begun} has more than {MOST_INSTRUCTIONS:,} instructions; refused."
        )

    def _run(self, code: bytes) -> None:
        if code in _CONSTANTS:
            self._stack.append(_CONSTANTS[code])
        elif code in b"(" or code in b"}]":
            self._stack.append({b"(": _MARK, b"}": {}, b"]": []}[code])
        elif code in _NUMBERS:
            layout = _NUMBERS[code]
            self._stack.append(layout.unpack(self._take(layout.size))[0])
        elif code in _TEXTS:
            layout = _TEXTS[code]
            self._stack.append(self._take(layout.unpack(self._take(layout.size))[0]).decode())
        elif code in _MEMOS:
            self._use_memo(code, _MEMOS[code])
        elif code in b"\x80\x95":  # the protocol's number; the length of a frame
            self._take(1 if code == b"\x80" else 8)
        elif code == b"\x8a":
            self._stack.append(self._long())
        elif code in b"t\x85\x86\x87":
            self._stack.append(self._tuple(code))
        elif code in b"aesu":
            self._fill(code)
        elif code in b"cQRb\x93i":
            self._build(code)
        else:
            self._refuse_instruction(code)

    def _use_memo(self, code: bytes, layout: struct.Struct) -> None:
        index = layout.unpack(self._take(layout.size))[0] if layout.size else len(self._memo)
        if code in b"hj":
            self._stack.append(self._memo[index])
        else:
            self._memo[index] = self._stack[-1]

    def _long(self) -> int:
        size = self._take(1)[0]
        if size > _LARGEST_INTEGER_BYTES:
            raise self._damaged(f"an integer of {size} bytes")
        return int.from_bytes(self._take(size), "little", signed=True)

    def _tuple(self, code: bytes) -> tuple[object, ...]:
        if code == b"t":
            return tuple(self._pop_to_mark())
        count = code[0] - 0x84
        values = self._stack[-count:]
        if len(values) != count:
            raise self._damaged("a tuple without its items")
        del self._stack[-count:]
        return tuple(values)

    def _pop_to_mark(self) -> list[object]:
        for index in range(len(self._stack) - 1, -1, -1):
            if self._stack[index] is _MARK:
                values = self._stack[index + 1 :]
                del self._stack[index:]
                return values
        raise self._damaged("items without a beginning")

    def _fill(self, code: bytes) -> None:
        """Add items to the list or the dictionary below them."""
        values = self._pop_to_mark() if code in b"eu" else [self._stack.pop() for _ in range(1 + (code == b"s"))][::-1]
        target = self._stack[-1]
        if code in b"ae":
            if not isinstance(target, list):
                raise self._damaged("an item added to what is no list")
            target.extend(values)
            return
        if not isinstance(target, dict) or len(values) % 2:
            raise self._damaged("an entry added to what is no dictionary")
        self._set_items(target, zip(values[::2], values[1::2], strict=True))

    def _set_items(self, target: dict[object, object], items: Iterable[tuple[object, object]]) -> None:
        for key, value in items:
            if not isinstance(key, str | int | float | None) or (isinstance(key, int) and abs(key) > _LARGEST_KEY):
                raise self._damaged("a key that is neither text nor a number")
            target[key] = value

    def _build(self, code: bytes) -> None:
        """The instructions that can run something in Python's own reader."""
        if code in b"ci":  # by name, in two lines of text
            module, name = self._line(), self._line()
            self._stack.append(self._name(f"{module}.{name}"))
            if code == b"i":
                self._refuse_instruction(code)
        elif code == b"\x93":
            attribute, parent = self._stack.pop(), self._stack.pop()
            self._stack.append(self._name(f"{parent}.{attribute}"))
        elif code == b"Q":
            self._stack.append(self._storage(self._stack.pop()))
        elif code == b"R":
            arguments, function = self._stack.pop(), self._stack.pop()
            if not isinstance(arguments, tuple) or not isinstance(function, _Name):
                raise self._damaged("a call of what is no function")
            self._stack.append(self._call(function.name, arguments))
        else:  # the attributes of an OrderedDict: versions of the layers, which nobody needs
            state = self._stack.pop()
            if not isinstance(state, dict) or not isinstance(self._stack[-1], dict):
                raise ModelError(f"{self._where}: the file sets the state of what is no dictionary; refused.")

    def _name(self, name: str) -> _Name:
        if name not in _FUNCTIONS and name not in _STORAGES:
            raise ModelError(
                f"{self._where}: the file asks to run {_shown(name)}, which weights have no need of; refused. If you "
                "trust it, load it with PyTorch and save its state_dict()."
            )
        return _Name(name)

    def _storage(self, described: object) -> Storage:
        """A storage by its persistent id: ``("storage", type, key, device, count)``, in old files with a view or None
        at the end."""
        match described:
            case ("storage", _Name(kind), str(key), str(), int(count)) if kind in _STORAGES and count >= 0:
                pass
            case ("storage", _Name(kind), str(key), str(), int(count), None) if kind in _STORAGES and count >= 0:
                pass
            case _:
                raise self._damaged("a storage that is not described as PyTorch does")
        format_, bfloat16 = _STORAGES[kind]
        storage = Storage(key, np.dtype(format_), count, bfloat16)
        if self.storages.setdefault(key, storage) != storage:
            raise self._damaged(f"storage {_shown(key)} is described in two ways")
        return storage

    def _call(self, function: str, arguments: tuple[object, ...]) -> object:
        match function, arguments:
            case "collections.OrderedDict", ():
                return {}
            case "collections.OrderedDict", (list(pairs),):
                made: dict[object, object] = {}
                self._set_items(made, (self._pair(pair) for pair in pairs))
                return made
            case "torch.Size", (tuple(sides),):
                return sides
            case "torch._utils._rebuild_parameter", (Tensor() as tensor, *_):
                return tensor
            case (
                ("torch._utils._rebuild_tensor" | "torch._utils._rebuild_tensor_v2"),
                (Storage() as storage, int(offset), tuple(shape), tuple(strides), *_),
            ):
                return self._tensor(storage, offset, shape, strides)
        raise self._damaged(f"{function} with arguments that PyTorch does not give")

    def _pair(self, pair: object) -> tuple[object, object]:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise self._damaged("an entry that is no pair")
        return pair[0], pair[1]

    def _tensor(self, storage: Storage, offset: int, shape: tuple[object, ...], strides: tuple[object, ...]) -> Tensor:
        sides = tuple(side for side in shape if type(side) is int and side >= 0)
        steps = tuple(step for step in strides if type(step) is int and step >= 0)
        if not len(sides) == len(shape) == len(steps) == len(strides) <= MOST_DIMENSIONS or offset < 0:
            raise self._damaged("a tensor with an impossible shape")
        if math.prod(sides):
            last = offset + sum((side - 1) * step for side, step in zip(sides, steps, strict=True))
            if last >= storage.count or math.prod(sides) > storage.count:
                raise self._damaged(f"a tensor {_shown(str(sides))} reaches beyond its {storage.count:,} numbers")
        elif math.prod(max(side, 1) for side in sides) > _LARGEST_EMPTY_SIDE:
            raise self._damaged("a tensor with an impossible shape")
        return Tensor(storage, offset, sides, steps)

    def _refuse_instruction(self, code: bytes) -> NoReturn:
        known = {operation.code: operation.name for operation in pickletools.opcodes}.get(code.decode("latin-1"))
        if known is None:
            raise self._damaged(f"byte {code[0]} at {self.position - 1} is no instruction")
        raise ModelError(
            f"{self._where}: the file holds the pickle instruction {known}, which weights have no need of; "
            "refused. If you trust it, load it with PyTorch and save its state_dict()."
        )

    def _take(self, count: int) -> bytes:
        end = self.position + count
        if not self.position <= end <= len(self._content):
            raise self._damaged("it ends too early")
        taken = self._content[self.position : end]
        self.position = end
        return taken

    def _line(self) -> str:
        end = self._content.find(b"\n", self.position, self.position + 1024)
        if end < 0:
            raise self._damaged("a name without an end")
        line = self._content[self.position : end]
        self.position = end + 1
        return line.decode()

    def _damaged(self, what: str) -> ModelError:
        return ModelError(f"{self._where}: the list of its tensors is damaged: {what}.")


_CONSTANTS: dict[bytes, object] = {b"N": None, b"\x88": True, b"\x89": False, b")": ()}
_NUMBERS = {b"J": struct.Struct("<i"), b"K": struct.Struct("<B"), b"M": struct.Struct("<H"), b"G": struct.Struct(">d")}
# With the length before the text: BINUNICODE, its short and long forms, and Python 2's strings.
_TEXTS = {
    b"X": struct.Struct("<I"),
    b"\x8c": struct.Struct("<B"),
    b"\x8d": struct.Struct("<Q"),
    b"T": struct.Struct("<I"),
    b"U": struct.Struct("<B"),
}
_MEMOS = {
    b"q": struct.Struct("<B"),
    b"r": struct.Struct("<I"),
    b"\x94": struct.Struct(""),
    b"h": struct.Struct("<B"),
    b"j": struct.Struct("<I"),
}


def _shown(text: str) -> str:
    """A name from the file, cut to a readable length and without what a terminal would obey."""
    plain = "".join(character if character.isprintable() else "?" for character in text)
    return plain if len(plain) <= 80 else f"{plain[:77]}..."

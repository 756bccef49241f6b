"""Which shapes of input a model is compiled for, and when."""

from __future__ import annotations

from pipeline.models.engines import compiled_shapes
from pipeline.models.engines.compiled_shapes import CompiledShapes, Shape

OFTEN = compiled_shapes._OFTEN


class Compiler:
    """Compiles nothing, and notes for what."""

    def __init__(self) -> None:
        self.shapes: list[Shape | None] = []

    def __call__(self, shape: Shape | None) -> Compiler:
        self.shapes.append(shape)
        return self

    def create_infer_request(self) -> object:
        return object()


def use(shapes: CompiledShapes, shape: Shape) -> Shape:
    """Run inputs of a shape; returns the shape that they are filled up to."""
    fitting = shapes.fitting(shape)
    assert len(shapes.requests(fitting, 2)) == 2
    return fitting


def test_a_video_needs_its_own_shapes_only() -> None:
    compiler = Compiler()
    shapes = CompiledShapes(compiler, known=False)
    assert compiler.shapes == []
    for count in (1, 4, 4, 4, 3, 1, 2):
        assert use(shapes, (count, 64, 96, 3)) == ((1 if count == 1 else 4), 64, 96, 3)
    assert compiler.shapes == [(1, 64, 96, 3), (4, 64, 96, 3)]


def test_a_batch_that_is_small_often_gets_its_own() -> None:
    compiler = Compiler()
    shapes = CompiledShapes(compiler, known=False)
    use(shapes, (4, 64, 96, 3))
    filled = [use(shapes, (2, 64, 96, 3))[0] for _ in range(OFTEN + 2)]
    assert filled == [4] * (OFTEN - 1) + [2] * 3
    assert compiler.shapes == [(4, 64, 96, 3), (2, 64, 96, 3)]


def test_pictures_of_all_shapes_share_one() -> None:
    compiler = Compiler()
    shapes = CompiledShapes(compiler, known=False)
    for side in range(32, 640, 32):
        use(shapes, (1, side, 640, 3))
    assert compiler.shapes == [(1, 32, 640, 3), (1, 64, 640, 3), None]
    for _ in range(OFTEN):
        use(shapes, (1, 320, 640, 3))
    assert compiler.shapes[3:] == [(1, 320, 640, 3)]
    for side in range(64, 640, 32):
        for _ in range(OFTEN):
            use(shapes, (1, side, 640, 3))
    assert len(compiler.shapes) == compiled_shapes._MOST_SHAPES


def test_one_that_is_known_is_compiled_at_once() -> None:
    compiler = Compiler()
    shapes = CompiledShapes(compiler, known=True)
    assert use(shapes, (1, 64, 96, 3)) == (1, 64, 96, 3)
    assert compiler.shapes == [None]


def test_the_same_shapes_again() -> None:
    compiler, other = Compiler(), Compiler()
    shapes = CompiledShapes(compiler, known=False)
    for shape in ((1, 64, 96, 3), (4, 64, 96, 3), (1, 32, 32, 3)):
        use(shapes, shape)
    again = shapes.again(other)
    assert other.shapes == compiler.shapes == [(1, 64, 96, 3), (4, 64, 96, 3), None]
    use(again, (4, 64, 96, 3))
    assert len(other.shapes) == 3

"""What the numbers that networks compute have in common."""

from __future__ import annotations

import warnings

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipeline.models.network_output import sigmoid


@given(arrays(np.float32, (3, 4), elements=st.floats(width=32, allow_nan=False)))
def test_a_sigmoid_is_right_for_every_number_and_warns_of_none(logits: np.ndarray) -> None:
    with warnings.catch_warnings(), np.errstate(all="warn", under="ignore"):
        warnings.simplefilter("error")
        found = sigmoid(logits)
    assert found.dtype == np.float32
    assert found.shape == (3, 4)
    exact = 1 / (1 + np.exp(-np.clip(logits.astype(np.float64), -700, 700)))
    np.testing.assert_allclose(found, exact, rtol=1e-5, atol=1e-37)


def test_what_is_no_number_stays_so() -> None:
    assert np.isnan(sigmoid(np.array([np.nan], np.float32))).all()
    assert sigmoid(np.array([-np.inf, np.inf], np.float32)).tolist() == [0.0, 1.0]

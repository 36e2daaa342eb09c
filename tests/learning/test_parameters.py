"""The hash of the parameters: every parameter that shapes a model changes it, and no other."""

import re
from dataclasses import fields, replace

import pytest

from boursomatic_assets.learning.parameters import NOT_SHAPING, Parameters

SHAPING = [field.name for field in fields(Parameters) if field.name not in NOT_SHAPING]


def test_the_hash_is_a_sha256_in_hex_and_stable() -> None:
    assert re.fullmatch("[0-9a-f]{64}", Parameters().params_hash())
    assert Parameters().params_hash() == Parameters().params_hash()


@pytest.mark.parametrize("name", SHAPING)
def test_a_parameter_that_shapes_the_model_changes_the_hash(name: str) -> None:
    value = getattr(Parameters(), name)
    other = value[::-1] if name == "features" else value * 2
    assert replace(Parameters(), **{name: other}).params_hash() != Parameters().params_hash()


@pytest.mark.parametrize("name", NOT_SHAPING)
def test_threads_and_the_gate_do_not_change_the_hash(name: str) -> None:
    other = getattr(Parameters(), name) * 2
    assert replace(Parameters(), **{name: other}).params_hash() == Parameters().params_hash()


def test_each_horizon_has_its_volatility_limit() -> None:
    assert {horizon: Parameters().volatility_limit(horizon) for horizon in Parameters().horizons} == {
        10: None,
        20: 0.60,
        40: 0.35,
    }
    with pytest.raises(ValueError, match="not in tuple"):
        Parameters().volatility_limit(30)


def test_the_label_of_the_boosters_is_of_one_of_the_horizons() -> None:
    assert Parameters().horizon in Parameters().horizons


def test_hashes_of_different_parameters_differ_whatever_their_order() -> None:
    """10 sessions without a limit are not 20 without one."""
    limits = Parameters().volatility_limits
    assert replace(Parameters(), volatility_limits=limits[::-1]).params_hash() != Parameters().params_hash()


def test_no_feature_is_in_price_units() -> None:
    assert not {"momentum_5d", "atr_14"} & set(Parameters().features)

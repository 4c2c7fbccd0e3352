"""What is tried on a choice really reaches it."""

from __future__ import annotations

from src.decide.sensitivity import sensitivity
from tests.decide.test_speed import model, two


def test_ten_per_cent_more_latency_reaches_the_rounds_that_decide() -> None:
    decision = two([22.5, 22.6, 22.4, 22.5], [20.0, 20.1, 19.9, 20.0])
    assert model(decision) == "v8n"  # 11 % faster and good enough
    cases = {o.scenario.key: o for o in sensitivity(decision)}
    slowed = cases["case_slower_winner"]
    assert slowed.changed  # at 22 ms it is as fast as v11n, which is the more accurate one
    assert slowed.recommended is not None
    assert slowed.recommended.configuration.model == "v11n"
    assert not cases["case_slower"].changed  # all of them slower: nothing between them changes

"""Licences as SPDX expressions, and limits on them."""

from __future__ import annotations

import pytest

from src.common.errors import UserError
from src.common.licences import allowed, both, check_expression, check_limit


@pytest.mark.parametrize(
    ("expression", "limit", "fine"),
    [
        ("AGPL-3.0", "any", True),
        (None, "any", True),
        ("AGPL-3.0", "permissive", False),
        ("BSD-3-Clause", "permissive", True),
        ("apache-2.0", "permissive", True),
        (None, "permissive", False),
        ("", "permissive", False),
        ("no licence at all", "permissive", False),
        ("MIT", ["Apache-2.0", "MIT"], True),
        ("MIT", ["mit"], True),
        ("BSD-3-Clause", ["Apache-2.0", "MIT"], False),
        ("MIT AND Apache-2.0", "permissive", True),
        ("MIT AND AGPL-3.0", "permissive", False),
        ("MIT OR AGPL-3.0", "permissive", True),
        ("AGPL-3.0 OR MIT", ["MIT"], True),
        ("MIT AND (AGPL-3.0 OR Apache-2.0)", "permissive", True),
        ("(MIT OR AGPL-3.0) AND GPL-3.0-only", "permissive", False),
        ("Apache-2.0 WITH LLVM-exception", "permissive", True),
        ("AGPL-3.0", ["AGPL-3.0"], True),
    ],
)
def test_what_is_within_a_limit(expression: str | None, limit: str | list[str], fine: bool) -> None:
    assert allowed(expression, limit) is fine


def test_what_two_amount_to() -> None:
    assert both("AGPL-3.0", "AGPL-3.0") == "AGPL-3.0"
    assert both("BSD-3-Clause", "") == "BSD-3-Clause"
    assert both("BSD-3-Clause", "CC-BY-NC-4.0") == "BSD-3-Clause AND CC-BY-NC-4.0"
    assert both("MIT OR GPL-2.0-only", "MIT") == "(MIT OR GPL-2.0-only) AND MIT"


@pytest.mark.parametrize("limit", ["any", "permissive", ["MIT"], ["Apache-2.0", "BSD-3-Clause"], "MIT"])
def test_limits_that_are_some(limit: object) -> None:
    check_limit(limit)


@pytest.mark.parametrize("limit", ["free", "", [], ["MIT", "free"], ["any"], 7, None, ["MIT OR ISC"], [None]])
def test_limits_that_are_none_name_the_word(limit: object) -> None:
    with pytest.raises(UserError, match=r"decision\.licence") as told:
        check_limit(limit)
    assert told.value.remedy


@pytest.mark.parametrize("word", ["nonsense", "Apache", "MIT or not", "proprietary"])
def test_a_licence_that_is_no_spdx_expression_is_refused(word: str) -> None:
    with pytest.raises(UserError, match=r"model\.licence is no SPDX") as told:
        check_expression(word, "model.licence")
    assert told.value.value == word
    for fine in ("Apache-2.0", "apache-2.0", "MIT OR GPL-3.0-only", "LicenseRef-unknown"):
        check_expression(fine, "model.licence")

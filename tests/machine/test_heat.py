"""Temperature, frequency and throttling, as Linux shows them."""

from __future__ import annotations

from pathlib import Path

import pytest

from src.machine.heat import facts_of, look


def put(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_what_a_board_shows(tmp_path: Path) -> None:
    put(tmp_path, "class/thermal/thermal_zone0/temp", "48312\n")
    put(tmp_path, "class/thermal/thermal_zone1/temp", "71500\n")
    put(tmp_path, "class/thermal/thermal_zone2/temp", "-274000\n")  # not wired
    for core, now in ((0, 1_200_000), (1, 2_400_000)):
        put(tmp_path, f"devices/system/cpu/cpu{core}/cpufreq/scaling_cur_freq", f"{now}\n")
        put(tmp_path, f"devices/system/cpu/cpu{core}/cpufreq/cpuinfo_max_freq", "2400000\n")
        put(tmp_path, f"devices/system/cpu/cpu{core}/thermal_throttle/core_throttle_count", "3\n")
    put(tmp_path, "devices/platform/soc/soc:firmware/get_throttled", "50005\n")
    assert look(tmp_path) == {"temperature_c": 71.5, "frequency": 0.75, "held_back": 6.0, "limited": 1.0}


@pytest.mark.parametrize("flags", ["0", "50000"])  # the upper half tells of earlier
def test_a_board_that_is_not_limited_now(tmp_path: Path, flags: str) -> None:
    put(tmp_path, "devices/platform/soc/soc:firmware/get_throttled", flags)
    assert look(tmp_path) == {"limited": 0.0}


def test_what_is_not_shown_is_missing(tmp_path: Path) -> None:
    put(tmp_path, "class/thermal/thermal_zone0/temp", "unknown")
    assert look(tmp_path) == {}
    assert facts_of([{}, {}]) == {}


def test_a_run_in_words() -> None:
    cool = {"temperature_c": 41.0, "frequency": 1.0, "held_back": 2.0, "limited": 0.0}
    hot = {"temperature_c": 83.2, "frequency": 0.6, "held_back": 9.0, "limited": 1.0}
    told = facts_of([cool, hot, hot])
    assert told["temperature"] == "41 to 83 °C after blocks"
    assert told["slowed"].startswith("after 2 of 3 blocks")
    assert told["throttled"].startswith("7 times")
    assert told["limited"].startswith("after 2 of 3 blocks")
    assert "throttled" not in facts_of([cool, cool])

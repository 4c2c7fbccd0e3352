"""Energy counters: which are taken, wraps, and what is said where there are none."""

from __future__ import annotations

from pathlib import Path

import pytest

from src.common.whole_files import write_text
from src.machine.energy import Meter, counters, rapl_counters


def powercap(root: Path) -> Path:
    """A processor package with cores and memory, its second view, and a whole platform."""
    for folder, name, uj in [
        ("intel-rapl:0", "package-0", 5_000_000),
        ("intel-rapl:0:0", "core", 1_000_000),
        ("intel-rapl:0:1", "dram", 700_000),
        ("intel-rapl:1", "psys", 9_000_000),
        ("intel-rapl-mmio:0", "package-0", 5_000_000),
    ]:
        place = root / folder
        place.mkdir(parents=True)
        (place / "name").write_text(f"{name}\n")
        (place / "max_energy_range_uj").write_text("262143000000\n")
        (place / "energy_uj").write_text(f"{uj}\n")
    return root


def set_uj(root: Path, folder: str, uj: int) -> None:
    write_text(root / folder / "energy_uj", f"{uj}\n")  # whole, as the kernel's counters are read


def test_packages_and_memory_are_counted_once(tmp_path: Path) -> None:
    assert [c.name for c in rapl_counters(powercap(tmp_path))] == ["package-0", "dram-0"]


def test_joules_are_added_up_over_several_blocks(tmp_path: Path) -> None:
    root = powercap(tmp_path)
    meter = Meter(list(rapl_counters(root)))
    with meter:
        set_uj(root, "intel-rapl:0", 8_500_000)
    set_uj(root, "intel-rapl:0", 90_000_000)  # between the blocks: somebody else's
    with meter:
        set_uj(root, "intel-rapl:0", 91_000_000)
        set_uj(root, "intel-rapl:0:1", 900_000)
    assert meter.joules == {"package-0": pytest.approx(4.5), "dram-0": pytest.approx(0.2)}


def test_a_wrap_of_the_counter_is_undone(tmp_path: Path) -> None:
    root = powercap(tmp_path)
    set_uj(root, "intel-rapl:0", 262_142_000_000)
    meter = Meter(list(rapl_counters(root)))
    with meter:
        set_uj(root, "intel-rapl:0", 3_000_000)
    assert meter.joules["package-0"] == pytest.approx(4.0)


def test_long_blocks_are_looked_at_between(tmp_path: Path) -> None:
    """Two wraps between two looks could not be told from one."""
    import time

    root = powercap(tmp_path)
    meter = Meter(list(rapl_counters(root)), every=0.02)
    with meter:
        for uj in (200_000_000_000, 100_000_000_000):
            set_uj(root, "intel-rapl:0", uj)
            time.sleep(0.3)
    assert meter.joules["package-0"] == pytest.approx(100_000 + 262_143 - 5, abs=1)


def test_a_counter_that_is_lost_leaves_no_figure(tmp_path: Path) -> None:
    root = powercap(tmp_path)
    meter = Meter(list(rapl_counters(root)))
    with meter:
        set_uj(root, "intel-rapl:0:1", 900_000)
        (root / "intel-rapl:0" / "energy_uj").unlink()
    assert meter.joules == {"dram-0": pytest.approx(0.2)}


def test_no_counters_give_no_figures(tmp_path: Path) -> None:
    assert rapl_counters(tmp_path) == []
    assert rapl_counters(tmp_path / "missing") == []
    with Meter([]) as meter:
        pass
    assert meter.joules == {}


def test_a_counter_that_may_not_be_read_is_none(tmp_path: Path) -> None:
    root = powercap(tmp_path)
    (root / "intel-rapl:0" / "energy_uj").write_text("")
    assert [c.name for c in rapl_counters(root)] == ["dram-0"]


@pytest.mark.gpu
def test_a_gpu_counts_its_energy() -> None:
    import torch

    found = [c for c in counters(gpu=True) if c.name.startswith("gpu-")]
    assert found
    with Meter(list(found)) as meter:
        a = torch.randn(8192, 8192, device="cuda")
        for _ in range(60):
            a = (a @ a).clamp(-1, 1)
        torch.cuda.synchronize()
    assert 5 < meter.joules["gpu-0"] < 20_000

"""Errors that are told apart by what they say."""

from __future__ import annotations

import pytest

from src.common.errors import is_out_of_memory


class OutOfMemoryError(RuntimeError):
    """As torch names it."""


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        MemoryError("Unable to allocate 768. GiB for an array with shape (1024, 3, 8192, 8192) and data type float32"),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:128] err == 0. DefaultCPUAllocator: can't allocate memory: you tried"
        ),
        OutOfMemoryError("CUDA: tried 2 GiB"),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Failed to allocate memory for requested buffer"),
        RuntimeError("Exception from src/inference/src/cpp/core.cpp:109: std::bad_alloc"),
    ],
)
def test_memory_that_ran_out_is_known(error: Exception) -> None:
    assert is_out_of_memory(error)


@pytest.mark.parametrize(
    "error", [ValueError("shape (3, 4)"), RuntimeError("memory format"), OSError(28, "No space left")]
)
def test_other_errors_are_not(error: Exception) -> None:
    assert not is_out_of_memory(error)

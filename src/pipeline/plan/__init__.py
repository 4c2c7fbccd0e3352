"""`plan=true`: what a sweep will cost and what difference it can resolve, before the search; nothing is recorded."""

from src.pipeline.plan.plan import plan_sweep

__all__ = ["plan_sweep"]

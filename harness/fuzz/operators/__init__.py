"""Rules that add one operator to a generated network and keep it valid; one module per family."""

from harness.fuzz.operators import arithmetic, layers, order, shapes
from harness.fuzz.operators.rule import RULES

__all__ = ("RULES", "arithmetic", "layers", "order", "shapes")

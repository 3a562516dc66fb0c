"""Every operator of a generated network, as rules that compose valid networks; one module per family."""

from harness.fuzz.operators import arithmetic, layers, order, shapes
from harness.fuzz.operators.rule import RULES

__all__ = ("RULES", "arithmetic", "layers", "order", "shapes")

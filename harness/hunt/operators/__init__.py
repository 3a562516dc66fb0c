"""Every operator of a generated network, as rules that compose valid networks; one module per family."""

from harness.hunt.operators import arithmetic, layers, order, shapes
from harness.hunt.operators.rule import RULES

__all__ = ("RULES", "arithmetic", "layers", "order", "shapes")

"""Compare the speed of two sides, measured in pairs of fresh processes that take turns."""

"""Speed one can decide on: two sides measured in pairs of fresh processes that take turns."""

"""Files that recipes made: the content-addressed store, building them, recipes known to fail, the digits."""

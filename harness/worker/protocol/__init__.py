"""The worker's side of the protocol: the loop that answers calls, how values cross, and how children end.

What an interpreter says of itself and the other host's agent are here too.
"""

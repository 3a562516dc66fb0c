"""The worker's side of the protocol: the loop that answers calls, how values cross, and how children end.

The probe of an interpreter and the remote agent are here too.
"""

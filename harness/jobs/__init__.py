"""Jobs of a matrix or a gate, run on this machine or on a Ray cluster behind one interface.

A job is one task with its requirements (:mod:`harness.jobs.job`). A backend runs jobs wherever it has room
(:mod:`harness.jobs.backend`). :mod:`harness.jobs.drive` submits them in the order of their dependencies,
retries a failed one once, and writes every result into the journal of the run's folder
(:mod:`harness.jobs.journal`), so that a finished job is not run again.
"""

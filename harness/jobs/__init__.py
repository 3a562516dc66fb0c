"""Jobs: what a matrix or a gate runs, on this machine or on a Ray cluster, behind one interface.

A job is one work with what it needs (:mod:`harness.jobs.job`). An backend runs jobs wherever it has room
(:mod:`harness.jobs.backend`); :mod:`harness.jobs.drive` hands them over in the order of their
dependencies, tries once more what failed, and writes every end into the journal of the run's folder
(:mod:`harness.jobs.journal`), so that what has ended is not run again.
"""

"""Models as the controller knows them: reference models and user models, their files and first run.

No network is built here; a worker does that (:mod:`harness.worker.models`).
"""

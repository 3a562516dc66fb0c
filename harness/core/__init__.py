"""The nouns that everything else shares: types, errors, whole files, hashes, statistics, paths, the clock.

Nothing here knows of Paddle, pytest or a worker. It imports no other folder.
"""

"""All runs as one data set: questions in SQL, change points, runs of several machines as one."""

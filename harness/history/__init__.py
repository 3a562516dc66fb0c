"""All runs as one data set: SQL views, change points, and runs of several machines merged into one."""

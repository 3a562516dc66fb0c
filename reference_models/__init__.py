"""Reference models, one file each; a file defines ``MODEL`` or ``MODELS``."""

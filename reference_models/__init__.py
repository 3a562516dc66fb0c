"""Reference models, one file each; a file states ``MODEL`` or ``MODELS``."""

"""Exported models in zip archives: an example of an extension of the harness."""

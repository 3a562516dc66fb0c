"""Two runs, and what crossed between them, to a verdict and its pages."""

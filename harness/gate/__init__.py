"""May we upgrade? Two runs, and what crossed between them, to verdicts, an exit status and a page."""

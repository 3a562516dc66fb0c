"""May we upgrade? Compare two runs, and the files that crossed between them: verdicts, exit status, page."""

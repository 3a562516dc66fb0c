"""Where and how a runtime runs: the targets of ``targets.toml``, engines beside Paddle, what can run here."""

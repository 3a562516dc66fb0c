"""Where and how a runtime runs: targets of ``targets.toml``, engines other than Paddle, what can run here."""

"""An artifact executed on a target: outputs, oracle, latency, and what an engine's log shows."""

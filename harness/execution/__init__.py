"""An artifact executed on a target: outputs, oracle, latency, an engine's log, scripts of plain Paddle."""

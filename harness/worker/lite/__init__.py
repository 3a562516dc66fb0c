"""Paddle Lite: its conversion tool, and the process that runs what it converted."""

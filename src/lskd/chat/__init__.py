"""Talking to paid language models: one client, journal and budget for all stages that do."""

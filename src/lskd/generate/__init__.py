"""Stages `generate` and `parse`: a teacher that reads words writes triples (2.2)."""

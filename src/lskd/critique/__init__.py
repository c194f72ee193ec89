"""Stages that judge triples (section 2.3): `score`, and the critics that it can use."""

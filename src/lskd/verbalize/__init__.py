"""Stages that put an image into words (section 2.1), and the models that they use."""

"""Localized symbolic knowledge distillation: from a folder of images to a model of their places."""

from importlib.metadata import version

__version__ = version("lskd")

"""Toolroom: what every stage that runs somebody's weights needs, used by no stage alone.

`checkpoint.py` brings a checkpoint of transformers to its device, `family.py` knows how each family
of vision-language models wants to be asked, `device.py` finds the device itself. `written.py`
writes weights.
"""

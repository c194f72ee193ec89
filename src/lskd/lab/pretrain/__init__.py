"""The base model of the lab: a tiny BLIP-2 trained from nothing.

First the vision tower by labelling patches of scenes with frames drawn into them, then the
Q-Former by captions of whole scenes. Read `work.py` first.
"""

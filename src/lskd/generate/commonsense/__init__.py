"""What the symbolic teacher knows and how it says it; it reads words only, never pixels.

```
observations.py  the block of a prompt -> Observations
view.py          Observations -> View: entities (category, colour, place, box) that can be named
spatial.py       what may be said of two boxes, with margins
facts.py         what is plainly so in a view, as Fact
wording.py       Fact and knowledge -> English; a Writer remembers what it has said
single.py        ideas for triples about one region
pairs.py         about two: what they suggest together, and how they lie
groups.py        about several: why they are together, and the place
layout.py        about boxes, where nothing else is known
questions.py     short questions for a dialogue
knowledge.toml   everyday knowledge about the COCO categories, read by knowledge.py
```
"""

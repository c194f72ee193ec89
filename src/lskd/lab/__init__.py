"""A laboratory: a small world of drawn scenes whose truth is known, for the whole pipeline.

```
knowledge.toml, knowledge.py   what follows from what is seen: the one table behind all answers
scene.py -> drawing.py         a seed becomes a scene, a scene a picture with exact masks and boxes
            figures.py, backdrop.py, pen.py    how things and places look
combinations.py                what training never shows
words.py, sayings.py           the lab's sentences, made and read back
describers.py, teacher.py, server.py, annotators.py    who takes part, each with known mistakes
opinions.py, rivals.py         what people say of what the studio shows; two systems to compare
visitor.py, wire.py, people.py, study.py    simulated people at the studio, by HTTP alone
truth.py                       whether a triple is true of its scene
world.py, gold/                a world on disk, and the six benchmarks about it
pretrain/                      the base model, from nothing
text_only.py                   what can be had without looking
scope.py                       what a student of the lab can be asked about
course.py, bars.py             the pipeline from scenes to the evaluated student, and its claims
```

No stage knows of this package: its models join by a line of a run file, as any user's would.
"""

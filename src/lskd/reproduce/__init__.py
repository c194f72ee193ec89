"""The paper, table by table: each is run in the lab and stands in one report beside its numbers.

```
paper.toml, paper.py     what the paper reports
experiment.py            the records: an arm, a cell, a claim, a finding, an experiment
drawing.py               intervals of several seeds: images are drawn again, seeds told by t
verdict.py               a claim becomes a plain sentence
bench.py                 the lab at hand: runs what is missing, for each seed and arm
evidence.py              a run becomes tallies: held-out scores, ratings, what a student answers
foreign.py               corpora of other makers' forms, about the lab's scenes (Table 4)
critics.py               which triples, at an equal number (Figure 4)
answers.py               what students and the base answer, by column
of_critic.py, of_corpus.py, of_student.py, of_writer.py    how each table is measured
beyond.py                the same of what the paper did not ask of students
experiments.py           all of them, in the paper's order
chart.py, page.py        the report
work.py                  `lskd reproduce`
```

Run files: `runs/lab` (what runs here), `runs/paper` (the paper's own setting), `runs/open` (with
models that anyone can have today).
"""

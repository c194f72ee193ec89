"""Stage `evaluate`: questions of six benchmarks are answered, and scored as their authors do (3.1).

```
a folder of files -> a reader (vcr.py, ...) -> Item -> protocol.py (how it is asked) -> Panel
    -> scorers/ (one adapter for each kind of model) -> Fits -> Prediction
    -> figures.py, metrics/ (official figures)
    -> outcome.py, statistics.py (intervals, tests, parts)
    -> summary.py (tables), gallery.py and page.py (the page)
```

`stage.py` has the settings, `work.py` goes the whole way, `trial.py` and `predictions.py` cut it
into shards that are kept. `foreign.py` takes predictions of other programs, `lmms_eval.py` writes
the questions for models of others.

Readers take the files as their authors ship them; nothing is downloaded. One file reads one
benchmark: `vcr.py`, `sherlock.py`, `visualcomet.py`, `aokvqa.py`, `snli_ve.py`, `visual7w.py`;
`benchmarks.py` lists them and checks a folder. What readers share: `benchmark.py` (the records that
they take and return), `rows.py` (rows of JSON, and what is wrong with one), `pictures.py` (image
files), `scene.py` (the boxes of VCR's images), `mentions.py` (which regions texts name).
"""

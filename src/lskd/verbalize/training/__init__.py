"""Verbalizers that users train: a region captioner and a narrator (section 2.1).

A recipe goes in (TOML), with corpora in their authors' files and a writer to begin with. Out comes
a folder that a run takes by one line, and figures of what it writes about places it never saw:

```toml
[models]
captioner = { use = "lskd.verbalize.training.trained:TrainedCaptioner", folder = "out/x/captioner" }
narrator = { use = "lskd.verbalize.training.trained:TrainedNarrator", folder = "out/y/narrator" }
```

```
settings.py    what a recipe may say
rows.py        corpora become rows of training and rows that are held out; made once, kept on disk
places.py      captions by number, and which of them are chosen
fitting.py     what the writer sees and has room for
mixture.py     how often each corpus is learnt from
view.py        a picture, with the box drawn, as the writer sees it
task.py        rows become losses, for `lskd.training`
work.py        the whole of it: rows, training, folder, evaluation
note.py        verbalizer.toml: how a trained one is to be asked
trained.py     the folder as a model of a run file
agreement.py   CIDEr-D and METEOR: how a text agrees with what people said
diversity.py   how different texts about one picture are
clip_score.py  CLIPScore: how a text fits the picture, without what people said
evaluation.py  all of these over rows that were held out
```
"""

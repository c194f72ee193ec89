"""Corpora that others have made, as their authors ship them, become Examples to train on.

A file and the folders of its pictures go in; an Example for each thing that is said comes out, and
a Reject, with its place in the file, for whatever cannot be one. So one student recipe trains on
any of them (Table 4). The released LCK is read by `lskd.export.lck`, which writes it too.

```
source.py        which file, which folders, and its rows
sherlock.py      clues and inferences about boxes
visualcomet.py   what people wanted, what was before and what will be after
llava.py         conversations about whole pictures
```
"""

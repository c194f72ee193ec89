"""What people said of places and of whole pictures: files go in, a `Caption` for each place out.

Region captioners and narrators are trained on these (section 2.1). Whatever cannot be read is a
Reject with its place in the file.

```
caption.py               the record, and what every reader does
plain_pickle.py          a pickle of plain data is read; one that would run code is refused
refcoco.py               RefCOCO, RefCOCO+ and RefCOCOg in all of their forms
sherlock.py              Sherlock's clues, without what people infer from them
visual_genome.py         Visual Genome's region descriptions
localized_narratives.py  Localized Narratives, without their traces
```
"""

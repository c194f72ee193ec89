"""Stage `distil`: examples become a student that points (section 2.4).

```
Example -> examples.py (checked, read by number) -> augmentation.py (which regions, which ids, what
is said) -> lessons.py (a row of training) -> batches.py (tensors) -> task.py -> training.fit
                     swaps.py (texts with swapped ids that a critic rejects) -> lessons.py
                     lskd.blip2.features (what a frozen tower saw, on disk) -> batches.py
```

`stage.py` holds the settings, `work.py` puts the parts together, `student.py` writes and reads the
folder of a student, `ask.py` asks one about a picture. `generative/` is the stage of students that
write; it shares examples, augmentation and files that grow (`lskd.storage.disk`).
"""

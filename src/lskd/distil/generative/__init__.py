"""Stage `generative`: examples become a student that speaks (section 2.4, generative models).

```
Example -> distil.examples (checked) -> distil.augmentation (which regions, which ids) -> rows.py
        (what is given, what is to be written) -> units.py (what a step takes) -> task.py
        sights.py (what the frozen part of a writer saw, on disk) -> task.py -> training.fit
```

`prompts.py` words what a student is given, `stage.py` holds the settings, `work.py` puts the parts
together. `student.py` writes the folder of a student, reads it and lets it be asked. `answers.py`
has students answer the questions of a run, for people to compare, and `panel.py` shows their
answers side by side. The models themselves are in `lskd.writing`.
"""

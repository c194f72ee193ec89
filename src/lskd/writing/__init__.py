"""Toolroom: models that write text about a marked picture, trained or asked; no stage owns them.

```
picture with marks -> look -> Sight (kept: what is frozen is computed once) -+-> loss
                                       Line (prompt, target) ----------------+-> write
                                                                             +-> likelihoods
```

Read `writer.py` first: it has the protocol and its records. `blip2.py`, `minigpt4.py` and `chat.py`
are the families. `masks.py` says which tokens are learnt, `prefix.py` how equal prompts are read
once, `packing.py` how lines about one picture are read side by side, `decode.py` how text is drawn
from a model; `note.py` and `trained.py` are the folder of a trained writer, from which it can be
loaded again.
"""

"""Leak audit: what of a benchmark was in a training corpus?

Examples of a corpus and items of a benchmark go in, Leak rows come out: which item is touched, by
which example, and how. An evaluation leaves these items out and shows both numbers.

```
image_hash.py   a picture becomes two 64-bit codes of each of its windows
near_image.py   codes of pictures -> which of them show the same photograph
near_text.py    texts -> which of them say the same in nearly the same words
leak.py         both, over the shards of a corpus
leak_file.py    Leak rows to a file and back
```
"""

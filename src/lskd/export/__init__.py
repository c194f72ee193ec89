"""Examples leave the house in the formats of other tools, and come back from the released corpus.

`hf` and `trl` are Parquet with pictures inside; `llava` and `swift` are JSON beside a folder of
pictures; `coco` is regions for annotation tools; `lck` is rows of the released corpus, both ways.
Each has a `write` that reads its examples once, in constant memory unless it says otherwise.
"""

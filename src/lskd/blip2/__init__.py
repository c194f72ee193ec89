"""BLIP-2 stage 1: the model of the critic (section 2.3) and of the discriminative student (2.4).

```
pixels -> vision tower -> features -> ln_vision -> memory (cross-attention keys and values)
                                                     |
                   token ids -> Q-Former ------------+--> heads: contrast, matching, language
```

Read `size.py` and `stage1.py` first. `weights.py` reads and writes LAVIS and Hugging Face
checkpoints, `objectives.py` holds the losses, `scoring.py` the one way to ask a trained model,
`features.py` what a frozen tower saw, on disk.
"""

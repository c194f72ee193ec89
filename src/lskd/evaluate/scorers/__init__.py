"""Models that hold texts against marked pictures: each meets `lskd.protocols.Scorer`.

```
stage1.py        a student of lskd by its folder, and BLIP-2 stage 1 by its weights: itm, itc
dual_encoder.py  CLIP, SigLIP and SigLIP 2: itc
clip_event.py    CLIP from a file of tensors by OpenAI's names, as CLIP-Event's: itc
blip.py          BLIP with its heads for retrieval: itm, itc
writer.py        any image-text-to-text model: likelihood
generative.py    a student of lskd that writes, by its folder, and its base: likelihood
views.py         what they share: panels become distinct views, and views become pictures
```

Those that give itm or itc have `shortened(panels)`, which counts the texts that are longer than the
model reads and so lose their end; who gives likelihoods reads texts whole. A run file names a
scorer by `use =`; only then are its libraries imported.
"""

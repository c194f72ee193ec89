"""Where a run's stages are made: in this process, or on a Ray cluster.

In: a stage's missing shards, or a stage on whole tables (`lskd.executors.job`). Out: their tables,
the same whoever made them. No stage knows which executor runs it.
"""

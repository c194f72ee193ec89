"""Where the missing shards of a stage are made: in this process, or on a Ray cluster.

In: a stage's missing shards (`lskd.executors.job`). Out: their tables, the same whoever made them.
No stage knows which executor runs it.
"""

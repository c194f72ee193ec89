"""Runs, exports and images on any file system that fsspec knows: s3, gs, az, hf and others.

In: a URL such as "s3://bucket/run". Out: a working folder on this machine that stands for that
place. The house goes on working with paths; what lies under a working folder and is finished is
published at its place, and read from there:

- Tables lie at the place alone: `lskd.table` reads and writes them there (`files`).
- Other files (notes, reports, students, exports) lie in both, and are brought up to date when a run
  is opened and when a stage ends (`mirror`).
- Journals, logs, training and caches lie in the working folder. Logs and paid replies are published
  while the run is at work (`lock`), trainings and caches are not.

What grows there, as features that a frozen tower saw, is written by `disk`.

A file is published whole or not at all. Credentials come from the environment, as each file system
documents; they are never part of a URL, a run file or a message.
"""

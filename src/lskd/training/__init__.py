"""The one training loop, for critic and student.

`from lskd.training.loop import fit, Fitted`; `from lskd.training.task import Task, StepLosses`;
`from lskd.training.recipe import Recipe`.

```
recipe.py      how long, how fast, how often saved: numbers only, no torch
settings.py    the same as settings of a run file
task.py        what a model's trainer writes: a model and the losses of some rows
loop.py        fit: the loop, on accelerate
step.py        one step: gradients of its micro-batches, then the update
ahead.py       what the next micro-batch needs, made while the present one is learned from
processes.py   several processes make one run: the first leads, the others wait
order.py       which rows at which step, and all seeds: functions of (seed, step) alone
average.py     the moving average of the weights
checkpoint.py  weights, optimiser and average to disk, whole or not at all, and back
history.py     losses.jsonl: what was measured at each step
plot.py        losses.svg: the same as a picture
memory.py      running out of memory, in one line
```
"""

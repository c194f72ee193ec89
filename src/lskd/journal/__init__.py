"""One journal, one budget and one set of claims for workers on many hosts: kept by the driver.

The driver serves the journal of its run over HTTP; workers claim each call before they pay, and
count a reply as received once the driver has committed it to the SQLite file beside the tables. No
other host opens that file. In an executor:

    with serving(context.journal, host=ip_of_this_node, segments=folder) as service:
        theirs = dataclasses.replace(context, journal_service=service.address)
        ...  # send `theirs` to the workers: there `theirs.journal` is the driver's, for any model

`lskd.journal.service.serving` is the driver's side. A worker that is started by other means finds
the service by the variables LSKD_JOURNAL and LSKD_JOURNAL_TOKEN of its environment
(`service.address.environment()`). The token is made for the run and is on no disk and in no log.
On one machine none of this takes part: `context.journal` is the file itself.
"""

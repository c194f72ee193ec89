"""The matrix of faults: what goes wrong, what lskd says of it, what is lost, and how it goes on.

Each row is held up by the test that it names, which asks `heard` whether that was said. The page
is made from the rows:

    PYTHONPATH=tests python -m faults.matrix > docs/faults.md
"""

import re
import sys
from dataclasses import dataclass

from faults.machine import Result

NOTHING = "nothing"
AGAIN = "the same command, once there is room"


@dataclass(frozen=True, slots=True)
class Fault:
    """A row: `said` is the line on standard error, "..." standing for what varies.

    `exit_code` is None where the run simply goes on, and what it says is then no error. `test` is
    "file::test".
    """

    what: str
    said: str
    exit_code: int | None
    lost: str
    goes_on: str
    test: str


def pattern(fault: Fault) -> str:
    """Return the regular expression of what a fault says."""
    return re.escape(fault.said).replace(re.escape("..."), ".*")


def heard(fault: Fault, result: Result) -> None:
    """Check that a command ended with a fault's exit code, and with its one clear line."""
    lines = result.said.strip().splitlines()
    assert result.exit_code == fault.exit_code, result.said
    last = lines[-1]
    assert re.fullmatch(f"error: {pattern(fault)}", last), last
    assert not any(line.startswith("Traceback") for line in lines), result.said
    assert sum(line.startswith("error: ") for line in lines) == 1, result.said


DISK_FULL = Fault(
    "The disk is full, in any stage, at any write",
    "cannot write ...: ...; what was finished is kept, and the same command goes on once this is "
    "mended",
    2,
    NOTHING,
    AGAIN,
    "faults/test_fault_disk.py::test_a_full_disk_is_told_in_every_stage_and_the_run_goes_on",
)
TRAINED_FULL = Fault(
    "The disk is full where weights are trained and asked, at any write",
    DISK_FULL.said,
    2,
    "nothing: the last checkpoint is kept, and weights have the bytes of an undisturbed training",
    AGAIN,
    "faults/test_fault_disk_trained.py"
    "::test_a_full_disk_is_told_in_every_stage_that_trains_and_its_training_goes_on",
)
SIGHTS_FULL = Fault(
    "The disk has no room for what a tower sees of all views, which is foreseen",
    "... GB, but ... has room for ...: choose another cache folder, or lower views",
    2,
    "nothing: no view was looked at in vain but the first ones",
    AGAIN,
    "faults/test_fault_disk_trained.py"
    "::test_a_disk_that_has_no_room_for_what_is_seen_is_told_before_all_is_looked_at",
)
EXPORT_FULL = Fault(
    "The disk is full while the corpus is exported",
    "cannot write the export to ...: ...",
    2,
    "nothing; the export before is kept",
    AGAIN,
    DISK_FULL.test,
)
FILE_SIZE = Fault(
    "A file may not grow as large as a table or page is (a quota, `ulimit -f`)",
    DISK_FULL.said,
    2,
    NOTHING,
    "the same command, with a higher limit",
    "faults/test_fault_disk.py::test_a_limit_on_the_size_of_files_is_told_and_the_run_goes_on",
)
PAID_FULL = Fault(
    "The disk is full while replies are bought",
    "no room left on the disk for ...: nothing more was asked; free some space and give the same "
    "command again",
    2,
    "nothing: replies in flight are kept in a reserve of 4 MB that the journal holds",
    AGAIN,
    "faults/test_fault_disk.py::test_a_full_disk_makes_no_reply_be_bought_twice",
)
READ_ONLY = Fault(
    "The run's folder cannot be written",
    "cannot write to ...: Read-only file system",
    2,
    NOTHING,
    "the same command, once it can; `lskd status` and `lskd show` read it all the same",
    "faults/test_fault_disk.py::test_a_read_only_folder_is_told_and_can_still_be_read",
)
BROKEN_READ = Fault(
    "A table is truncated or changed, and a stage reads it",
    "... is broken (...): `lskd run` with --verify makes it again",
    2,
    NOTHING,
    "`lskd run` with --verify",
    "faults/test_fault_shards.py::test_a_broken_table_is_named_by_the_stage_that_reads_it",
)
BROKEN_FOUND = Fault(
    "A table is truncated, changed or gone, and no stage has read it yet",
    "... of the tables' files are broken: ...: `lskd run` with --verify makes them again",
    2,
    NOTHING,
    "`lskd status --verify` finds any changed bit by the checksums in `shards.jsonl`; `lskd run` "
    "with --verify makes the shard again, and what was made from it",
    "faults/test_fault_shards.py::test_any_changed_bit_of_any_table_is_found_and_made_again",
)
PAID_BROKEN = Fault(
    "A table of paid replies is broken",
    BROKEN_READ.said,
    2,
    "nothing: the replies are in the journal, and none is asked for again",
    "`lskd run` with --verify",
    "faults/test_fault_shards.py::test_a_broken_table_of_paid_replies_is_made_again_for_nothing",
)
BROKEN_NOTE = Fault(
    "The note of a stage's settings is damaged",
    "... is broken (...): remove it, and the same command goes on with the tables beside it, or "
    "remove these too to make them again",
    2,
    NOTHING,
    "as the line says",
    "faults/test_fault_shards.py::test_a_damaged_note_is_told",
)
TWO_RUNS = Fault(
    "Two runs in one folder",
    "another lskd is at work in ...: wait for it",
    2,
    "nothing: the second is refused before it does anything",
    "the same command, after the first",
    "faults/test_fault_process.py::test_a_second_run_is_refused_and_a_killed_ones_lock_is_no_lock",
)
CHILD_WAITS = Fault(
    "A run extends one that is being made, and reads from its folder",
    TWO_RUNS.said,
    2,
    "nothing: the child is refused before it does anything",
    "the same command, once the parent has ended; several children of one that is finished run at "
    "once",
    "faults/test_fault_readers.py"
    "::test_a_child_is_refused_while_its_parent_is_made_and_then_makes_what_is_missing",
)
PARENT_WAITS = Fault(
    "A run is to be made further, or checked by `--verify`, while one that extends it reads from "
    "its folder",
    "another lskd is at work in a run that reads ...: wait for it",
    2,
    "nothing: who would write is refused before it does anything",
    "the same command, after those that read",
    "faults/test_fault_readers.py"
    "::test_children_of_a_finished_run_work_side_by_side_and_nobody_writes_in_it_meanwhile",
)
READER_KILLED = Fault(
    "A run that reads from its parent's folder is killed",
    "",
    None,
    NOTHING,
    "at once: its lock on the parent's folder ends with it",
    "faults/test_fault_readers.py::test_the_lock_of_a_killed_reader_is_no_lock",
)
STALE_LOCK = Fault(
    "A lock that a killed run has left behind",
    "",
    None,
    NOTHING,
    "at once: the kernel lets go of a lock when its process ends, however it ends",
    TWO_RUNS.test,
)
INTERRUPTED = Fault(
    "Ctrl-C (SIGINT)",
    "interrupted; the same command goes on where this one stopped",
    130,
    "nothing: paid calls in flight are waited for; a second Ctrl-C leaves them",
    "the same command",
    "faults/test_fault_process.py"
    "::test_a_run_that_is_told_to_stop_pays_for_nothing_twice_and_goes_on",
)
TERMINATED = Fault(
    "SIGTERM, as a scheduler sends it",
    "stopped by SIGTERM; the same command goes on where this one stopped",
    143,
    "nothing: paid calls in flight are waited for",
    "the same command",
    INTERRUPTED.test,
)
KILLED = Fault(
    "The process is killed (SIGKILL, no memory left) at any moment",
    "",
    None,
    "nothing that has arrived; calls in flight may be charged once more, and are counted",
    "the same command",
    "test_paid.py::test_a_run_killed_at_random_moments_gives_the_same_tables_and_buys_nothing_twice",
)
JOURNAL_BROKEN = Fault(
    "The journal of paid replies is damaged, as by a power failure",
    "... is damaged or no journal (...): `lskd salvage ...` keeps what can be read of it, or move "
    "it away",
    2,
    "what cannot be read any more, which is told",
    "after `lskd salvage`: the same command, which buys what is lost",
    "test_fuzz_found.py::test_a_journal_that_was_not_closed_is_read_through_before_it_is_trusted",
)
DESCRIPTORS = Fault(
    "No file descriptors are left",
    "...: Too many open files...",
    2,
    "nothing: no picture counts as unreadable for that",
    "the same command, with a higher `ulimit -n`",
    "faults/test_fault_process.py::test_too_few_descriptors_are_told_and_leave_no_picture_out",
)
CLOCK = Fault(
    "The clock jumps by hours, back and forth",
    "",
    None,
    "nothing; times in the trace are wrong",
    "at once: pauses and time-outs are counted by a clock that does not jump",
    "faults/test_fault_process.py::test_a_clock_that_jumps_changes_no_table",
)
NETWORK = Fault(
    "The network to the teacher is cut: refused, reset, or silent",
    "... cannot be reached...",
    4,
    "nothing that has arrived",
    "the same command, once the server is there again",
    "journal/test_journal_faults.py"
    "::test_a_network_that_is_cut_is_told_in_one_line_and_loses_nothing",
)
PROXY = Fault(
    "The proxy of the environment makes no way to the teacher",
    "... cannot be reached: the proxy of the environment (HTTPS_PROXY, HTTP_PROXY) answers HTTP "
    "503",
    4,
    NOTHING,
    "the same command; what was never sent counts as nothing in the budget",
    "chat/test_teacher.py::test_what_a_proxy_refuses_was_never_sent_and_costs_nothing",
)
SERVICE = Fault(
    "On a cluster, nodes and the journal's service are killed",
    "",
    None,
    "nothing that was acknowledged; calls in flight may be charged once more",
    "the same command",
    "journal/test_journal_kills.py"
    "::test_nodes_and_the_service_are_killed_and_nothing_acknowledged_is_lost_or_paid_twice",
)
DRIVER_SILENT = Fault(
    "On a cluster, workers do not reach the journal's service, and the driver lives",
    "the journal service at ... could not be reached for ... s; nothing was asked meanwhile, and "
    "the work goes on",
    None,
    "nothing: a paid reply waits in a file of its worker until it is delivered",
    "at once when the service answers: a worker of Ray waits as long as the driver lives",
    "journal/test_journal_service.py"
    "::test_a_worker_that_ends_with_its_driver_waits_for_it_and_says_so_once",
)
SERVICE_GONE = Fault(
    "A worker that was started by other means does not reach the journal's service for a minute",
    "the journal service at ... cannot be reached (...): nothing is asked without it; ... paid "
    "replies wait in ... and will be delivered at the next contact",
    4,
    "nothing: paid replies wait in a file",
    "the same command, once the service is there again",
    "journal/test_journal_service.py::test_replies_wait_in_a_file_for_the_next_contact",
)
CLUSTER = Fault(
    "On a cluster, a worker, a node and the driver are killed",
    "",
    None,
    "nothing that has arrived; calls in flight may be charged once more",
    "workers and nodes: at once; the driver: the same command",
    "faults/test_fault_ray_kills.py"
    "::test_a_cluster_gives_the_tables_of_one_process_though_all_is_killed_once",
)
TRAINING_KILLED = Fault(
    "A training is killed, and goes on here or, if the run is at a place, on another machine",
    "",
    None,
    "the steps since the last checkpoint (`save_every`); the weights are those of a training that "
    "nothing stopped",
    "the same command",
    "training/test_training_published.py"
    "::test_stopped_at_a_place_it_goes_on_there_and_on_another_machine",
)
TRAINER_LOST = Fault(
    "A node is lost that trains with others of a cluster",
    "a worker was lost; all begin again at the last checkpoint",
    None,
    "the steps since the last checkpoint",
    "at once, up to three times",
    "test_executors_training.py"
    "::test_nodes_that_share_a_bucket_alone_train_as_one_process_even_if_one_is_lost",
)
S3_ERRORS = Fault(
    "S3 answers with errors, or slowly",
    "... cannot be ...; ... the same command goes on ...",
    2,
    NOTHING,
    "the same command; slow answers are waited for",
    "storage/test_storage_run.py"
    "::test_a_servers_errors_are_told_in_one_line_and_the_same_command_goes_on",
)
S3_KILLED = Fault(
    "A kill while a table is published to S3",
    "",
    None,
    "nothing: no reader sees half a table",
    "the same command",
    "storage/test_storage_run.py"
    "::test_a_second_run_is_refused_and_a_kill_while_a_table_is_published_leaves_no_half_of_it",
)
S3_TWO = Fault(
    "Two runs at one place on S3, on two machines",
    "another lskd is at work in ...",
    2,
    "nothing: the second is refused",
    "the same command, after the first; at once where that has died in this folder",
    "storage/test_storage_run.py"
    "::test_a_second_run_is_refused_and_a_kill_while_a_table_is_published_leaves_no_half_of_it",
)
FAULTS = (
    *(DISK_FULL, TRAINED_FULL, SIGHTS_FULL, EXPORT_FULL, FILE_SIZE, PAID_FULL, READ_ONLY),
    *(BROKEN_READ, BROKEN_FOUND, PAID_BROKEN, BROKEN_NOTE),
    *(JOURNAL_BROKEN, TWO_RUNS, STALE_LOCK, CHILD_WAITS, PARENT_WAITS, READER_KILLED),
    *(INTERRUPTED, TERMINATED, KILLED),
    *(DESCRIPTORS, CLOCK, NETWORK, PROXY, SERVICE, DRIVER_SILENT, SERVICE_GONE, CLUSTER),
    *(TRAINING_KILLED, TRAINER_LOST),
    *(S3_ERRORS, S3_KILLED, S3_TWO),
)
OPENING = """\
# What can go wrong, and what happens then

Each row is a test with real files, servers and signals; `python -m faults.matrix`, with `tests` in
the path, writes this page from the rows that the tests check. Most compare the tables in the end
with those of a run that nothing disturbed. Where a command is refused before it does anything, or a
lock or the journal is tried by itself, they check what is said and what is kept. Exit codes are
those of `lskd --help`.

| what goes wrong | what is said | exit code | what is lost | how it goes on | test |
|---|---|---|---|---|---|
"""


def page(faults: tuple[Fault, ...] = FAULTS) -> str:
    """Return the page."""
    return OPENING + "".join(f"| {' | '.join(cells(one))} |\n" for one in faults)


def cells(fault: Fault) -> tuple[str, ...]:
    """Return the cells of a row, as Markdown."""
    no_error = fault.exit_code in (None, INTERRUPTED.exit_code, TERMINATED.exit_code)
    line = fault.said if no_error else f"error: {fault.said}"
    said = f"`` {line} ``" if fault.said else ""
    code = "" if fault.exit_code is None else str(fault.exit_code)
    file, _, test = fault.test.partition("::")
    where = f"`tests/{file}`: {test.removeprefix('test_').replace('_', ' ')}"
    return (fault.what, said, code, fault.lost, fault.goes_on, where)


if __name__ == "__main__":
    sys.stdout.write(page())

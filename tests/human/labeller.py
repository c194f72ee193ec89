"""A process that labels until there is nothing left, or until it is killed.

It prints the key of each label once the store has acknowledged it, and says "alive" first.
"""

import sys
import threading

from human_items import GOOD

from lskd.errors import EndpointError
from lskd.human.store import Store
from lskd.human.work import Annotator


def label(store: Store, campaign: str, who: Annotator, write: threading.Lock) -> None:
    while (item := store.next(campaign, who)) is not None:
        key = f"{who.name} {item.id}"
        entry = store.record(campaign, who, item.id, key, GOOD, 1.0)
        assert entry.key == key
        with write:
            print(key, flush=True)


def until_the_server_dies(
    store: Store, campaign: str, who: Annotator, write: threading.Lock
) -> None:
    try:
        label(store, campaign, who, write)
    except EndpointError as error:
        print(error, file=sys.stderr)


def main(url: str, campaign: str, name: str, threads: int) -> None:
    store = Store(url)
    write = threading.Lock()
    people = [store.enrol(f"{name} {n}") for n in range(threads)]
    print("alive", flush=True)
    at_work = [
        threading.Thread(target=until_the_server_dies, args=(store, campaign, who, write))
        for who in people
    ]
    for thread in at_work:
        thread.start()
    for thread in at_work:
        thread.join()
    store.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))

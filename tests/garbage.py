"""What only the garbage collector can free."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def garbage() -> Iterator[set[type]]:
    """The types of what is left in circles in the block: known at its end."""
    found: set[type] = set()
    gc.collect()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        yield found
        gc.collect()
        found.update(type(left) for left in gc.garbage)
    finally:
        gc.set_debug(0)
        gc.garbage.clear()

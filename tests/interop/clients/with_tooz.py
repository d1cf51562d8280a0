"""tooz, OpenStack's coordination library, over its etcd3gw driver: locks and groups. Prints what it saw."""

import json
import sys

from tooz import coordination


def member(name: bytes) -> coordination.CoordinationDriver:
    url = f"etcd3+http://127.0.0.1:{sys.argv[1]}?timeout=30"
    found = coordination.get_coordinator(url, name)
    found.start(start_heart=True)
    return found


def groups(one: coordination.CoordinationDriver, two: coordination.CoordinationDriver) -> object:
    def names() -> list[str]:
        return sorted(name.decode() for name in one.get_members(b"group").get())

    joined, left = [], []
    one.watch_join_group(b"group", lambda event: joined.append(event.member_id.decode()))
    one.watch_leave_group(b"group", lambda event: left.append(event.member_id.decode()))
    two.join_group(b"group", b"able").get()
    one.run_watchers()
    seen = [names(), two.get_member_capabilities(b"group", b"two").get().decode()]
    two.leave_group(b"group").get()
    one.run_watchers()
    return [*seen, names(), joined, left]


one, two = member(b"one"), member(b"two")
one.create_group(b"group").get()
try:
    two.create_group(b"group").get()
except coordination.GroupAlreadyExist as error:
    exists = str(error)
one.join_group(b"group").get()
first, second = one.get_lock(b"lock"), two.get_lock(b"lock")
held = [first.acquire(blocking=False), second.acquire(blocking=False)]
first.release()
held.append(second.acquire(blocking=True))
second.release()
saw = {
    "lock": held,
    "groups": groups(one, two),
    "group twice": exists,
    "group is listed": b"group" in one.get_groups().get(),
}
one.leave_group(b"group").get()
one.delete_group(b"group").get()
saw["no group"] = list(one.get_groups().get())
for each in (one, two):
    each.stop()
print(json.dumps(saw))

"""Two things at once at two nodes, while everybody chats: one has to know of the other."""

import asyncio
import time
from functools import partial

from tests.faults.client import PASSWORD
from tests.faults.field import NAMES, Field
from tests.faults.guest import Guest

ROUNDS = 25
LEAD_S = 0.06
"""At most so long the one comes before the other."""


async def one_resource(field: Field) -> None:
    """Two clients log in with one resource at two nodes in the same millisecond: one has it."""
    await field.do(field["a"].add_user, "twin", PASSWORD)
    took_s: list[float] = []
    for number in range(ROUNDS):
        twins = [Guest("twin", field[node].client_port) for node in _two(field)]
        for twin in twins:
            await twin.log_in()
        began = time.monotonic()
        for twin in twins:
            twin.bind(f"r{number}")
            twin.say("<presence/>")
        await twins[0].until(partial(_one_is_closed, *twins))
        await asyncio.sleep(0.2)
        assert not all(twin.is_closed for twin in twins), "both are closed"
        (there,) = [twin for twin in twins if not twin.is_closed]
        await there.until(partial(there.has, "iq", id="b", type="result"))
        took_s.append(time.monotonic() - began)
        for node in field.all():
            listed = await field.do(partial(node.tell, "session list", account="twin@localhost"))
            assert len(listed) == 1, f"node {node.name} lists {listed}"
        await there.leave()
        await _nobody_left(field, "twin@localhost")
    field.note(f"one had the resource after {sorted(took_s)[ROUNDS // 2]:.2f} s")


def _one_is_closed(one: Guest, other: Guest) -> bool:
    return one.is_closed or other.is_closed


async def subscription(field: Field) -> None:
    """Somebody asks to see a contact that logs in at another node at the same moment: the contact
    is asked, and what it answers is seen.
    """
    for number in range(ROUNDS):
        asks, answers = f"asks{number}", f"answers{number}"
        for name in (asks, answers):
            await field.do(field["a"].add_user, name, PASSWORD)
        here, there = _two(field)
        one, other = Guest(asks, field[here].client_port), Guest(answers, field[there].client_port)
        for guest in (one, other):
            await guest.log_in()
        one.bind("1")
        one.say("<presence/>")
        await one.until(partial(one.has, "iq", id="b", type="result"))
        other.bind("1")
        await asyncio.sleep(field.random.uniform(0, LEAD_S))
        one.say(f"<presence to='{answers}@localhost' type='subscribe'/>")
        await asyncio.sleep(field.random.uniform(0, LEAD_S))
        other.say("<presence/>")
        await other.until(partial(other.has, "presence", type="subscribe"))
        other.say(f"<presence to='{asks}@localhost' type='subscribed'/>")
        who = f"{answers}@localhost/1"
        await one.until(partial(one.has, "presence", **{"from": who, "type": None}))
        await other.leave()
        await one.until(partial(one.has, "presence", **{"from": who, "type": "unavailable"}))
        await one.leave()


def _two(field: Field) -> tuple[str, str]:
    one, other = field.random.sample(NAMES, 2)
    return one, other


async def _nobody_left(field: Field, account: str) -> None:
    """Wait until an account has no session anywhere."""
    listing = partial(field["a"].tell, "session list", account=account)
    for _ in range(100):
        if not await field.do(listing):
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"{account} is still there")


__all__ = ["one_resource", "subscription"]

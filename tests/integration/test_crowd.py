"""Many clients at once."""

import asyncio
import sys
import time

from tests.integration.people import Person, ServerCase, people

CLIENTS = 200
AT_ONCE = 50
"""Handshakes that run at a time: the client's side of all of them is one process."""


class CrowdTests(ServerCase):
    settings = {"auth": {"scram_iterations": 16}}

    @people
    async def test_crowd(self) -> None:
        """Two hundred clients are connected, see a friend come, and each gets a message."""
        romeo = self.account("romeo")
        addresses = [self.account(f"guest{number}") for number in range(CLIENTS)]
        for address in addresses:
            self.server.tell("roster add", account=romeo, contact=address, mutual=True)
        begun = time.monotonic()
        turns = asyncio.Semaphore(AT_ONCE)

        async def arrival(address: str) -> Person:
            async with turns:
                return await self.person(address, mechanism="PLAIN", plugins=("xep_0199",)).arrive()

        guests = await asyncio.gather(*map(arrival, addresses))
        here = time.monotonic()
        host = await self.person(romeo, mechanism="PLAIN").arrive()
        for guest in guests:
            host.say(guest.boundjid.bare, f"welcome, {guest.boundjid.user}")
        for guest in guests:
            await guest.expect("presence", sender=host.boundjid)
            await guest.expect("message", body=f"welcome, {guest.boundjid.user}")
            await host.expect("presence", sender=guest.boundjid)
        sys.stdout.write(
            f"{CLIENTS} clients came in {here - begun:.1f} s, presence and messages took "
            f"{time.monotonic() - here:.1f} s ... "
        )
        await asyncio.gather(*(guest.leave() for guest in guests))
        for guest in guests:
            await host.expect("presence", type="unavailable", sender=guest.boundjid)

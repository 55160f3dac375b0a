"""A client that logs in, writes to itself, and hears that: ``visitor ADDRESS PASSWORD``."""

import asyncio
import sys

from tests.drill.client import Client

PORT = 5223


async def visit(address: str, password: str) -> None:
    """Log in, and get a message."""
    client = await Client(PORT, f"{address}/visit").log_in(password)
    client.say(f"{address}/visit", "I am in")
    await client.until(rb"<body>I am in</body>")
    client.abort()


if __name__ == "__main__":
    asyncio.run(visit(*sys.argv[1:]))
    sys.stdout.write("a client is in\n")

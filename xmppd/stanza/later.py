"""What a stage answers that only sometimes has to wait."""

from collections.abc import Awaitable

Later = Awaitable[None] | None
"""Nothing when the work is done, an awaitable when it is not: what does not wait pays nothing."""

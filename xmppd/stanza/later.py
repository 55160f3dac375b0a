"""The result of a stage that only sometimes has to wait."""

from collections.abc import Coroutine
from typing import Any

Later = Coroutine[Any, Any, None] | None
"""Nothing when the work is done, a coroutine when it is not: what does not wait pays nothing."""

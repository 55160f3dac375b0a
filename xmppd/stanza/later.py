"""The result of a stage that only sometimes has to wait."""

from collections.abc import Coroutine
from typing import Any

Later = Coroutine[Any, Any, None] | None
"""None when the work is done, a coroutine when it is not: a call that does not wait costs
nothing."""

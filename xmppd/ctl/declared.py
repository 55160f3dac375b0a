"""Declared: a command of ours that lacks only the stages that it works with."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from xmppd.command.command import Command, Description
from xmppd.command.command_context import CommandContext
from xmppd.command.refused import Refused
from xmppd.command.reply import Replies, Row
from xmppd.config.table import ConfigError
from xmppd.net.listen_endpoint import ListenError
from xmppd.plugin.plugin_error import PluginError
from xmppd.stanza import Condition
from xmppd.store.accounts import AccountExists, NoSuchAccount
from xmppd.store.errors import QuotaExceeded, StoreError

C = TypeVar("C")


def _never(holder: object, told: Mapping[str, object]) -> str:
    return ""


async def _nothing(holder: object, context: CommandContext) -> None:
    """Refuse nothing."""


@dataclass(frozen=True)
class Declared(Generic[C]):
    """The description of a command, known without a server, and the method that does it.

    Attributes:
        about: Its description.
        method: Of a class that is handed the stages it needs.
        rows: The class of its rows.
        why_not: Of the same class: why it would be refused.
        before_secret: Of the same class: refuses it before a secret is typed.
    """

    about: Description
    method: Callable[[C, CommandContext], Replies]
    rows: tuple[type[Row], ...] = ()
    why_not: Callable[[C, Mapping[str, object]], str] = _never
    before_secret: Callable[[C, CommandContext], Awaitable[None]] = _nothing

    def by(self, holder: C) -> Command:
        """The command, done by an instance of the class."""
        return Command(
            self.about,
            partial(_told, partial(self.method, holder)),
            self.rows,
            partial(self.why_not, holder),
            partial(_looked, partial(self.before_secret, holder)),
        )


async def _told(run: Callable[[CommandContext], Replies], context: CommandContext) -> Replies:
    """Run it."""
    with refusing():
        async with aclosing(run(context)) as found:
            async for reply in found:
                yield reply


async def _looked(
    look: Callable[[CommandContext], Awaitable[None]], context: CommandContext
) -> None:
    with refusing():
        await look(context)


@contextmanager
def refusing() -> Iterator[None]:
    """An error of a stage becomes a refusal."""
    try:
        yield
    except NoSuchAccount as error:
        raise Refused("the account does not exist", Condition.ITEM_NOT_FOUND) from error
    except AccountExists as error:
        raise Refused(f"{error} already exists", Condition.CONFLICT) from error
    except QuotaExceeded as error:
        raise Refused(_sentence(error), Condition.RESOURCE_CONSTRAINT) from error
    except StoreError as error:
        raise Refused(_sentence(error), Condition.INTERNAL_SERVER_ERROR) from error
    except (ConfigError, ListenError, PluginError) as error:
        raise Refused(_sentence(error)) from error


def _sentence(error: Exception) -> str:
    return str(error).rstrip(".")

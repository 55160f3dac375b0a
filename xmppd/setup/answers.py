"""The questions of a set-up, and their answers: given as options, in a file, in the environment, or
asked for.
"""

import getpass
import os
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from xmppd.setup.doors import DOORS, SetupDoor, doors_of
from xmppd.stanza.jid import JID, prepare_domain

ENVIRONMENT = "XMPPD_"
"""Behind that, the name of an answer in capitals."""

LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"
TERMS = "https://letsencrypt.org/repository/"
YES = ("yes", "y", "true")
NO = ("no", "n", "false", "")


class AnswerError(Exception):
    """An error: an answer is missing, or cannot be one; the text is one sentence."""


@dataclass(frozen=True)
class Answers:
    """All answers, checked.

    Attributes:
        domain: Prepared.
        admin: The administrator's bare JID.
        password: Of that account; empty to have one made.
        doors: Where whoever comes in.
        certificate: ``acme``, ``self-signed``, or the absolute path of a chain.
        key: The absolute path of its key; empty if it is in the same file.
        contact: Whom the authority may write to; empty for nobody.
        authority: The URL of its directory.
        authorities: Those that sign the authority's own certificate; empty for those that the
            machine trusts.
        database: Its URL.
    """

    domain: str
    admin: str
    password: str
    doors: tuple[SetupDoor, ...]
    certificate: str
    key: str
    contact: str
    authority: str
    authorities: str
    database: str

    @property
    def acme(self) -> bool:
        """Whether an authority signs the certificate."""
        return self.certificate == "acme"


Before = Mapping[str, str]
"""The answers to the questions before."""


@dataclass(frozen=True)
class SetupQuestion:
    """One of the questions.

    Attributes:
        name: Of its answer.
        text: For people.
        read: The answer, as it is kept; raises ValueError with a sentence.
        default: The answer if none is given; None if there must be one.
        asked: Whether people are asked, after what they have answered.
        hidden: Whether the answer is not shown.
        help: Of its option; empty for the text.
    """

    name: str
    text: str
    read: Callable[[str, Before], str]
    default: Callable[[Before], str | None] = lambda before: None
    asked: Callable[[Before], bool] = lambda before: True
    hidden: bool = False
    help: str = ""


def _domain(text: str, before: Before) -> str:
    domain = prepare_domain(text)
    if "." not in domain and domain != "localhost":
        raise ValueError(f'"{text}" is not a domain that others could find')
    return domain


def _admin(text: str, before: Before) -> str:
    jid = JID.parse(text if "@" in text else f"{text}@{before['domain']}")
    if jid.local is not None and jid.is_bare and jid.domain != before["domain"]:
        raise ValueError(
            f'"{text}" is not at the domain {before["domain"]}; write it as '
            f'"{jid.local}@{before["domain"]}"'
        )
    if jid.local is None or not jid.is_bare:
        raise ValueError(
            f'"{text}" is not an account address; write it as "romeo@{before["domain"]}"'
        )
    return jid.bare


def _doors(text: str, before: Before) -> str:
    doors_of(text)
    return text


def _certificate(text: str, before: Before) -> str:
    return text if text in ("acme", "self-signed") else _file(text, before)


def _file(text: str, before: Before) -> str:
    if not text:
        return ""
    path = Path(text).absolute()
    if not path.is_file():
        raise ValueError(f"{path} is not a file")
    return str(path)


def _contact(text: str, before: Before) -> str:
    if text and "@" not in text:
        raise ValueError(f'"{text}" is not a mail address')
    return text.removeprefix("mailto:")


def _terms(text: str, before: Before) -> str:
    if text.lower() not in YES:
        raise ValueError(
            "the certificate authority requires that you agree to its terms; answer yes (or pass "
            "--terms yes), or choose another certificate"
        )
    return "yes"


def _url(text: str, before: Before) -> str:
    if not text.startswith("https://"):
        raise ValueError(f'"{text}" is not a URL that begins with https://')
    return text


def _database(text: str, before: Before) -> str:
    if text == "sqlite":
        return "sqlite:///xmppd.sqlite"
    if not text.startswith(("sqlite:///", "postgresql://")):
        raise ValueError('write "sqlite", or "postgresql://user:password@host/database"')
    return text


def _text(text: str, before: Before) -> str:
    return text


def _of_acme(before: Before) -> bool:
    return before["certificate"] == "acme"


def _own_file(before: Before) -> bool:
    return before["certificate"] not in ("acme", "self-signed")


def _never(before: Before) -> bool:
    return False


def _is(answer: str) -> Callable[[Before], str]:
    return lambda before: answer


QUESTIONS = (
    SetupQuestion(
        "domain",
        "Which domain? This is the part of an address after the @.",
        _domain,
        help="the domain, which is the part of an address after the @",
    ),
    SetupQuestion(
        "admin",
        "Which account administers the server?",
        _admin,
        lambda before: f"admin@{before['domain']}",
        help="the administrator's account (default: admin@DOMAIN)",
    ),
    SetupQuestion(
        "password",
        "The administrator's password? Leave empty to generate one.",
        _text,
        _is(""),
        hidden=True,
    ),
    SetupQuestion(
        "listeners",
        f"Which listeners? Any of {', '.join(DOORS)}; write another port after a colon, as in "
        "web:8443.",
        _doors,
        _is("clients clients-tls servers web"),
        help=f"the listeners, any of {', '.join(DOORS)}; to choose another port, write it after a "
        "colon, as in web:8443",
    ),
    SetupQuestion(
        "certificate",
        "Which certificate? acme (from Let's Encrypt), self-signed (for a trial), or a file.",
        _certificate,
        _is("acme"),
        help="acme (from Let's Encrypt; the default), self-signed (for a trial), or a file",
    ),
    SetupQuestion(
        "key",
        "The certificate's key? Leave empty if the key is in the same file.",
        _file,
        _is(""),
        _own_file,
        help="the file with the private key, if the certificate's file does not contain it",
    ),
    SetupQuestion(
        "contact",
        "To which address may the authority write? Leave empty for none.",
        _contact,
        _is(""),
        _of_acme,
        help="the mail address to which the ACME authority may write (default: none)",
    ),
    SetupQuestion(
        "terms",
        f"Do you agree to the authority's terms ({TERMS})? yes or no",
        _terms,
        _is("no"),
        _of_acme,
        help=f"yes, if you agree to the terms of the ACME authority ({TERMS})",
    ),
    SetupQuestion(
        "authority",
        "The URL of the ACME directory?",
        _url,
        _is(LETS_ENCRYPT),
        _never,
        help="the URL of the ACME directory (default: that of Let's Encrypt)",
    ),
    SetupQuestion(
        "authorities",
        "The file with the CA certificate of the ACME server?",
        _file,
        _is(""),
        _never,
        help="the file with the CA certificate of the ACME server",
    ),
    SetupQuestion(
        "database",
        "Which database? sqlite, or postgresql://user:password@host/database",
        _database,
        _is("sqlite"),
        help="sqlite (the default), or postgresql://user:password@host/database",
    ),
)


def answers(given: Mapping[str, str], *, ask: bool) -> Answers:
    """All answers: those that are given, those of the environment, and those that are asked for.

    Args:
        given: By the names of questions.
        ask: Whether there is somebody to ask; who gives a wrong answer is asked again.

    Raises:
        AnswerError: One is missing, or cannot be one.
    """
    known: dict[str, str] = {}
    for question in QUESTIONS:
        named = given.get(question.name, os.environ.get(f"{ENVIRONMENT}{question.name.upper()}"))
        wanted = question.asked(known) or question.name in ("authority", "authorities")
        if not wanted:
            known[question.name] = ""
        elif named is not None or not (ask and question.asked(known)):
            known[question.name] = _given(question, named, known)
        else:
            known[question.name] = _asked(question, known)
    return Answers(
        domain=known["domain"],
        admin=known["admin"],
        password=known["password"],
        doors=doors_of(known["listeners"]),
        certificate=known["certificate"],
        key=known["key"],
        contact=known["contact"],
        authority=known["authority"],
        authorities=known["authorities"],
        database=known["database"],
    )


def _given(question: SetupQuestion, named: str | None, known: Before) -> str:
    text = question.default(known) if named is None else named
    if text is None:
        raise AnswerError(
            f"{question.name} is missing: give it with --{question.name}, in the file that "
            f"--answers names, or in the environment variable {ENVIRONMENT}{question.name.upper()}"
        )
    try:
        return question.read(text, known)
    except ValueError as error:
        raise AnswerError(f"{question.name}: {error}") from error


def _asked(question: SetupQuestion, known: Before) -> str:
    default = question.default(known)
    shown = f" [{default}]" if default and not question.hidden else ""
    while True:
        prompt = f"{question.text}{shown} "
        text = (getpass.getpass(prompt) if question.hidden else input(prompt)).strip()
        try:
            return question.read(text or default or "", known)
        except ValueError as error:
            sys.stdout.write(f"{error}.\n")


def of_file(path: Path) -> dict[str, str]:
    """The answers in a file of TOML.

    Raises:
        AnswerError: It cannot be read, or has what is no question.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise AnswerError(f"{path} cannot be read ({getattr(error, 'strerror', error)})") from error
    except tomllib.TOMLDecodeError as error:
        raise AnswerError(f"{path} is not valid TOML ({error})") from error
    return dict(_texts(path, table))


def _texts(path: Path, table: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    names = [question.name for question in QUESTIONS]
    for name, value in table.items():
        if name not in names:
            raise AnswerError(f"{path}: unknown answer {name}; use any of {', '.join(names)}")
        if not isinstance(value, str):
            raise AnswerError(f"{path}: {name} must be text; write it between quotes")
        yield name, value

"""Who may do what with a node: all cells of the tables."""

from collections.abc import Callable
from functools import partial

from twisted.trial.unittest import SynchronousTestCase

from xmppd.stanza import StanzaError
from xmppd_plugins.pubsub.access import (
    AccessModel,
    Affiliation,
    PublishModel,
    Standing,
    check_manage,
    check_publish,
    check_read,
    check_retract,
    check_subscribe,
    may_replace,
)

YES, NO, FORBIDDEN = "yes", "no", "forbidden"
RELATIONS = {
    "stranger": (False, False, False),
    "sees presence": (False, True, False),
    "in group": (False, False, True),
    "subscribed": (True, False, False),
}
"""Whether somebody is subscribed, sees the host's presence, is in a group that is allowed."""

CLOSED, UNSUBSCRIBED = "not-allowed closed-node", "not-authorized not-subscribed"
UNSEEN = "not-authorized presence-subscription-required"
NO_GROUP = "not-authorized not-in-roster-group"

BY_MODEL = {
    #                        stranger      sees presence  in group  subscribed
    AccessModel.OPEN:      (YES,          YES,           YES,      YES),
    AccessModel.PRESENCE:  (UNSEEN,       YES,           UNSEEN,   UNSEEN),
    AccessModel.ROSTER:    (NO_GROUP,     NO_GROUP,      YES,      NO_GROUP),
    AccessModel.AUTHORIZE: (UNSUBSCRIBED, UNSUBSCRIBED,  UNSUBSCRIBED, YES),
    AccessModel.WHITELIST: (CLOSED,       CLOSED,        CLOSED,   CLOSED),
}  # fmt: skip
"""What the model says to who has no affiliation and wants items."""

#                          read       publish    retract    replace  manage
BY_AFFILIATION = {
    Affiliation.OWNER:        (YES,       YES,       YES,       YES, YES),
    Affiliation.PUBLISHER:    (YES,       YES,       YES,       NO,  FORBIDDEN),
    Affiliation.PUBLISH_ONLY: (FORBIDDEN, YES,       YES,       NO,  FORBIDDEN),
    Affiliation.MEMBER:       (YES,       FORBIDDEN, YES,       NO,  FORBIDDEN),
    Affiliation.OUTCAST:      (FORBIDDEN, FORBIDDEN, FORBIDDEN, NO,  FORBIDDEN),
}  # fmt: skip
"""What an affiliation says, whatever the model, where only publishers publish."""


def outcome(check: Callable[[], object]) -> str:
    """How a check ends."""
    try:
        check()
    except StanzaError as error:
        name = "" if error.application is None else f" {error.application[1]}"
        return error.condition.tag + name
    return YES


def standing(affiliation: Affiliation, relation: str) -> Standing:
    """Somebody with an affiliation and a relation."""
    is_subscribed, sees, in_group = RELATIONS[relation]
    return Standing(affiliation, is_subscribed, sees, in_group)


class TableTests(SynchronousTestCase):
    def test_models(self) -> None:
        """Each model lets in whom it is for, and says to others what they lack."""
        for model, cells in BY_MODEL.items():
            for relation, expected in zip(RELATIONS, cells, strict=True):
                with self.subTest(f"{model.value}, {relation}"):
                    somebody = standing(Affiliation.NONE, relation)
                    self.assertEqual(outcome(partial(check_read, model, somebody)), expected)

    def test_subscribing(self) -> None:
        """Who may read may subscribe; where owners approve, anybody may ask."""
        for model, cells in BY_MODEL.items():
            for relation, expected in zip(RELATIONS, cells, strict=True):
                with self.subTest(f"{model.value}, {relation}"):
                    somebody = standing(Affiliation.NONE, relation)
                    got = outcome(partial(check_subscribe, model, somebody))
                    self.assertEqual(got, YES if model is AccessModel.AUTHORIZE else expected)

    def test_asking(self) -> None:
        """An owner approves strangers only, and those once."""
        for affiliation, relation, pending in (
            (Affiliation.NONE, "stranger", True),
            (Affiliation.NONE, "subscribed", False),
            (Affiliation.MEMBER, "stranger", False),
            (Affiliation.OWNER, "stranger", False),
        ):
            somebody = standing(affiliation, relation)
            self.assertEqual(check_subscribe(AccessModel.AUTHORIZE, somebody), pending)

    def test_affiliations(self) -> None:
        """An affiliation goes before the model, whoever else somebody is."""
        for affiliation, cells in BY_AFFILIATION.items():
            for model in AccessModel:
                for relation in RELATIONS:
                    with self.subTest(f"{affiliation.value}, {model.value}, {relation}"):
                        self.check(standing(affiliation, relation), model, cells)

    def check(self, somebody: Standing, model: AccessModel, cells: tuple[str, ...]) -> None:
        got = (
            outcome(partial(check_read, model, somebody)),
            outcome(partial(check_publish, PublishModel.PUBLISHERS, somebody)),
            outcome(partial(check_retract, somebody)),
            YES if may_replace(somebody) else NO,
            outcome(partial(check_manage, somebody)),
        )
        self.assertEqual(got, cells)

    def test_publishing(self) -> None:
        """Where more than publishers publish, members and strangers do, and outcasts do not."""
        for model, stranger, subscribed in (
            (PublishModel.PUBLISHERS, FORBIDDEN, FORBIDDEN),
            (PublishModel.SUBSCRIBERS, FORBIDDEN, YES),
            (PublishModel.OPEN, YES, YES),
        ):
            for affiliation in (Affiliation.NONE, Affiliation.MEMBER):
                for relation, expected in (("stranger", stranger), ("subscribed", subscribed)):
                    somebody = standing(affiliation, relation)
                    with self.subTest(f"{model.value}, {affiliation.value}, {relation}"):
                        got = outcome(partial(check_publish, model, somebody))
                        self.assertEqual(got, expected)
            outcast = standing(Affiliation.OUTCAST, "subscribed")
            self.assertEqual(outcome(partial(check_publish, model, outcast)), FORBIDDEN)

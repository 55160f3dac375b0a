"""XEP-0157 from the wire."""

from twisted.trial.unittest import SynchronousTestCase

from tests.plugins.test_disco import ask
from xmppd.stanza.form import DATA
from xmppd.testing.house import House, house_config
from xmppd_plugins.contact_addresses import FORM_TYPE
from xmppd_plugins.disco import INFO

PLUGINS = ("disco", "contact_addresses")


class ContactAddressesTests(SynchronousTestCase):
    def test_form(self) -> None:
        """The server says whom to write to, by role; a role without an address is left out."""
        abuse = ("mailto:abuse@montague.lit", "xmpp:prince@montague.lit")
        config = house_config(
            "montague.lit", contact={"abuse": abuse, "support": ("mailto:help@montague.lit",)}
        )
        house = House(config=config, plugins=PLUGINS, romeo={})
        (romeo,) = house.connect("romeo")
        form = ask(romeo, INFO, "montague.lit").find(f".//{{{DATA}}}x")
        assert form is not None
        self.assertEqual(form.get("type"), "result")
        self.assertEqual(
            {field.get("var"): [value.text for value in field] for field in form},
            {
                "FORM_TYPE": [FORM_TYPE],
                "abuse-addresses": list(abuse),
                "support-addresses": ["mailto:help@montague.lit"],
            },
        )
        self.assertEqual(form[0].get("type"), "hidden")

    def test_nobody(self) -> None:
        """Without addresses there is no form."""
        house = House(plugins=PLUGINS, romeo={})
        (romeo,) = house.connect("romeo")
        self.assertIsNone(ask(romeo, INFO, "montague.lit").find(f".//{{{DATA}}}x"))

    def test_account(self) -> None:
        """An account's answer carries no form."""
        config = house_config("montague.lit", contact={"abuse": ("mailto:a@montague.lit",)})
        house = House(config=config, plugins=PLUGINS, romeo={})
        (romeo,) = house.connect("romeo")
        self.assertIsNone(ask(romeo, INFO).find(f".//{{{DATA}}}x"))

"""People who have some of everything at somebody else's server, all of it made by protocol."""

from xml.etree import ElementTree

from tests.integration.people import Home, Person

PLUGINS = ("xep_0030", "xep_0199")
CARD = "<vCard xmlns='vcard-temp'><FN>{}</FN><NICKNAME>R</NICKNAME></vCard>"
PRIVATE = (
    "<query xmlns='jabber:iq:private'><exodus xmlns='exodus:prefs'><a b='é'/></exodus></query>"
)
PUBLISH = (
    "<pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='urn:news'>"
    "<item id='{}'><entry xmlns='urn:news'>{}</entry></item></publish></pubsub>"
)
BLOCK = "<block xmlns='urn:xmpp:blocking'><item jid='{}'/></block>"
PREFERENCES = (
    "<prefs xmlns='urn:xmpp:mam:2' default='always'><always/><never><jid>{}</jid></never></prefs>"
)
ROSTER = "<query xmlns='jabber:iq:roster'><item jid='{}' name='{}'><group>{}</group></item></query>"


async def ask(person: Person, payload: str) -> None:
    """Have something set."""
    iq = person.make_iq_set()
    iq.append(ElementTree.fromstring(payload))
    await iq.send()


async def populate(server: Home, domain: str, password: str) -> None:
    """Romeo has some of everything; Juliet is his contact, Tybalt asks, and Mercutio is asked."""
    people = [
        Person(server, f"{name}@{domain}/x", password, plugins=PLUGINS)
        for name in ("romeo", "juliet", "tybalt")
    ]
    romeo, juliet, tybalt = people
    for each in people:
        await each.arrive()
    await ask(romeo, ROSTER.format(f"juliet@{domain}", "J &amp; é", "Fair"))
    for one, other in ((romeo, juliet), (juliet, romeo)):
        one.send_presence(pto=f"{other.boundjid.bare}", ptype="subscribe")
        await other.expect("presence", type="subscribe")
        other.send_presence(pto=f"{one.boundjid.bare}", ptype="subscribed")
        await one.expect("presence", type="subscribed")
    romeo.send_presence(pto=f"mercutio@{domain}", ptype="subscribe")
    await ask(romeo, CARD.format("Romeo Mø"))
    await ask(romeo, PRIVATE)
    await ask(romeo, PUBLISH.format("1", "l'été"))
    for blocked in ("paris@capulet.example", "sampson@capulet.example"):
        await ask(romeo, BLOCK.format(blocked))
    await ask(romeo, PREFERENCES.format(f"nurse@{domain}"))
    juliet.say(f"romeo@{domain}", "What man art thou?")
    await romeo.expect("message", body="What man art thou?")
    await romeo.leave()
    juliet.say(f"romeo@{domain}", "Wherefore <art> thou?")
    tybalt.send_presence(pto=f"romeo@{domain}", ptype="subscribe", pstatus="Draw!")
    await juliet.catch_up()
    await tybalt.catch_up()
    for each in (juliet, tybalt):
        await each.leave()

"""The pages that the console has of itself; those of plugins are made of the same."""

from xmppd.pages.page import Page, Panel

USER = "user"
"""The page of one account."""

PAGES: tuple[Page | Panel, ...] = (
    # -- people -----------------------------------------------------------------------------------
    Page(path="users", title="Users", place="People", acts=("user add", "user count")),
    Panel(page="users", title="Accounts", command="user list", opens=USER,
          onward=("after", "account")),
    Page(
        path=USER,
        title="User",
        about="account",
        acts=(
            "user password",
            "user reset",
            "user disable",
            "user enable",
            "user unlock",
            "user delete",
        ),
    ),
    Panel(page=USER, title="Account", command="user show", about="account"),
    Panel(
        page=USER,
        title="Sessions",
        command="session list",
        about="account",
        acts=("session end",),
        columns=("jid", "state", "address", "mechanism", "since", "idle_s", "priority"),
        each=("session show", "session end"),
    ),
    Panel(
        page=USER,
        title="Devices",
        command="device list",
        about="account",
        acts=("device revoke",),
        columns=("device", "name", "software", "sessions", "last_seen", "token_expires"),
        each=("device revoke",),
    ),
    Panel(
        page=USER,
        title="Contacts",
        command="roster show",
        about="account",
        acts=("roster add",),
        columns=("contact", "name", "subscription", "ask", "groups", "shared"),
        each=("roster remove",),
    ),
    Panel(
        page=USER,
        title="Shared groups",
        command="group list",
        about="account",
        acts=("group join",),
        columns=("group", "display", "visible_to", "groups"),
        each=("group leave",),
    ),
    Panel(
        page=USER, title="Blocked", command="block list", about="account", acts=("block add",),
        each=("block remove",),
    ),
    Panel(
        page=USER,
        title="Privacy lists",
        command="privacy list",
        about="account",
        each=("privacy default", "privacy delete"),
        only={"privacy default": ("default", False)},
    ),
    Panel(
        page=USER, title="Messages that wait", command="offline list", about="account",
        acts=("offline delete",), each=("offline delete",),
    ),
    Page(path="sessions", title="Sessions", place="People",
         acts=("announce", "session end", "user online")),
    Panel(
        page="sessions",
        title="Who is connected",
        command="session list",
        columns=("jid", "state", "address", "mechanism", "since", "idle_s", "priority"),
        each=("session show", "session end"),
        opens=USER,
        onward=("after", "jid"),
        finds="find",
    ),
    Page(
        path="groups",
        title="Groups",
        place="People",
        says="Shared groups appear in the contact lists of those who can see them.",
        acts=("group save",),
    ),
    Panel(
        page="groups", title="Shared groups", command="group list",
        each=("group save", "group delete"),
    ),
    Page(path="reports", title="Reports", place="People"),
    Panel(page="reports", title="Reports of abuse", command="report list"),
    # -- the network ------------------------------------------------------------------------------
    Page(path="servers", title="Other servers", place="Network", acts=("s2s why", "s2s close")),
    Panel(
        page="servers",
        title="Streams with other servers",
        command="s2s list",
        each=("s2s why", "s2s close"),
        takes={"domain": "remote"},
    ),
    Page(
        path="components", title="Components", place="Network",
        says="Components that connect, and services inside the server.",
    ),
    Panel(page="components", title="Components and services", command="component list"),
    Page(
        path="certificates", title="Certificates", place="Network",
        acts=("certificate renew", "reload"),
    ),
    Panel(
        page="certificates",
        title="Certificates",
        command="certificate list",
        each=("certificate renew",),
    ),
    Page(
        path="nodes", title="Nodes", place="Network",
        acts=("cluster drain", "cluster balance", "cluster check"),
    ),
    Panel(page="nodes", title="The nodes of this service", command="cluster status"),
    Panel(page="nodes", title="Connections between the nodes", command="cluster links"),
    # -- the server -------------------------------------------------------------------------------
    Page(
        path="server",
        title="This server",
        says="Where it listens, how long it has been running, and more.",
        acts=("reload", "stop"),
    ),
    Panel(page="server", title="This server", command="status"),
    Page(path="plugins", title="Plugins", acts=("plugin load",)),
    Panel(
        page="plugins",
        title="Plugins",
        command="plugin list",
        each=("plugin load", "plugin reload", "plugin unload"),
        at_once=("plugin load", "plugin reload", "plugin unload"),
        only={
            "plugin load": ("loaded", False),
            "plugin reload": ("loaded", True),
            "plugin unload": ("loaded", True),
        },
    ),
    Page(path="numbers", title="Numbers", says="All counters and measurements."),
    Panel(page="numbers", title="Now", command="stats", most=1_000),
    Page(path="log", title="Log", says="The latest warnings and errors; the log has every line."),
    Panel(page="log", title="Warnings and errors", command="log list",
          columns=("at", "level", "message")),
    Page(path="audit", title="Audit", says="What was changed, who changed it, and the outcome."),
    Panel(page="audit", title="Commands that changed something", command="audit list",
          columns=("at", "command", "arguments", "actor", "way", "address", "outcome"),
          onward=("before", "number")),
    Page(
        path="keys", title="Keys", says="Programs with a key can run commands.", acts=("key add",)
    ),
    Panel(page="keys", title="Keys of programs", command="key list", each=("key revoke",)),
    Page(path="jobs", title="Jobs", says="Commands that run in the background."),
    Panel(
        page="jobs", title="Jobs", command="job list", each=("job show", "job cancel"),
    ),
    Page(
        path="data",
        title="Data",
        says="Backup, export and import use files of the server's machine: they are in xmppctl.",
        acts=("archive check", "archive expire", "upload expire"),
    ),
    Panel(page="data", title="What the database holds", command="db sizes"),
    Panel(
        page="data",
        title="Records that could not be read",
        command="db quarantine list",
        each=("db quarantine show", "db quarantine delete"),
    ),
)  # fmt: skip

__all__ = ["PAGES", "USER"]

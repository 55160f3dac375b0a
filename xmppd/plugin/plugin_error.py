"""The errors of plugins, each a sentence that names one."""


class PluginError(Exception):
    """An error: a plugin cannot be loaded or unloaded; the text is one sentence that names it."""


class PluginTableError(PluginError):
    """An error: a plugin's table in the file is wrong; the text is one sentence with a full
    stop.
    """


__all__ = ["PluginError", "PluginTableError"]

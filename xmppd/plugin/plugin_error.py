"""The errors of plugins, each a sentence that names one."""


class PluginError(Exception):
    """An error: a plugin cannot be loaded or unloaded; the text is one sentence that names it, and
    below it the line of the plugin's file at which it fails, if there is one.

    Attributes:
        sentence: Without that line.
        excerpt: That line, and carets below it.
    """

    def __init__(self, sentence: str, excerpt: str = "") -> None:
        super().__init__("\n".join(filter(None, (sentence, excerpt))))
        self.sentence = sentence
        self.excerpt = excerpt


class PluginTableError(PluginError):
    """An error: a plugin's table in the file is wrong; the text is one sentence with a full
    stop.
    """


__all__ = ["PluginError", "PluginTableError"]

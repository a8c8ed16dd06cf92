"""Why a device has no configuration."""


class TemplateFailure(Exception):
    """A device's configuration can't be rendered; the text says why in one line."""

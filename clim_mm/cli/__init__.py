"""The command ``clim-mm``: each verb is a door to what the package or a tool does."""

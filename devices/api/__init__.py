"""device_syncto over HTTP."""

"""Every statement that is written by hand."""

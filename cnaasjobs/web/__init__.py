"""How the web server reads: a client that is slow holds up nobody but itself."""

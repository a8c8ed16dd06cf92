"""How the web server reads requests: a slow client holds up only itself."""

"""The console: the pages on which operators watch jobs and act on them. It is mounted at ``/``.

Django templates, htmx, and little script of our own. The URL holds a page's whole state, and every page works without
script. Pages read what the API reads, in the same few queries, and change jobs by the same functions.

``access`` says who may see a page, ``frame`` is what all pages have around them, ``pages`` are the pages themselves.
"""

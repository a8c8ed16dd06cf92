"""The console: the pages on which operators watch jobs and act on them. It is mounted at ``/``.

Django templates, htmx and little of our own. Each state of a page is its URL, and without script every page works. It
asks what the API asks, in the same few queries, and changes jobs by what the API changes them by.

``access`` says who may see a page, ``frame`` puts it into the frame that all have, ``pages`` has the pages themselves.
"""

"""The test suite, with the real services it runs on (``tests.services``)."""

"""The test suite, with the real services that it runs on (``tests.services``)."""

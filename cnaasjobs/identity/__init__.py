"""Who somebody is: JWTs of an identity provider, JWTs of our own, and the provider's sign-in for people at a browser.

``keys`` and ``key_sources`` know whose signature counts, ``verification`` whether a JWT is good, ``people`` which user
it is, ``bearer`` brings them to the API and to the events process.
"""

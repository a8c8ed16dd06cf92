"""The events process: tells listeners what has changed, as it is committed. ``python -m cnaasjobs.live --bind …``.

``server``       uvicorn, and what a connection may cost
``application``  the two routes: Server-Sent Events, and socket.io for existing front ends
``poller``       one look at the feed for all listeners, four times a second while there is one
``bulletin``     what a look found, written down once for all readers
``readers``      Server-Sent Events: one reader each
``front_ends``   socket.io: ``connections`` are its clients, ``strangers`` those who have not said who they are
``admission``    who may listen, and to what
``cors``         which pages of other origins may
``database``     the one thread that asks the database

It holds no state that a restart could lose: a reader's position is the reader's.
"""

"""Who may do what: every URL, stream, page and command against everybody who may come, in every way one may come.

``rows`` says in words who may. ``urls`` reads what there is from the URL map: what has no row fails a test.
"""

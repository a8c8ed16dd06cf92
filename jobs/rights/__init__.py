"""Who may do what: the roles, how far a permission reaches, and the one place that decides (``decide``)."""

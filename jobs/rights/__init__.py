"""Who may do what: the roles."""

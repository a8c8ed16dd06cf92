"""HTTP conventions of every API here: envelope, errors, pages, filters, who asks and from where. Knows no app."""

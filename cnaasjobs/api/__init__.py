"""HTTP conventions of every API here: envelope, errors, pages, filters, who calls and from where. Knows no app."""

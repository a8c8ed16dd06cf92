"""What the admin's pages are built of, whatever they show."""

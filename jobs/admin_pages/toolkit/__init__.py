"""What all pages of the admin are built from."""

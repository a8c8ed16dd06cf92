"""The way to the database: its clock, bounded waits, prepared statements. Knows no app."""

"""What the console's pages show, read for them: each read is bounded, and goes by an index."""

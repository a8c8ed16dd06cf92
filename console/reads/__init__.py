"""What the console's pages show. Every read is bounded, and uses an index."""

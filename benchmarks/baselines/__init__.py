"""The other sides of the rows, each written as well as an expert would, and standing alone: they import no product."""

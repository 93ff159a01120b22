"""The files that `tenfold init` writes."""

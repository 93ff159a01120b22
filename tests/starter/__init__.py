"""Tests of the files that `tenfold init` writes."""

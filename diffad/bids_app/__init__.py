"""A BIDS App: a data set in, a derivative out, by the conventions of all such programs."""

"""What `auto` chooses from; apart from everything else, so that the program can tell it without loading torch."""

CANDIDATES = ("last", "seasonal", "mean", "nlinear", "rlinear", "linear", "dlinear", "anchored")

"""The public verbs, one a module: each ties data, engine and store to one run and hands back what it found."""

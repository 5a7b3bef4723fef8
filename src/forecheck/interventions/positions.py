"""Taking position away: codes zeroed, averaged or shuffled, and tokens shuffled."""

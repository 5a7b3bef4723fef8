"""Reading: from files and frames of any notation to a panel, or to a refusal that says what to do."""

"""Every check has a mutant that it must catch."""

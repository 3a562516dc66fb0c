"""Reference models and the user's own as networks: found, built, perturbed; saved states; the digits."""

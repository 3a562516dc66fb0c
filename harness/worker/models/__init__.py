"""Reference models and user models as networks: found, built, perturbed; saved states; the digits."""

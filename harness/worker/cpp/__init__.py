"""Document 002 §4: a C++ program that runs a deployed model, how it is compiled, and how it is called."""

"""Document 002 §4: a program in C++ that runs a deployed model, how it is compiled, and how it is asked."""

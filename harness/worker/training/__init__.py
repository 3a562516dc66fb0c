"""Training that recipes share: loops, fine-tuning, pruning control, several processes."""

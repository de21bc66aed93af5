"""What a multiply-accumulate costs in training."""

FLOPS_PER_MAC = 6
"""Two a multiply-accumulate; a backward pass costs twice a forward one."""

"""MLM+NSP pre-training: loop, schedule, validation, checkpoints; engines only in distributed.py."""

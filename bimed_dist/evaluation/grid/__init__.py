"""The grid: trials of every model on every task, their order, the processes that run them, and their results."""

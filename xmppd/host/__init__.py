"""The machine: clocks, threads, descriptors, files and log."""

"""What is on disk in each port: reading and writing it, and nothing else."""

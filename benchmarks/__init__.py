"""Speed, memory and quality: against others, and against what is asked for."""
